//! From settings and a target to a trainer.

use std::sync::Arc;

use super::found::Found;
use super::memory::{self, Machine, Purpose};
use super::replay::Buffer;
use super::resident::Flights;
use super::reverser::Reverser;
use super::select::{Selected, select_keeping};
use super::source::source;
use super::{Shape, TrainError, Trainer, shape};
#[cfg(feature = "cli")]
use super::{checkpoint::Checkpoint, state::KERNELS};
use crate::config::{Config, ConfigError, EvaluationConfig, Inputs, Settings};
use crate::engine::{Engine, EngineError, WithFlow};
use crate::joint::{self, EnergyTraining};
use crate::network::initialise;
use crate::objective::{LogZStart, Objective, Source};
use crate::optimizer::{HostLearner, Location, LogZ, Weights};
use crate::parallel::{Ranks, Shared, serve};
use crate::process::{Extras, Process};
use crate::random::Stream;
use crate::targets::{Target, check_shape};

/// A trainer in the making: what settings and target leave open can be one's own.
pub struct Builder {
    settings: Settings,
    target: Arc<dyn Target>,
    process: Option<Arc<dyn Process>>,
    objective: Option<Objective>,
    energy_training: Option<joint::Settings>,
    ranks: Option<Ranks>,
    looked_at: Option<EvaluationConfig>,
    kernels: Option<String>,
}

impl Builder {
    /// Site filling in the order of `settings.policy`, and the objective of `settings.objective`.
    pub fn new(settings: &Settings, target: Arc<dyn Target>) -> Self {
        Self {
            settings: settings.clone(),
            target,
            process: None,
            objective: None,
            energy_training: None,
            ranks: None,
            looked_at: None,
            kernels: None,
        }
    }

    /// What an experiment file describes.
    ///
    /// # Errors
    /// If the target cannot be built: a file that it needs is missing or wrong.
    pub fn of(config: &Config, inputs: Inputs) -> Result<Self, ConfigError> {
        let training = config.target.energy_training();
        Ok(Self::new(&config.settings, config.target.build(&inputs)?).energy_training(training))
    }

    /// What will be sampled from.
    #[cfg(feature = "cli")]
    pub(crate) fn target(&self) -> &dyn Target {
        self.target.as_ref()
    }

    /// Objects are built by this process in place of site filling, or of the target's own process.
    pub fn process(mut self, process: impl Process + 'static) -> Self {
        self.process = Some(Arc::new(process));
        self
    }

    /// What is minimised, in place of the settings' objective. (Of `settings.objective`, `log_z_start` and
    /// `log_reward_floor` still count.)
    pub fn objective(mut self, objective: Objective) -> Self {
        self.objective = Some(objective);
        self
    }

    /// The target's energy model is trained along with the policy.
    pub fn energy_training(mut self, settings: impl Into<Option<joint::Settings>>) -> Self {
        self.energy_training = settings.into();
        self
    }

    /// The engine is that of all these ranks together: on rank 0 for [`Builder::build`], on the others for
    /// [`Builder::serve`]. All have to be given the same settings, target and process.
    pub fn ranks(mut self, ranks: impl Into<Option<Ranks>>) -> Self {
        self.ranks = ranks.into();
        self
    }

    /// The policy will only be looked at, in evaluations of these sizes: memory is reckoned accordingly.
    pub fn only_evaluated(mut self, sizes: EvaluationConfig) -> Self {
        self.looked_at = Some(sizes);
        self
    }

    /// A GPU's kernels have the sizes that this checkpoint's run began with, if it was on this machine's adapter.
    #[cfg(feature = "cli")]
    pub(crate) fn continuing(mut self, checkpoint: &Checkpoint) -> Self {
        self.kernels = checkpoint.text(KERNELS).ok();
        self
    }

    /// A trainer on the engine that `settings.engine` asks for, and a line that says which it is and why.
    ///
    /// # Errors
    /// As [`Builder::build_on`], if the run does not fit the memory ([`memory::check`]), or if there is no such engine.
    pub fn build(mut self) -> Result<(Trainer, String), TrainError> {
        self.check()?;
        if let Some(machine) = Machine::here(&self.settings) {
            let (_, local) = self.ranks.as_ref().map_or((0, 1), Ranks::local);
            let (available, ranks) = (machine.available / local as u64, self.ranks.as_ref().map_or(1, Ranks::count));
            let machine = Machine { available, ranks, ..machine };
            let (sizes, purpose) = match &self.looked_at {
                Some(sizes) => (sizes, Purpose::Evaluation),
                None if self.energy_training.is_some() => (&self.settings.evaluation, Purpose::JointTraining),
                None => (&self.settings.evaluation, Purpose::Training),
            };
            let settings = Settings { evaluation: sizes.clone(), ..self.settings.clone() };
            memory::check(&settings, self.target.as_ref(), machine, purpose)?;
        }
        let Selected { engine, which, kernels } = self.engine()?;
        self.kernels = kernels;
        Ok((self.build_on(engine)?, which))
    }

