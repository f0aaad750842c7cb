//! WGSL text: the shader files, the constants they expect, and their register tiles written out.

use std::fmt::Write;

use crate::engine::BLOCK;
use crate::network::{Activation, LEAK};
use crate::process::{Order, SiteFilling};
use crate::random::{MULTIPLIERS, ROUNDS, WEYL};

use super::context::Context;
use super::kernel::Kernel;
use super::network::{Layer, Network, Sight};
use super::tiling::Tiling;
use crate::engine::EngineError;

macro_rules! shader {
    ($file:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/", $file))
    };
}
pub(super) use shader;

const WORK: &str = shader!("lib/work.wgsl");
pub(super) const PHILOX: &str = shader!("lib/philox.wgsl");
pub(super) const ELEMENTARY: &str = shader!("lib/elementary.wgsl");
pub(super) const ACTIVATION: &str = shader!("lib/activation.wgsl");
pub(super) const COLUMN: &str = shader!("lib/column.wgsl");
pub(super) const MULTIPLY: &str = shader!("lib/multiply.wgsl");
pub(super) const TILE: &str = concat!(shader!("lib/multiply.wgsl"), shader!("lib/tile.wgsl"));
pub(super) const LAYERS: &str = shader!("lib/layers.wgsl");
pub(super) const CHOICE: &str = shader!("lib/choice.wgsl");
pub(super) const WHOLE: &str = shader!("lib/whole.wgsl");
pub(super) const STEPWISE: &str = shader!("lib/stepwise.wgsl");
pub(super) const SINGLE: &str = shader!("lib/single.wgsl");
pub(super) const SUM: &str = shader!("lib/sum.wgsl");
pub(super) const MOMENTS: &str = shader!("lib/moments.wgsl");
pub(super) const LEFT_OUT: &str = shader!("lib/left_out.wgsl");

const MASKED_CHOICE: &str = shader!("lib/masked_choice.wgsl");
const SITE_STEPS: &str = shader!("lib/site_steps.wgsl");
const SITE_COLUMNS: &str = shader!("lib/site_columns.wgsl");
const SITE_CHOOSE: &str = shader!("lib/site_choose.wgsl");
const SITE_OBJECT: &str = shader!("lib/site_object.wgsl");
const WALK: &str = shader!("lib/walk.wgsl");
const WALK_STEPS: &str = shader!("lib/walk_steps.wgsl");
const WALK_COLUMNS: &str = shader!("lib/walk_columns.wgsl");
const WALK_OBJECT: &str = shader!("lib/walk_object.wgsl");
const PROCESS: &str = shader!("lib/process.wgsl");
const MASKED_CHOOSE: &str = shader!("lib/masked_choose.wgsl");
pub(super) const LATER: &str = shader!("lib/later.wgsl");

/// Steps of a block that one slice of the weight gradient sums over. Part of the result's bits, so not a setting.
pub(super) const CHUNK: usize = 32;

/// What coefficients belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weights {
    /// Whole trajectories: they come in where gradients are added up, so that the same deltas serve several lists.
    Trajectories,
    /// Single steps: they come in at the derivative of the outputs.
    Steps,
}

/// What turns shader files into sources: the constants of one engine.
pub(super) struct Sources {
    header: String,
    tiling: Tiling,
    sight: Sight,
    layers: usize,
    /// The rules of the process, where it is not site filling.
    process: Option<String>,
}

