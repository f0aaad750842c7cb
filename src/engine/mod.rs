//! The two engines' common face: roll out, replay, differentiate.
//!
//! An engine holds a policy's parameters and the batch it last rolled out. Objectives never see it: they get a
//! [`Batch`] of log-probabilities and give back [`Coefficients`], one number a trajectory or one a step.

mod adapter;
mod batch;
pub(crate) mod check;
pub mod cpu;
#[cfg(feature = "gpu")]
pub mod gpu;
mod moments;
mod request;
pub mod resident;
mod reward;
mod with_flow;

pub use adapter::{AdapterDescription, AdapterKind};
pub(crate) use batch::RowCoefficients;
pub use batch::{Batch, Coefficients, StepCoefficients, Steps, Summand};
pub use moments::Moments;
pub use request::{Behaviour, Given, Rollout};
pub use reward::check_rewards;
pub(crate) use reward::log_rewards;
pub(crate) use with_flow::WithFlow;

use std::iter::Sum;
use std::ops::Add;
use std::time::Duration;

use crate::network::Arrangement;
use crate::process::{Objects, Trajectories};
pub use crate::sums::Tree;

/// Trajectories are worked on in blocks of this many, on both engines. Reductions run over blocks in a fixed order, so
/// results depend neither on the number of threads nor on how many blocks fit the memory at once.
pub const BLOCK: usize = 64;

/// What went wrong in an engine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The device, driver or adapter failed.
    #[error("{0}")]
    Device(String),
    /// What was asked for does not fit the adapter, the memory, or the policy and process of the engine: a matter of the
    /// configuration, or of lengths and numbers that a caller gave.
    #[error("{0}")]
    Limit(String),
    /// There is no GPU adapter, or none like the one asked for; the message lists those there are.
    #[error("{0}")]
    NoAdapter(String),
    /// There is no batch that could be differentiated: none was rolled out, it was not kept, or other parameters were set
    /// since.
    #[error("{0}")]
    NoBatch(&'static str),
    /// WGSL that does not compile: a target's, if the crate's own tests pass.
    #[error("{0}")]
    Kernel(String),
    /// A target's log R is not one: NaN, or plus infinity.
    #[error("{0}")]
    Reward(String),
}

/// What an engine will be asked for, by which its memory is reckoned beforehand.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Trajectories rolled out and differentiated at once.
    pub batch: usize,
    /// Most trajectories rolled out at once without that.
    pub loose: usize,
    /// Whether [`Differentiate::moments`] are asked for.
    pub moments: bool,
}

/// Bytes of memory: at all times, and what comes on top of that.
#[derive(Clone, Copy, Debug, Default)]
pub struct Need {
    /// From the start on, parameters and their gradient among them.
    pub always: u64,
    /// While a training batch is rolled out and differentiated.
    pub training: u64,
    /// While as many trajectories as an evaluation wants at once are rolled out.
    pub evaluation: u64,
}

impl Sum for Need {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, need| Self {
            always: sum.always + need.always,
            training: sum.training + need.training,
            evaluation: sum.evaluation + need.evaluation,
        })
    }
}

/// The half of an engine that rolls out, and tells what came of it.
///
/// Numbers and lengths that do not fit are `Limit` errors, and leave the engine as it was.
pub trait Roll: Send {
    /// One line for people and summaries: "native f32, 2 threads" or "gpu: NVIDIA H100 (Vulkan)".
    fn name(&self) -> String;

    /// The adapter's name on a GPU, "none" otherwise.
    fn adapter(&self) -> String;

    /// How often it has called upon a device of its own, if it has one.
    fn counts(&self) -> Option<Counts> {
        None
    }

    /// Itself, where trainings can stay on its device.
    fn resident(&mut self) -> Option<&mut dyn resident::Resident> {
        None
    }

    /// Rolls out a batch, or replays a given one, and holds it until the next call.
    fn rollout(&mut self, request: &Rollout) -> Result<Batch, EngineError>;

    /// The trajectories of the batch held.
    fn trajectories(&mut self) -> Result<Trajectories, EngineError>;

    /// The objects of the batch held.
    fn objects(&mut self) -> Result<Objects, EngineError>;

    /// log R of given objects, one number each. The batch held stays as it is.
    fn log_reward(&mut self, objects: &Objects) -> Result<Vec<f64>, EngineError>;

    /// sum_i coefficients_i * grad log R(x_i) with respect to the parameters of the target's network, in the order of its
    /// layout. The batch held stays as it is.
    ///
    /// # Errors
    /// `Limit` if the target has no network.
    fn reward_gradient(&mut self, objects: &Objects, coefficients: &[f64]) -> Result<Vec<f64>, EngineError>;

    /// The same as leaves of a larger sum, as many as [`Differentiate::leaves`] says for so many blocks of objects.
    ///
    /// # Errors
    /// Those of the same, and then nothing was added.
    fn add_reward_leaves(
        &mut self,
        objects: &Objects,
        coefficients: &[f64],
        tree: &mut Tree,
    ) -> Result<(), EngineError> {
        tree.add(&self.reward_gradient(objects, coefficients)?);
        Ok(())
    }
}

/// How often an engine has called upon its device since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Kernels launched.
    pub dispatches: u64,
    /// Lists of commands submitted.
    pub submits: u64,
    /// Times that the host waited for a result.
    pub waits: u64,
    /// How long it waited in all.
    pub waited: Duration,
}

impl Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            dispatches: self.dispatches + other.dispatches,
            submits: self.submits + other.submits,
            waits: self.waits + other.waits,
            waited: self.waited + other.waited,
        }
    }
}