    /// On ranks other than rank 0: has an engine take part in the training of rank 0, to its end.
    ///
    /// Whatever goes wrong is told to rank 0, which ends with it.
    ///
    /// # Panics
    /// Without [`Builder::ranks`], or on rank 0.
    pub fn serve(mut self) {
        let ranks = self.ranks.take().filter(|ranks| !ranks.leads()).expect("ranks, of which this is not the first");
        let local = ranks.local();
        serve(ranks, self.target.clone(), || match self.own_engine(local) {
            Ok(selected) => Ok(selected.engine),
            Err(TrainError::Engine(error)) => Err(error),
            Err(other) => Err(EngineError::Limit(other.to_string())),
        });
    }

    /// The engine that the settings ask for: this process's, or that of all ranks.
    fn engine(&mut self) -> Result<Selected, TrainError> {
        let Some(ranks) = self.ranks.take() else { return self.own_engine((0, 1)) };
        let Shape { process, .. } = self.shape()?;
        let (count, Selected { engine, which, kernels }) = (ranks.count(), self.own_engine(ranks.local())?);
        let shared = Shared::new(engine, process, self.target.clone(), ranks)?;
        Ok(Selected { engine: Box::new(shared), which: format!("{which}, on {count} ranks"), kernels })
    }

    /// This process's engine, `local` being its number among the ranks on this machine, and how many these are.
    fn own_engine(&self, local: (usize, usize)) -> Result<Selected, TrainError> {
        let Shape { process, layout, flow } = self.shape()?;
        let config = match flow {
            Some(_) => &self.settings.engine.shared_by(2, crate::memory::available()),
            None => &self.settings.engine,
        };
        let (activation, batch) = (self.settings.policy.activation, self.settings.training.batch);
        let at = (local, self.kernels.as_deref());
        let select =
            |process, layout| select_keeping(config, at, process, layout, activation, self.target.clone(), batch);
        let policy = select(process, &layout)?;
        Ok(match flow {
            Some((process, layout)) => {
                let engine = Box::new(WithFlow::new(policy.engine, select(process, &layout)?.engine));
                Selected { engine, ..policy }
            }
            None => policy,
        })
    }

    /// A trainer at iteration 0 with freshly drawn weights, on an engine made for the same settings, process and target.
    ///
    /// # Errors
    /// If the target's sizes or a setting are out of range, the process does not make the target's objects, or the
    /// objective needs what the target has not: samples or data, or R.
    pub fn build_on(self, mut engine: Box<dyn Engine>) -> Result<Trainer, TrainError> {
        self.check()?;
        let Shape { process, layout, flow } = self.shape()?;
        let flow_layout = flow.map(|(_, layout)| layout);
        let Self { settings, target, objective, energy_training, looked_at, kernels, .. } = self;
        let batch = settings.training.batch;
        let objective = match objective {
            Some(objective) => objective,
            None => settings.objective.objective(batch).map_err(ConfigError::from)?,
        };
        if let (1, Some(reason)) = (batch, objective.refuses_one()) {
            return Err(
                ConfigError::new(format!("training.batch = 1: the objective needs at least 2, {reason}")).into()
            );
        }
        if let Some(reason) = objective.refuses_off_policy() {
            refuse_off_policy(&settings, reason)?;
        }
        if objective.needs_reward() && !target.has_reward() {
            let message = "objective.kind: this target has data and no R, which only forward KL on data can do without: \
                           objective.kind = \"forward_kl\"";
            return Err(ConfigError::new(message).into());
        }
        if objective.looks_forward() && (target.guide().is_none() || target.process(Extras::default()).is_some()) {
            let message =
                "objective.forward_looking = true: this target knows no intermediate log-reward (Target::guide)";
            return Err(ConfigError::new(message).into());
        }
        if objective.matches_flows() {
            if process.backward_actions() > 0 {
                let message = "objective.kind = \"flow_matching\" knows of no P_B: policy.backward = \"uniform\"";
                return Err(ConfigError::new(message).into());
            }
            if process.parents(&vec![0; process.state_words()]).is_none() {
                let message = "objective.kind = \"flow_matching\": the process does not know the parents of a state (Process::parents)";
                return Err(ConfigError::new(message).into());
            }
        }
        if energy_training.is_some() && process.as_site_filling().is_none() {
            return Err(ConfigError::new("an energy model is trained along with site filling alone").into());
        }
        let energy = match energy_training {
            Some(training) => {
                let none = || ConfigError::new("this target has no energy model that could be trained along");
                Some((target.energy_model().ok_or_else(none)?, training))
            }
            None => None,
        };
        let sampler = if energy.is_some() {
            let none = "this target has an energy model to be trained along, which takes data, and has none";
            Some(target.data(batch).ok_or_else(|| ConfigError::new(none))?)
        } else if objective.needs(Source::Backward) {
            let none = |why| ConfigError::new(format!("objective.kind: it needs data or samples of the target: {why}"));
            Some(target.data(batch).map_or_else(|| target.sampler(settings.seed, batch).map_err(none), Ok)?)
        } else {
            None
        };
        let energy = energy.map(|(model, training)| EnergyTraining::begin(model, training, settings.seed));
        let initial = |layout, stream| initialise(layout, settings.policy.initialisation, settings.seed, stream);
        let mut parameters = initial(&layout, Stream::Initialisation);
        if let Some(layout) = &flow_layout {
            parameters.extend(initial(layout, Stream::FlowInitialisation));
        }
        let reverser =
            (process.backward_actions() > 0).then(|| Reverser::new(&process, &layout, &settings)).transpose()?;
        let learner = HostLearner::new(settings.optimizer, engine.arrangement(), &parameters)
            .averaging(settings.evaluation.average);
        engine.set_parameters(&parameters)?;
        let on_device = settings.optimizer.location == Location::Device && looked_at.is_none();
        let flights = if on_device {
            let has_energy = energy.is_some();
            Some(Flights::begin(&settings, &objective, process.as_ref(), target.as_ref(), has_energy, engine.as_mut())?)
        } else {
            None
        };
        let log_z = LogZ::new(settings.optimizer, settings.objective.log_z_start.and_then(LogZStart::before_any_batch));
        Ok(Trainer {
            found: Found::begin(target.as_ref()),
            replay: Buffer::begin(settings.replay, process.as_ref()),
            settings,
            process,
            layout,
            flow_layout,
            target,
            engine,
            kernels,
            objective,
            sources: [Source::Forward, Source::Backward, Source::Replay].map(source),
            sampler,
            energy,
            learner: Box::new(learner),
            held: Weights::Trained,
            reverser,
            log_z,
            flights,
            iteration: 0,
            skipped: 0,
            skipped_in_a_row: 0,
        })
    }