impl Sources {
    pub fn new(network: &Network, activation: Activation) -> Self {
        let (filling, tiling) = (network.filling.as_ref(), network.tiling);
        let mut constants = network.constants();
        constants.extend([
            ("BLOCK", BLOCK as u32),
            ("CHUNK", CHUNK as u32),
            ("ROLLOUT_GROUP", tiling.group as u32),
            ("ROLLOUT_ROWS", tiling.trajectories as u32),
            ("TILE_ROWS", tiling.rows as u32),
            ("TILE_UNITS", tiling.units as u32),
            ("PHILOX_ROUNDS", ROUNDS),
            ("RELU", Activation::Relu as u32),
            ("LEAKY_RELU", Activation::LeakyRelu as u32),
            ("SWISH", Activation::Swish as u32),
            ("ELU", Activation::Elu as u32),
            ("TANH", Activation::Tanh as u32),
            ("ACTIVATION", activation as u32),
        ]);
        let mut header = String::new();
        for (name, value) in constants {
            writeln!(header, "const {name} = {value}u;").expect("a String takes all text");
        }
        for (name, value) in [
            ("UNIFORM_ORDER", filling.is_some_and(|filling| filling.order == Order::Uniform)),
            ("FINISHED", network.sight == Sight::Finished),
        ] {
            writeln!(header, "const {name} = {value};").expect("a String takes all text");
        }
        for (name, value) in [("LEAK", LEAK), ("UNSET", filling.map_or(0.0, SiteFilling::unset))] {
            writeln!(header, "const {name} = {:?}f;", value as f32).expect("a String takes all text");
        }
        for (name, [x, y]) in [("PHILOX_MULTIPLIERS", MULTIPLIERS), ("PHILOX_WEYL", WEYL)] {
            writeln!(header, "const {name} = vec2<u32>({x}u, {y}u);").expect("a String takes all text");
        }
        let process = if filling.is_some() { None } else { network.process.kernel().map(|kernel| kernel.source) };
        Self { header, tiling, sight: network.sight, layers: network.layers.len(), process }
    }

    /// Bytes of the uniform buffer `network`.
    pub fn uniform_bytes(&self) -> u64 {
        (self.layers * size_of::<Layer>()) as u64
    }

    /// How the head of this network is used, and what steps weigh: the functions that lib/choice.wgsl and lib/whole.wgsl
    /// explain.
    pub fn outputs(&self, weights: Weights) -> [&'static str; 2] {
        match (self.sight, weights) {
            (Sight::Finished, _) => [SINGLE, ""],
            (Sight::Steps, Weights::Trajectories) => [WHOLE, self.choice()],
            (Sight::Steps, Weights::Steps) => [STEPWISE, self.choice()],
        }
    }

    fn choice(&self) -> &'static str {
        if self.process.is_some() { MASKED_CHOICE } else { CHOICE }
    }

    /// What a step does to the first layer.
    pub fn steps(&self) -> [&str; 2] {
        if self.process.is_some() { [WALK, WALK_STEPS] } else { [COLUMN, SITE_STEPS] }
    }

    /// The first layer's part of a score.
    pub fn columns(&self) -> [&str; 2] {
        if self.process.is_some() { [WALK, WALK_COLUMNS] } else { [SITE_COLUMNS, ""] }
    }

    /// How a step is chosen; what [`Sources::steps`] gives comes before it.
    pub fn choose(&self) -> [&str; 3] {
        match &self.process {
            Some(process) => [process, PROCESS, MASKED_CHOOSE],
            None => [SITE_CHOOSE, "", ""],
        }
    }

    /// The rules of the process and what belongs to them; nothing for site filling.
    pub fn rules(&self) -> [&str; 3] {
        match &self.process {
            Some(process) => [WALK, process, PROCESS],
            None => [""; 3],
        }
    }

    /// What notes the object of a trajectory; what [`Sources::rules`] gives comes before it.
    pub fn object(&self) -> &'static str {
        if self.process.is_some() { WALK_OBJECT } else { SITE_OBJECT }
    }

    /// The kernel `name` of the assembled `parts`.
    pub fn kernel(&self, context: &Context, name: &str, parts: &[&str]) -> Result<Kernel, EngineError> {
        Kernel::new(context, name, &self.assemble(parts))
    }

    /// One source of the constants, the common declarations and `parts`.
    pub fn assemble(&self, parts: &[&str]) -> String {
        let mut source = self.header.clone();
        for part in [&[WORK], parts].concat() {
            for line in part.lines() {
                self.write_out(line, &mut source);
            }
        }
        source
    }

    /// A line once for every row quad it mentions as `$R` and every unit quad it mentions as `$U`.
    fn write_out(&self, line: &str, source: &mut String) {
        let times = |mark, count| if line.contains(mark) { count } else { 1 };
        for row in 0..times("$R", self.tiling.rows) {
            for unit in 0..times("$U", self.tiling.units) {
                // A name with both marks needs something between the numbers.
                let pair = format!("{row}_{unit}");
                let line = line.replace("$R$U", &pair).replace("$R", &row.to_string()).replace("$U", &unit.to_string());
                source.push_str(&line);
                source.push('\n');
            }
        }
    }
}