/// The half of an engine that holds a policy's parameters, and differentiates log P_F by them.
///
/// Parameters and whatever there is a number of for each are lists in an order of the engine's own ([`Arrangement`]).
/// Those that take or give the order of the layout say so.
pub trait Differentiate: Send {
    /// The engine's order of parameters.
    fn arrangement(&self) -> &Arrangement;

    /// Takes the policy's parameters, in the engine's order.
    fn load(&mut self, arranged: &[f64]) -> Result<(), EngineError>;

    /// Adds the sum of coefficients times grad log P_F over the batch held, which must have been kept, to `total`, in the
    /// engine's order.
    ///
    /// # Errors
    /// `NoBatch` if there is no such batch, or parameters were set in between. So for all that follows with this need.
    fn accumulate(&mut self, coefficients: &Coefficients, total: &mut [f64]) -> Result<(), EngineError>;

    /// Trajectories of the batch held.
    fn held(&self) -> usize;

    /// |h_i|^2 of each trajectory of the batch held, h_i = grad log P_F(tau_i). Needs what [`Differentiate::accumulate`]
    /// needs.
    ///
    /// Here, as in the two methods that follow, by the definition: a gradient a trajectory. Engines do better.
    fn square_norms(&mut self) -> Result<Vec<f64>, EngineError> {
        square_norms_by_definition(self)
    }

    /// Sums over the trajectories of the batch held of h_i, c_i h_i and their squares, c being `coefficients`, in the
    /// engine's order.
    ///
    /// Needs memory for some lists of all parameters, whatever the size of the batch.
    fn moments(&mut self, coefficients: &[f64]) -> Result<Moments, EngineError> {
        let mut moments = Moments::default();
        for (i, &c) in coefficients.iter().enumerate() {
            moments.add(c, &score(self, coefficients.len(), i)?);
        }
        Ok(moments)
    }

    /// sum_i sum_d (c_i - k_{i,d}) h_{i,d}, where k_{i,d} is the ratio of sum_j c_j h_{j,d}^2 to sum_j h_{j,d}^2 over
    /// all trajectories j but i; 0/0 means 0. `moments` are those of the same batch and coefficients. In the engine's order.
    ///
    /// Where the others' squares are less than the rounding of their sum with h_{i,d}^2, they count as 0.
    fn leave_one_out_gradient(&mut self, coefficients: &[f64], moments: &Moments) -> Result<Vec<f64>, EngineError> {
        let mut gradient = vec![0.0; moments.squares.len()];
        for (i, &c) in coefficients.iter().enumerate() {
            let score = score(self, coefficients.len(), i)?;
            for (d, (sum, h)) in gradient.iter_mut().zip(score).enumerate() {
                *sum += moments.leave_one_out_term(d, c, h);
            }
        }
        Ok(gradient)
    }

    /// How many leaves the engine makes of `blocks` blocks ([`BLOCK`]) of trajectories: here one of all that there are.
    ///
    /// An engine that makes one of each block has sums that do not depend on how a batch is shared out among processes.
    fn leaves(&self, blocks: usize) -> usize {
        usize::from(blocks > 0)
    }

    /// What one of the three sums above is over the batch held, as leaves of the sum over a larger batch.
    ///
    /// # Errors
    /// Those of the same, and then nothing was added.
    fn add_leaves(&mut self, of: Summand, tree: &mut Tree) -> Result<(), EngineError> {
        let leaf = match of {
            Summand::Gradient(coefficients) => {
                let mut total = vec![0.0; self.arrangement().length()];
                self.accumulate(coefficients, &mut total)?;
                total
            }
            Summand::Moments(coefficients) => self.moments(coefficients)?.into_list(),
            Summand::LeftOut(coefficients, moments) => self.leave_one_out_gradient(coefficients, moments)?,
        };
        tree.add(&leaf);
        Ok(())
    }

    /// Takes the policy's parameters, in the order of [`crate::network::Layout`].
    fn set_parameters(&mut self, parameters: &[f64]) -> Result<(), EngineError> {
        check::parameters(self.arrangement(), parameters)?;
        let arranged = self.arrangement().arrange(parameters);
        self.load(&arranged)
    }

    /// sum_i coefficients_i * grad log P_F(tau_i) over the batch held, in the order of [`crate::network::Layout`].
    fn gradient(&mut self, coefficients: &[f64]) -> Result<Vec<f64>, EngineError> {
        let mut total = vec![0.0; self.arrangement().length()];
        self.accumulate(&Coefficients::Trajectories(coefficients.to_vec()), &mut total)?;
        Ok(self.arrangement().restore(&total))
    }
}

/// What carries out rollouts and gradients.
pub trait Engine: Roll + Differentiate {}

impl<E: Roll + Differentiate> Engine for E {}

/// [`Differentiate::square_norms`] by a gradient a trajectory.
pub(crate) fn square_norms_by_definition<E: Differentiate + ?Sized>(engine: &mut E) -> Result<Vec<f64>, EngineError> {
    let count = engine.held();
    (0..count).map(|i| Ok(score(engine, count, i)?.iter().map(|h| h * h).sum())).collect()
}

/// h_i of one of `count` trajectories, as a gradient of its own.
fn score<E: Differentiate + ?Sized>(engine: &mut E, count: usize, i: usize) -> Result<Vec<f64>, EngineError> {
    let mut one = vec![0.0; count];
    one[i] = 1.0;
    let mut total = vec![0.0; engine.arrangement().length()];
    engine.accumulate(&Coefficients::Trajectories(one), &mut total)?;
    Ok(total)
}
