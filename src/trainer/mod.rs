//! Training: rollout, coefficients, gradient, optimizer step, again and again.
//!
//! Everything random is a function of the seed and the iteration, so a trainer restored from a checkpoint continues bit
//! for bit. A gradient that is not finite never reaches the weights: the step is skipped and counted, and
//! [`PATIENCE`] skipped steps in a row end the run.

mod estimate;
pub mod memory;
mod state;

pub use estimate::estimate;
pub use state::RestoreError;

use std::sync::Arc;

use self::memory::Machine;
use crate::config::{ConfigError, Settings};
use crate::engine::select::select;
use crate::engine::{Batch, Engine, EngineError, Rollout};
use crate::joint::{EnergyStep, EnergyTraining};
use crate::objective::{Objective, Source};
use crate::optimizer::{Optimizer, norm};
use crate::policy::{Layout, initialise};
use crate::process::{Objects, SiteFilling};
use crate::random::{Draw, Stream};
use crate::schedule::Progress;
use crate::target::{Sampler, Target};

/// Skipped steps in a row after which a run stops.
pub const PATIENCE: u32 = 10;

/// What ends training early.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(
        "training diverged: {PATIENCE} steps in a row had no finite gradient (at iteration {iteration}: {found}); \
         the weights are those before them. Lower optimizer.learning_rate, set optimizer.clip_norm, or check log R"
    )]
    Diverged { iteration: u32, found: String },
}

/// A policy in training.
pub struct Trainer {
    settings: Settings,
    process: SiteFilling,
    layout: Layout,
    target: Arc<dyn Target>,
    engine: Box<dyn Engine>,
    objective: Objective,
    /// Objects for backward trajectories, where the objective needs them: data if the target has some, else its samples.
    sampler: Option<Box<dyn Sampler>>,
    /// The training of the target's energy model, where it is trained along.
    energy: Option<EnergyTraining>,
    parameters: Vec<f64>,
    /// The learned log Z.
    zeta: f64,
    optimizer: Optimizer,
    /// Iterations done.
    iteration: u32,
    skipped: u32,
    skipped_in_a_row: u32,
}

/// What one iteration did.
#[derive(Clone, Debug)]
pub struct Step {
    pub iteration: u32,
    pub loss: f64,
    /// Euclidean norm of the policy's gradient, before clipping.
    pub gradient_norm: f64,
    /// The learned log Z before the step, where one is learned.
    pub zeta: Option<f64>,
    /// log w of the forward trajectories, if the iteration had any.
    pub forward_log_weights: Option<Vec<f64>>,
    /// The energy model's step, where one is trained along.
    pub energy: Option<EnergyStep>,
    pub skipped: bool,
}

/// The process and the shape of the policy that `settings` describe for `target`.
pub fn shape(settings: &Settings, target: &dyn Target) -> (SiteFilling, Layout) {
    let (sites, values) = (target.sites(), target.values());
    let process = SiteFilling { sites, values, order: settings.policy.order, encoding: target.encoding() };
    let layout = Layout::new(process.columns(), &settings.policy.hidden, process.actions());
    (process, layout)
}

impl Trainer {
    /// A trainer on the engine that `settings.engine` asks for, and a line that says which it is and why.
    ///
    /// # Errors
    /// As [`Trainer::new`], if the run does not fit the memory ([`memory::check`]), or if there is no such engine.
    pub fn build(settings: &Settings, target: Arc<dyn Target>) -> Result<(Self, String), TrainError> {
        settings.check()?;
        if let Some(machine) = Machine::here(settings) {
            memory::check(settings, target.as_ref(), machine)?;
        }
        let (process, layout) = shape(settings, target.as_ref());
        let (engine, which) = select(&settings.engine, &process, &layout, settings.policy.activation, target.clone())?;
        Ok((Self::new(settings, target, engine)?, which))
    }

