//! Training: rollout, coefficients, gradient, optimizer step, again and again.
//!
//! Everything random is a function of the seed and the iteration, so a trainer restored from a checkpoint continues bit
//! for bit. An iteration is applied whole or not at all: one that fails leaves everything as it was before. A gradient
//! that is not finite never reaches any weights: the iteration is skipped and counted, and [`PATIENCE`] of these in a row
//! end the run.

mod builder;
pub mod checkpoint;
mod detours;
mod found;
pub mod memory;
pub mod replay;
mod resident;
mod reverser;
mod rewards;
pub mod select;
mod shape;
pub mod source;
mod state;
mod step;

pub use builder::Builder;
pub use shape::{Shape, shape};
pub use state::RestoreError;
pub use step::Step;

use std::sync::Arc;

use self::found::Found;
use self::replay::Buffer;
use self::resident::Flights;
use self::reverser::Reverser;
use self::source::BatchSource;
use crate::config::{ConfigError, Settings};
use crate::engine::{Batch, Engine, EngineError, Rollout};
use crate::joint::EnergyTraining;
use crate::network::Layout;
use crate::objective::Objective;
use crate::optimizer::{Learn, LogZ, Weights};
use crate::process::{Objects, Process, Trajectories, unfold};
use crate::random::{Draw, Stream};
use crate::schedule::Progress;
use crate::targets::{Sampler, Target, TargetError};

/// Skipped steps in a row after which a run stops.
pub const PATIENCE: u32 = 10;

/// What ends training early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The engine refused, or failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The settings do not fit each other, the process or the target.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Too many steps in a row were skipped.
    #[error(
        "training diverged: {PATIENCE} steps in a row had no finite gradient (at iteration {iteration}: {found}); \
         the weights are those before them, and may be beyond use already. {advice}"
    )]
    Diverged {
        /// The last of them.
        iteration: u32,
        /// What was not finite in it.
        found: String,
        /// What to do.
        advice: &'static str,
    },
    /// A step failed, and the sampler of objects could not be set back to before it.
    #[error("{error}. Nor did the sampler of objects take its own state back: {reason}")]
    Sampler {
        /// Why the step failed.
        error: String,
        /// Why the sampler did not go back.
        reason: TargetError,
    },
}

/// A policy in training.
pub struct Trainer {
    settings: Settings,
    process: Arc<dyn Process>,
    layout: Layout,
    /// Of the network that says log F alone, where one does.
    flow_layout: Option<Layout>,
    target: Arc<dyn Target>,
    engine: Box<dyn Engine>,
    /// The sizes of its kernels, where it is on a GPU and was selected here, as JSON.
    kernels: Option<String>,
    objective: Objective,
    /// Where forward, backward and replayed batches come from.
    sources: [Box<dyn BatchSource>; 3],
    /// Objects for backward trajectories and for the energy model's steps, where any are needed: data if the target has
    /// some, else its samples. Both uses draw from this one, and its state is part of the training's.
    sampler: Option<Box<dyn Sampler>>,
    /// The training of the target's energy model, where it is trained along.
    energy: Option<EnergyTraining>,
    /// The policy's parameters, and what moves them.
    learner: Box<dyn Learn>,
    /// Which of them the engine computes with.
    held: Weights,
    /// What samples a learned P_B.
    reverser: Option<Reverser>,
    /// The learned log Z.
    log_z: LogZ,
    /// Iterations on the device, where training stays there.
    flights: Option<Flights>,
    /// The modes that forward trajectories have ended in, where the target knows its modes.
    found: Option<Found>,
    /// The objects that they ended in, where some are replayed.
    replay: Option<Buffer>,
    /// Iterations done.
    iteration: u32,
    skipped: u32,
    skipped_in_a_row: u32,
}

impl Trainer {
    /// A trainer on the engine that `settings.engine` asks for, and a line that says which it is and why.
    ///
    /// # Errors
    /// As [`Builder::build`].
    pub fn build(settings: &Settings, target: Arc<dyn Target>) -> Result<(Self, String), TrainError> {
        Builder::new(settings, target).build()
    }

    /// A trainer at iteration 0 with freshly drawn weights, on an engine made for the same settings and target.
    ///
    /// # Errors
    /// As [`Builder::build_on`].
    pub fn new(settings: &Settings, target: Arc<dyn Target>, engine: Box<dyn Engine>) -> Result<Self, TrainError> {
        Builder::new(settings, target).build_on(engine)
    }

    /// Iterations made so far, those before a resumption among them.
    pub fn iteration(&self) -> u32 {
        self.iteration
    }

    /// Steps skipped so far for want of a finite gradient.
    pub fn skipped(&self) -> u32 {
        self.skipped
    }