    fn check(&self) -> Result<(), TrainError> {
        check_shape(self.target.as_ref()).map_err(ConfigError::from)?;
        self.settings.check()?;
        let masked = self.process.is_some() || self.settings.policy.guided;
        if let Some(why) =
            self.target.forbids().filter(|_| !masked && self.settings.objective.log_reward_floor.is_none())
        {
            let message = match self.target.guide() {
                Some(_) => format!(
                    "policy.guided = false: the target forbids some objects, for {why}: set policy.guided = true, which never makes \
                     what is seen to be forbidden, or objective.log_reward_floor"
                ),
                None => format!(
                    "objective.log_reward_floor is missing: the target forbids some objects, for {why}, and training needs a number to \
                     take in place of their log R"
                ),
            };
            return Err(ConfigError::new(message).into());
        }
        let (sites, values) = (self.target.sites(), self.target.values());
        match &self.process {
            Some(process) if (process.sites(), process.values()) != (sites, values) => {
                let (made, of) = (process.sites(), process.values());
                let message = format!(
                    "the process makes objects of {made} sites of {of} values, and the target's have {sites} of {values}"
                );
                Err(ConfigError::new(message).into())
            }
            _ => Ok(()),
        }
    }

    fn shape(&self) -> Result<Shape, ConfigError> {
        let flow = match &self.objective {
            Some(objective) => objective.needs_flow(),
            None => self.settings.objective.objective(self.settings.training.batch)?.needs_flow(),
        };
        shape(&self.settings, self.target.as_ref(), self.process.as_ref(), flow)
    }
}

/// Refuses other trajectories than the policy's own, for an objective that for this reason cannot take any.
fn refuse_off_policy(settings: &Settings, reason: &str) -> Result<(), ConfigError> {
    let (replay, exploration) = (&settings.replay, &settings.exploration);
    let (key, what) = if replay.is_on() {
        (format!("replay.capacity = {}", replay.capacity), "replayed objects")
    } else if exploration.is_on() {
        let (epsilon, temperature) = (exploration.epsilon, exploration.temperature);
        (format!("exploration = {{ epsilon = {epsilon}, temperature = {temperature} }}"), "trajectories that explore")
    } else {
        return Ok(());
    };
    Err(ConfigError::new(format!(
        "{key}: the objective cannot be trained on {what}, for {reason}; objective.kind = \"trajectory_balance\", \"alpha_tb\", \
         \"regression\", \"log_variance\", \"detailed_balance\" and \"subtrajectory_balance\" can"
    )))
}