    /// A trainer at iteration 0 with freshly drawn weights, on an engine made for the same settings and target.
    ///
    /// # Errors
    /// If a setting is out of range, or the objective needs what the target has not: samples or data, or R.
    pub fn new(settings: &Settings, target: Arc<dyn Target>, engine: Box<dyn Engine>) -> Result<Self, TrainError> {
        settings.check()?;
        let (process, layout) = shape(settings, target.as_ref());
        let objective = settings.objective.objective(settings.training.batch).map_err(ConfigError::new)?;
        if objective.needs_reward() && !target.has_reward() {
            let message = "objective.kind: this target has data and no R, which only forward KL on data can do without: \
                           objective.kind = \"forward_kl\"";
            return Err(ConfigError::new(message).into());
        }
        let sampler = if objective.needs(Source::Backward) {
            let batch = settings.training.batch;
            let none = |why| ConfigError::new(format!("objective.kind: it needs data or samples of the target: {why}"));
            Some(target.data(batch).map_or_else(|| target.sampler(settings.seed, batch).map_err(none), Ok)?)
        } else {
            None
        };
        let energy = target.energy().and_then(|energy| EnergyTraining::begin(energy, settings.seed));
        let parameters = initialise(&layout, settings.policy.initialisation, settings.seed, Stream::Initialisation);
        let mut trainer = Self {
            optimizer: Optimizer::new(settings.optimizer, parameters.len()),
            zeta: 0.0,
            settings: settings.clone(),
            process,
            layout,
            target,
            engine,
            objective,
            sampler,
            energy,
            parameters,
            iteration: 0,
            skipped: 0,
            skipped_in_a_row: 0,
        };
        trainer.engine.set_parameters(&trainer.parameters)?;
        Ok(trainer)
    }

    pub fn iteration(&self) -> u32 {
        self.iteration
    }