    /// Modes of the target that forward trajectories of the iterations so far have ended in, where the target knows its modes.
    pub fn modes_found(&self) -> Option<usize> {
        self.found.as_ref().map(Found::count)
    }

    /// What it was built with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What is sampled from.
    pub fn target(&self) -> &dyn Target {
        self.target.as_ref()
    }

    /// How objects are built.
    pub fn process(&self) -> &dyn Process {
        self.process.as_ref()
    }

    /// The shape of the policy.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The policy's parameters, in the order of [`Layout`].
    pub fn parameters(&self) -> Vec<f64> {
        self.of_policy(Weights::Trained)
    }

    /// Those that evaluations look at: their average over the iterations, where `evaluation.average` is set.
    pub fn evaluated_parameters(&self) -> Vec<f64> {
        self.of_policy(Weights::Averaged)
    }

    /// The policy's parameters, among all.
    fn of_policy(&self, weights: Weights) -> Vec<f64> {
        let mut parameters = self.learner.parameters(weights);
        parameters.truncate(self.layout.parameters());
        parameters
    }

    /// Has the engine compute with these parameters.
    fn hold(&mut self, weights: Weights) -> Result<(), EngineError> {
        let weights = if self.settings.evaluation.average.is_some() { weights } else { Weights::Trained };
        if weights != self.held {
            self.learner.give(self.engine.as_mut(), weights)?;
            self.held = weights;
        }
        Ok(())
    }

    /// The engine, holding the parameters that it last computed with: those being trained, unless an evaluation was last and
    /// `evaluation.average` is set.
    pub fn engine(&mut self) -> &mut dyn Engine {
        self.engine.as_mut()
    }

    /// The sizes of a GPU's kernels, as JSON.
    #[cfg(feature = "cli")]
    pub(crate) fn kernels(&self) -> Option<&str> {
        self.kernels.as_deref()
    }

    /// The learned log Z, where the objective learns one and it has started.
    pub fn zeta(&self) -> Option<f64> {
        self.log_z.value
    }

    /// Where the training stands.
    fn progress(&self) -> Progress {
        Progress { iteration: self.iteration, total: self.settings.training.iterations }
    }

    /// Whether all iterations are done.
    pub fn is_done(&self) -> bool {
        self.iteration >= self.settings.training.iterations
    }

    /// Forward trajectories numbered from `first` on, from the random numbers of `seed`, and the objects they end in. log R is
    /// the target's own, whatever training takes in its place, and the parameters are their average where `evaluation.average`
    /// is set.
    ///
    /// # Errors
    /// `Reward` if log R is NaN or plus infinity; if the engine fails, or a number is beyond what the counters of random
    /// numbers hold.
    pub fn evaluate_forward(&mut self, seed: u64, first: usize, count: usize) -> Result<(Batch, Objects), EngineError> {
        let draw = self.evaluation_draw(seed, Stream::Evaluation, first, count)?;
        self.hold(Weights::Averaged)?;
        let batch = self.rollout_checked(&Rollout::sample(draw, count))?;
        let objects = self.engine.objects()?;
        Ok((batch, if self.process.is_folded() { unfold(&objects, &draw) } else { objects }))
    }

    /// One backward trajectory, numbered from `first` on, for each of `objects`, from the random numbers of `seed`.
    ///
    /// # Errors
    /// As [`Trainer::evaluate_forward`].
    pub fn evaluate_backward(&mut self, seed: u64, first: usize, objects: &Objects) -> Result<Batch, EngineError> {
        let draw = self.evaluation_draw(seed, Stream::EvaluationBackward, first, objects.count())?;
        self.hold(Weights::Averaged)?;
        let trajectories = self.backward(objects, &draw)?;
        self.rollout_checked(&Rollout::replay(draw, &trajectories))
    }

    /// One trajectory to each object under P_B, of the parameters that the engine computes with.
    fn backward(&mut self, objects: &Objects, draw: &Draw) -> Result<Trajectories, EngineError> {
        let parameters = self.reverser.as_ref().map(|_| self.of_policy(self.held));
        match self.reverser.as_mut().zip(parameters) {
            None => Ok(self.process.backward(objects, draw)),
            Some((reverser, parameters)) => reverser.backward(objects, draw, &parameters),
        }
    }

    fn evaluation_draw(&self, seed: u64, stream: Stream, first: usize, count: usize) -> Result<Draw, EngineError> {
        if self.is_ahead() {
            let message =
                "iterations are under way on the device: an evaluation has to wait for them (Trainer::look_ahead)";
            return Err(EngineError::Limit(message.into()));
        }
        let too_many = |_| EngineError::Limit("an evaluation has 2^32 trajectories at most".into());
        u32::try_from(first + count.saturating_sub(1)).map_err(too_many)?;
        Ok(Draw { first_trajectory: first as u32, ..Draw::new(seed, self.iteration, stream) })
    }
}
