//! The kernels of a training on the device, and the constants that they know it by.

use std::fmt::Write;

use crate::engine::gpu::buffers::Buffers;
use crate::engine::gpu::context::Context;
use crate::engine::gpu::kernel::Kernel;
use crate::engine::gpu::network::Network;
use crate::engine::gpu::recorder::Recorder;
use crate::engine::gpu::source::Sources;
use crate::engine::gpu::work::Work;
use crate::engine::resident::{Formula, Plan};
use crate::engine::{BLOCK, EngineError};
use crate::targets::FORBIDDEN;

/// Import path of the constants.
pub const TRAINING: &str = "wgflow::training";
/// Quads of a piece of a norm: as in shaders/gradient_norm.wgsl.
pub const NORM_PIECE: usize = 1024;

/// Words of log Z with its two moments, of `Verdict` and of `Counters` (shaders/lib/ledger.wgsl).
pub const LOG_Z: usize = 6;
pub const VERDICT: usize = 9;
pub const COUNTERS: usize = 5;

/// What comes before a gradient and after it.
pub struct Kernels {
    weigh: Kernel,
    norm: Kernel,
    decide: Kernel,
    adam: Kernel,
    empty: Kernel,
}

impl Kernels {
    /// Compiles them, and makes the buffers that are theirs, with so many lists of parameters.
    pub fn new(
        context: &Context,
        buffers: &mut Buffers,
        network: &Network,
        sources: &Sources,
        lists: u64,
    ) -> Result<Self, EngineError> {
        let numbers = 4 * u64::from(network.gradient);
        let advice = "make hidden layers narrower";
        buffers.reserve(context, "optimizer", 8 * lists * numbers, advice)?;
        buffers.reserve(context, "norm_pieces", 8 * (network.gradient as usize).div_ceil(NORM_PIECE) as u64, advice)?;
        for (name, words) in [("log_z", LOG_Z), ("verdict", VERDICT), ("counters", COUNTERS)] {
            buffers.reserve(context, name, 4 * words as u64, advice)?;
        }
        let kernel = |name| sources.kernel(context, name, &[]);
        Ok(Self {
            weigh: kernel("weigh")?,
            norm: kernel("gradient_norm")?,
            decide: kernel("decide")?,
            adam: kernel("adam")?,
            empty: kernel("empty")?,
        })
    }

    /// From a batch's log-probabilities and log-rewards to `coefficients`.
    pub fn record_coefficients(&mut self, recorder: &mut Recorder, work: &Work) {
        recorder.dispatch(&mut self.weigh, work, [1, 1, 1], f64::from(100 * work.count));
    }

    /// From a gradient to the verdict on it.
    pub fn record_decision(&mut self, recorder: &mut Recorder, network: &Network, work: &Work) {
        let quads = network.gradient as usize;
        recorder.dispatch(&mut self.norm, work, [quads.div_ceil(NORM_PIECE), 1, 1], (8 * quads) as f64);
        recorder.dispatch(&mut self.decide, work, [1, 1, 1], quads.div_ceil(NORM_PIECE) as f64);
    }

    /// The next parameters, where the verdict is so.
    pub fn record_step(&mut self, recorder: &mut Recorder, network: &Network, work: &Work) {
        let numbers = 4 * network.gradient as usize;
        // Some two hundred operations on integers a number.
        recorder.dispatch(&mut self.adam, work, [numbers.div_ceil(BLOCK), 1, 1], (100 * numbers) as f64);
        self.record_start(recorder, network);
    }

    /// The pre-activation of the empty object, of the parameters that are there.
    pub fn record_start(&mut self, recorder: &mut Recorder, network: &Network) {
        let (units, columns) = (network.layers[0].outputs as usize, network.process.columns());
        let cost = (4 * units * columns) as f64;
        recorder.dispatch(&mut self.empty, &Work::default(), [units.div_ceil(BLOCK), 1, 1], cost);
    }
}

/// The text of shaders/lib/training.wgsl for one training. `log_constant` is log P_B less what log P_F has that the policy does not
/// say, `scale` what the kernel of log R is multiplied by.
pub fn constants(plan: &Plan, log_constant: f64, scale: f64) -> String {
    let (formula, shape) = number(plan.formula);
    let mut text = String::new();
    let formulas = [
        "PLAIN",
        "LEARNED",
        "LEAVE_ONE_OUT",
        "LEAVE_ONE_OUT_LOG_Z",
        "SELF_NORMALISED",
        "RENYI",
        "TSALLIS",
        "LOG_VARIANCE",
        "SQUARED",
        "HALF_SQUARED",
        "HUBER",
        "LINEX",
        "SHIFTED_COSH",
    ];
    let numbered = formulas.into_iter().zip(0..);
    for (name, value) in numbered.chain([("FORMULA", formula), ("PATIENCE", plan.patience)]) {
        writeln!(text, "const {name} = {value}u;").expect("a String takes all text");
    }
    let bits = log_constant.to_bits();
    writeln!(text, "const LOG_CONSTANT = vec2<u32>({}u, {}u);", bits as u32, bits >> 32)
        .expect("a String takes all text");
    writeln!(text, "const FLOORED = {};", plan.log_reward_floor.is_some()).expect("a String takes all text");
    let [learning_rate, log_z_rate] = plan.learning_rates;
    for (name, value) in [
        ("SHAPE", shape),
        ("REWARD_SCALE", scale),
        ("FLOOR", plan.log_reward_floor.unwrap_or_default()),
        ("FORBIDDEN", f64::from(FORBIDDEN)),
        ("LEARNING_RATE", learning_rate),
        ("LOG_Z_RATE", log_z_rate),
        // 0 / (0 + epsilon) is 0.
        ("EPSILON", plan.epsilon.max(f64::from(f32::MIN_POSITIVE))),
        ("WEIGHT_DECAY", plan.weight_decay),
        ("AVERAGE", plan.average.unwrap_or_default()),
        ("LARGEST_NORM", plan.clip_norm.unwrap_or_default()),
    ] {
        writeln!(text, "const {name} = {};", real(value)).expect("a String takes all text");
    }
    for (name, of) in [("NEW_SHARE", new_share as fn(f64) -> f64), ("LOG_KEPT", log_kept)] {
        let [first, second] = plan.betas.map(of).map(real);
        writeln!(text, "const {name} = vec2<f32>({first}, {second});").expect("a String takes all text");
    }
    text
}

fn new_share(beta: f64) -> f64 {
    1.0 - beta
}

/// log(beta), finite for a beta of 0: a power of it is 0 all the same.
fn log_kept(beta: f64) -> f64 {
    beta.ln().max(-1e4)
}

/// A literal of f32, which has no infinities.
fn real(value: f64) -> String {
    format!("{:?}f", value.clamp(-3e38, 3e38) as f32)
}

/// A formula's number in the kernels, and the one number that it has itself.
fn number(formula: Formula) -> (u32, f64) {
    match formula {
        Formula::Plain => (0, 0.0),
        Formula::Learned => (1, 0.0),
        Formula::LeaveOneOut => (2, 0.0),
        Formula::LeaveOneOutLogZ => (3, 0.0),
        Formula::SelfNormalised => (4, 0.0),
        Formula::Renyi(order) => (5, order),
        Formula::Tsallis(order) => (6, order),
        Formula::LogVariance => (7, 0.0),
        Formula::Squared => (8, 0.0),
        Formula::HalfSquared => (9, 0.0),
        Formula::Huber(threshold) => (10, threshold),
        Formula::Linex(scale) => (11, scale),
        Formula::ShiftedCosh => (12, 0.0),
    }
}