    /// Steps skipped so far for want of a finite gradient.
    pub fn skipped(&self) -> u32 {
        self.skipped
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    pub fn target(&self) -> &dyn Target {
        self.target.as_ref()
    }

    pub fn process(&self) -> &SiteFilling {
        &self.process
    }

    /// The shape of the policy.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The policy's parameters, in the order of [`Layout`].
    pub fn parameters(&self) -> &[f64] {
        &self.parameters
    }

    /// The engine, holding the current parameters.
    pub fn engine(&mut self) -> &mut dyn Engine {
        self.engine.as_mut()
    }

    /// The learned log Z, where the objective learns one.
    pub fn zeta(&self) -> Option<f64> {
        self.objective.learns_zeta().then_some(self.zeta)
    }

    /// Whether all iterations are done.
    pub fn is_done(&self) -> bool {
        self.iteration >= self.settings.training.iterations
    }

    /// One iteration: a step of the policy and then, where an energy model is trained along, one of that.
    pub fn step(&mut self) -> Result<Step, TrainError> {
        let progress = Progress { iteration: self.iteration, total: self.settings.training.iterations };
        let mut gradient = vec![0.0; self.parameters.len()];
        let (mut loss, mut zeta_gradient, mut forward_log_weights) = (0.0, None, None);
        let mut not_finite = None;
        for term in self.objective.terms(progress) {
            let batch = self.batch(term.source)?;
            let log_weights = batch.log_weights();
            let coefficients = term.coefficients(&log_weights, self.zeta);
            if coefficients.is_finite() {
                let part = estimate(self.engine.as_mut(), &coefficients.policy, term.optimal())?;
                gradient.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
            } else {
                not_finite = not_finite.or(Some(first_not_finite(&batch)));
            }
            loss += coefficients.loss;
            if let Some(derivative) = coefficients.zeta {
                zeta_gradient = Some(zeta_gradient.unwrap_or(0.0) + derivative);
            }
            if term.source == Source::Forward {
                forward_log_weights = Some(log_weights);
            }
        }
        let gradient_norm = norm(&gradient);
        if not_finite.is_none() && !gradient_norm.is_finite() {
            not_finite = Some("log-weights were finite, the gradient was not".into());
        }
        let zeta = self.zeta();
        if not_finite.is_none() {
            let (parameters, zeta) = (&mut self.parameters, &mut self.zeta);
            self.optimizer.step(progress, parameters, &mut gradient, zeta, zeta_gradient);
            self.engine.set_parameters(parameters)?;
        }
        let energy = self.energy_step()?;
        if energy.is_some_and(|step| !step.gradient_norm.is_finite()) {
            not_finite = not_finite.or(Some("the energy model's gradient is not finite".into()));
        }
        match &not_finite {
            None => self.skipped_in_a_row = 0,
            Some(found) => {
                self.skipped += 1;
                self.skipped_in_a_row += 1;
                if self.skipped_in_a_row >= PATIENCE {
                    return Err(TrainError::Diverged { iteration: self.iteration, found: found.clone() });
                }
            }
        }
        let iteration = self.iteration;
        self.iteration += 1;
        Ok(Step { iteration, loss, gradient_norm, zeta, forward_log_weights, energy, skipped: not_finite.is_some() })
    }

    /// The energy model's step from a batch of data, where one is trained along.
    fn energy_step(&mut self) -> Result<Option<EnergyStep>, EngineError> {
        let draw = |stream| Draw::new(self.settings.seed, self.iteration, stream);
        let (Some(energy), Some(mut data)) = (&mut self.energy, self.target.data(self.settings.training.batch)) else {
            return Ok(None);
        };
        let data = data.sample(&draw(Stream::Data));
        energy.step(self.engine.as_mut(), &self.process, &data, draw(Stream::Proposal)).map(Some)
    }

    /// Rolls out one batch of this iteration and keeps what its gradient needs.
    fn batch(&mut self, source: Source) -> Result<Batch, EngineError> {
        let draw = |stream| Draw::new(self.settings.seed, self.iteration, stream);
        match source {
            Source::Forward => {
                let request = Rollout::sample(draw(Stream::Training), self.settings.training.batch);
                self.engine.rollout(&request.kept())
            }
            Source::Backward => {
                let sampler = self.sampler.as_mut().expect("made with the trainer if the objective needs it");
                let objects = sampler.sample(&draw(Stream::TargetSampler));
                let trajectories = self.process.backward(&objects, &draw(Stream::Backward));
                self.engine.rollout(&Rollout::replay(draw(Stream::Backward), &trajectories).kept())
            }
        }
    }

    /// Forward trajectories numbered from `first` on, from the random numbers of `seed`, and the objects they end in.
    ///
    /// # Errors
    /// If the engine fails, or a number is beyond what the counters of random numbers hold.
    pub fn evaluate_forward(&mut self, seed: u64, first: usize, count: usize) -> Result<(Batch, Objects), EngineError> {
        let draw = self.evaluation_draw(seed, Stream::Evaluation, first, count)?;
        let batch = self.engine.rollout(&Rollout::sample(draw, count))?;
        Ok((batch, self.engine.objects()?))
    }

    /// One backward trajectory, numbered from `first` on, for each of `objects`, from the random numbers of `seed`.
    ///
    /// # Errors
    /// As [`Trainer::evaluate_forward`].
    pub fn evaluate_backward(&mut self, seed: u64, first: usize, objects: &Objects) -> Result<Batch, EngineError> {
        let draw = self.evaluation_draw(seed, Stream::EvaluationBackward, first, objects.count())?;
        let trajectories = self.process.backward(objects, &draw);
        self.engine.rollout(&Rollout::replay(draw, &trajectories))
    }

    fn evaluation_draw(&self, seed: u64, stream: Stream, first: usize, count: usize) -> Result<Draw, EngineError> {
        let too_many = |_| EngineError::Limit("an evaluation has 2^32 trajectories at most".into());
        u32::try_from(first + count.saturating_sub(1)).map_err(too_many)?;
        Ok(Draw { first_trajectory: first as u32, ..Draw::new(seed, self.iteration, stream) })
    }
}

/// Where a batch stopped being finite, for people.
fn first_not_finite(batch: &Batch) -> String {
    let named = [("log P_F", &batch.log_forward), ("log P_B", &batch.log_backward), ("log R", &batch.log_reward)];
    for (name, values) in named {
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
            let count = values.iter().filter(|value| !value.is_finite()).count();
            let of = values.len();
            return format!("{name} is {} for trajectory {index}, {count} of {of} are not finite", values[index]);
        }
    }
    "all log-probabilities are finite, the objective's coefficients are not".into()
}
