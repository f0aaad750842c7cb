//! Training that stays on an engine's device: rollout, coefficients, gradient and optimizer, iteration after iteration, without the host
//! between them.
//!
//! The host launches flights of some iterations, and lands them in the same order: only then is it told what they did. Several may be
//! under way at once. What an iteration finds decides on the device whether its step is taken.

use super::{Batch, EngineError};
use crate::random::Draw;

/// How the log-weights of a batch become coefficients, where that is a closed form of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Formula {
    /// -log w / B.
    Plain,
    /// (log Z - log w) / B, with log Z learned.
    Learned,
    /// (mean - log w) / (B - 1).
    LeaveOneOut,
    /// (k - log w) / B, k the log of the mean weight of the other trajectories.
    LeaveOneOutLogZ,
    /// 1/B - v, v the self-normalised weights.
    SelfNormalised,
    /// a / (a - 1) (v - 1/B), v = softmax((1 - a) log w).
    Renyi(f64),
    /// a / (a - 1) (r - mean r) / (B - 1), r = (w / mean w)^(1 - a).
    Tsallis(f64),
    /// 2 (mean - log w) / (B - 1).
    LogVariance,
    /// The derivative of delta^2, delta = log Z - log w, over B, with log Z learned; so for all that follow.
    Squared,
    /// Of delta^2 / 2.
    HalfSquared,
    /// Of Huber's loss with this threshold.
    Huber(f64),
    /// Of Linex with this scale.
    Linex(f64),
    /// Of 2 cosh(delta) - 2.
    ShiftedCosh,
}

/// What stays the same over a training.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// From log-weights to coefficients.
    pub formula: Formula,
    /// Trajectories of an iteration.
    pub batch: usize,
    /// What takes the place of any log R below it.
    pub log_reward_floor: Option<f64>,
    /// What log P_F of every trajectory has beside the choices' log-probabilities and the order of the sites.
    pub log_prefix: f64,
    /// Learning rates of the policy and of log Z, before the schedule.
    pub learning_rates: [f64; 2],
    /// Adam's beta1 and beta2.
    pub betas: [f64; 2],
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Of the policy's parameters, decoupled.
    pub weight_decay: f64,
    /// What is kept of the parameters' average at each step, if one is kept.
    pub average: Option<f64>,
    /// Largest norm of the gradient.
    pub clip_norm: Option<f64>,
    /// Iterations skipped in a row that halt the training.
    pub patience: u32,
}

/// One iteration, as the host launches it.
#[derive(Clone, Copy, Debug)]
pub struct Launch {
    /// Its random numbers.
    pub draw: Draw,
    /// What the schedule multiplies learning rates by.
    pub rate_factor: f64,
    /// What log R is multiplied by, at most 1.
    pub beta: f64,
}

/// One iteration, as the host is told of it.
#[derive(Clone, Debug)]
pub struct Landed {
    /// Its forward trajectories.
    pub batch: Batch,
    /// The learned log Z before the step, where one is learned and has started.
    pub log_z: Option<f64>,
    /// Norm of the gradient before clipping; not finite if a derivative is not.
    pub gradient_norm: f64,
    /// Whether its step was taken.
    pub applied: bool,
    /// Whether nothing more is done from here on, before a state is put in place again.
    pub halted: bool,
}

/// All that later iterations depend on. Lists are in the engine's order of parameters.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// What training moves, of 53 bits.
    pub parameters: Vec<f64>,
    /// Running means of the derivatives, and of their squares.
    pub moments: [Vec<f64>; 2],
    /// The parameters' average, where one is kept.
    pub average: Option<Vec<f64>>,
    /// Steps of the policy's Adam.
    pub steps: u64,
    /// log Z and its own two running means.
    pub log_z: [f64; 3],
    /// Whether log Z has started.
    pub log_z_started: bool,
    /// Steps of log Z's Adam.
    pub log_z_steps: u64,
    /// Iterations skipped one after the other.
    pub skipped_in_a_row: u32,
}

/// An engine that can train on its device.
pub trait Resident {
    /// Gets ready for a training.
    ///
    /// # Errors
    /// `Limit` if this engine's process, target or policy cannot be trained so; the message says why, and what to do.
    fn settle(&mut self, plan: &Plan) -> Result<(), EngineError>;

    /// Puts a state in place, after which iterations go on from it.
    fn put(&mut self, state: &State) -> Result<(), EngineError>;

    /// Reads the state after all that was launched.
    fn get(&mut self) -> Result<State, EngineError>;

    /// Iterations that one flight may have.
    fn longest_flight(&self) -> usize;

    /// Launches a flight, and waits for nothing.
    fn launch(&mut self, iterations: &[Launch]) -> Result<(), EngineError>;

    /// What the iterations of the oldest flight did that has not landed; waits for it.
    fn land(&mut self) -> Result<Vec<Landed>, EngineError>;
}
