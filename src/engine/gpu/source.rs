//! WGSL sources of the kernels: the shader files with the constants of one network, process and tiling.

use std::fmt::Write;

use crate::engine::BLOCK;
use crate::network::{Activation, LEAK};
use crate::process::{Flow, GuideKernel, NO_ACTION, Order, SiteFilling};
use crate::random::{MULTIPLIERS, ROUNDS, WEYL};

use super::context::Context;
use super::kernel::Kernel;
use super::link::{Linked, Supplied, link};
use super::network::{Input, Layer, Network};
use crate::engine::EngineError;

/// What coefficients belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weights {
    /// Whole trajectories: they come in where gradients are added up, so that the same deltas serve several lists.
    Trajectories,
    /// Single steps: they come in at the derivative of the outputs.
    Steps,
}

impl Weights {
    /// What kernels know it by.
    pub fn definitions(self) -> &'static [&'static str] {
        match self {
            Self::Trajectories => &[],
            Self::Steps => &["STEPWISE"],
        }
    }
}

/// Import path of a process's rules in WGSL (ProcessKernel), and what they may use.
pub(super) const RULES: &str = "wgflow::rules";
pub(super) const USABLE_BY_RULES: &str = "#import wgflow::constants::{ACTIONS, COLUMNS, MAX_STEPS, NO_ACTION, SITES, VALUES}\n\
                                          #import wgflow::walk::{Advance, process_state, set_process_state}";

/// Import path of a target's log R in WGSL (RewardKernel), and what it may use.
pub(super) const TARGET: &str = "wgflow::target";
pub(super) const USABLE_BY_TARGETS: &str = "#import wgflow::batch::value\n\
                                            #import wgflow::constants::{SITES, VALUES}\n\
                                            #import wgflow::parameters::parameter";

/// Import path of a guide in WGSL (GuideKernel), and what it may use.
pub(super) const GUIDE: &str = "wgflow::guide";
pub(super) const USABLE_BY_GUIDES: &str = "#import wgflow::constants::{SITES, VALUES}\n\
                                           #import wgflow::filled::{Filled, UNFILLED, filled_value, guide_parameter}";

/// What turns shader files into sources: the constants of one engine.
pub(super) struct Sources {
    supplied: Vec<Supplied>,
    /// What holds of the network and its process in every kernel.
    holding: Vec<&'static str>,
    layers: usize,
}

impl Sources {
    pub fn new(network: &Network, activation: Activation) -> Self {
        let (filling, tiling) = (network.filling.as_ref(), network.tiling);
        let mut constants = network.constants();
        constants.extend([
            ("BLOCK", BLOCK as u32),
            ("ROLLOUT_GROUP", tiling.group as u32),
            ("ROLLOUT_ROWS", tiling.trajectories as u32),
            ("TILE_ROWS", tiling.rows as u32),
            ("TILE_UNITS", tiling.units as u32),
            ("PHILOX_ROUNDS", ROUNDS),
            ("NO_ACTION", NO_ACTION),
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
            ("FINISHED", network.input == Input::Objects),
        ] {
            writeln!(header, "const {name} = {value};").expect("a String takes all text");
        }
        for (name, value) in [("LEAK", LEAK), ("UNSET", filling.map_or(0.0, SiteFilling::unset))] {
            writeln!(header, "const {name} = {:?}f;", value as f32).expect("a String takes all text");
        }
        for (name, [x, y]) in [("PHILOX_MULTIPLIERS", MULTIPLIERS), ("PHILOX_WEYL", WEYL)] {
            writeln!(header, "const {name} = vec2<u32>({x}u, {y}u);").expect("a String takes all text");
        }
        let mut supplied = vec![Supplied { path: "wgflow::constants", text: header, foreign: None, trusted: true }];
        let process = if filling.is_some() { None } else { network.process.kernel() };
        let guide = network.guide.clone();
        let mut holding = match (network.input, &process, &guide) {
            (Input::Objects, ..) => vec!["OBJECTS"],
            (Input::States, Some(_), _) => ["WALK", "LEARNED_BACKWARD", "FLOW", "STOP_FLOW"]
                .into_iter()
                .zip([
                    true,
                    network.process.backward_actions() > 0,
                    network.process.flow() == Flow::Output,
                    network.process.flow() == Flow::Stop,
                ])
                .filter_map(|(name, holds)| holds.then_some(name))
                .collect(),
            (Input::States, None, Some(_)) => vec!["GUIDED"],
            (Input::States, None, None) => vec![],
        };
        if network.keeps_z() {
            holding.push("KEEPS_Z");
        }
        supplied.extend(process.map(|rules| Supplied {
            path: RULES,
            text: rules.source,
            foreign: Some(USABLE_BY_RULES),
            trusted: false,
        }));
        supplied.extend(guide.map(|GuideKernel { source, trusted, .. }| Supplied {
            path: GUIDE,
            text: source,
            foreign: Some(USABLE_BY_GUIDES),
            trusted,
        }));
        Self { supplied, holding, layers: network.layers.len() }
    }

    /// Bytes of the uniform buffer `network`.
    pub fn uniform_bytes(&self) -> u64 {
        (self.layers * size_of::<Layer>()) as u64
    }

    /// The kernel `name` where `definitions` hold besides what holds of the network.
    pub fn kernel(&self, context: &Context, name: &str, definitions: &[&str]) -> Result<Kernel, EngineError> {
        Kernel::new(context, name, &self.link(name, definitions))
    }

    /// Its source.
    pub fn link(&self, name: &str, definitions: &[&str]) -> Linked {
        link(name, None, &self.definitions(definitions), &self.supplied)
    }

    /// The source of a kernel that is no file.
    #[cfg(test)]
    pub fn link_text(&self, name: &str, text: &str) -> Linked {
        link(name, Some(text), &self.definitions(&[]), &self.supplied)
    }

    /// The same with what somebody else has written for `path`, which may use what the lines `usable` import.
    pub fn supplying(&self, path: &'static str, text: &str, usable: &'static str) -> Self {
        let ours = self.supplied.iter().filter(|source| source.foreign.is_none()).cloned();
        let theirs = Supplied { path, text: text.into(), foreign: Some(usable), trusted: false };
        Self { supplied: ours.chain([theirs]).collect(), holding: self.holding.clone(), layers: self.layers }
    }

    /// The same with constants of our own in the place of the file `path`.
    pub fn with_constants(&self, path: &'static str, text: String) -> Self {
        let ours = Supplied { path, text, foreign: None, trusted: true };
        let supplied = self.supplied.iter().cloned().chain([ours]).collect();
        Self { supplied, holding: self.holding.clone(), layers: self.layers }
    }

    /// All that holds in a kernel where `more` does.
    pub fn definitions<'a>(&self, more: &[&'a str]) -> Vec<&'a str> {
        more.iter().copied().chain(self.holding.iter().copied()).collect()
    }
}
