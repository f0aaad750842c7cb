//! Training that stays on the engine's device (`optimizer.location = "device"`): the trainer launches flights of iterations, and tells
//! of them one by one in order.
//!
//! The learner and log Z on the host are then what the device had when nothing was under way: each time that all iterations begun
//! have been told, its state is read. So checkpoints and evaluations are the same as ever, and a trainer that may not look ahead
//! (`Trainer::look_ahead`) is always there.

use std::collections::VecDeque;

use super::rewards::TrainingBatch;
use super::step::{Fault, Step, fault, unbounded_gradient};
use super::{PATIENCE, TrainError, Trainer};
use crate::config::{ConfigError, Settings};
use crate::engine::resident::{Landed, Launch, Plan, Resident, State};
use crate::engine::{Batch, Engine, EngineError, Rollout, check_rewards};
use crate::objective::{Contribution, Objective, Source};
use crate::optimizer::{LearnerState, Weights};
use crate::process::{LOG_PAIR, Process};
use crate::random::{Draw, Stream};
use crate::schedule::Progress;
use crate::targets::Target;

/// Flights under way at once: the device goes on while the host looks at the one that landed.
const FLIGHTS: usize = 2;

/// Where the iterations on the device are.
pub(super) struct Flights {
    /// Iterations begun.
    begun: u32,
    /// Those up to this one may be begun before the ones before them are told.
    until: u32,
    /// Flights that have not landed.
    under_way: usize,
    /// What has landed and is not told.
    landed: VecDeque<Landed>,
    /// Whether the device has the host's state to go on from.
    placed: bool,
    /// Whether the host has the device's.
    read: bool,
    /// Iterations told, skipped and skipped in a row when it was read.
    standing: [u32; 3],
}

impl Flights {
    /// Prepares the engine, unless something about the training is the host's.
    pub fn begin(
        settings: &Settings,
        objective: &Objective,
        process: &dyn Process,
        target: &dyn Target,
        has_energy: bool,
        engine: &mut dyn Engine,
    ) -> Result<Self, TrainError> {
        let plan = plan(settings, objective, process, target, has_energy).map_err(refused)?;
        let none = || refused("the native engine has none (engine.kind = \"gpu\" takes one)".into());
        engine.resident().ok_or_else(none)?.settle(&plan)?;
        let (landed, standing) = (VecDeque::new(), [0; 3]);
        Ok(Self { begun: 0, until: 0, under_way: 0, landed, placed: false, read: true, standing })
    }
}

fn refused(why: String) -> ConfigError {
    ConfigError::new(format!("optimizer.location = \"device\": {why}. optimizer.location = \"host\" takes anything"))
}

/// What the device has to know; or what of the settings it cannot do, and what it can.
fn plan(
    settings: &Settings,
    objective: &Objective,
    process: &dyn Process,
    target: &dyn Target,
    has_energy: bool,
) -> Result<Plan, String> {
    let (replay, exploration, optimizer) = (&settings.replay, &settings.exploration, &settings.optimizer);
    let forward = objective.forward_alone().ok_or(
        "objective.kind and alpha: trajectories from data or samples of the target are made on the host; an objective on forward \
         trajectories alone is allowed",
    )?;
    let formula = forward.formula().map_err(|why| {
        format!(
            "objective.kind: {why}; \"trajectory_balance\", \"regression\", \"log_variance\", \"reverse_kl\" (with the control \
             variates none, learned, leave_one_out and leave_one_out_log_z), \"snis_forward_kl\", \"renyi\" and \"tsallis\" are allowed"
        )
    })?;
    let capacity = replay.capacity;
    let keys = [
        (replay.is_on(), format!("replay.capacity = {capacity}: objects are kept on the host; 0 is allowed")),
        (
            exploration.is_on(),
            "exploration: trajectories are the policy's own; epsilon = 0 and temperature = 1 are allowed".into(),
        ),
        (
            has_energy,
            "target.kind: an energy model is trained along on the host; one that stays as it is is allowed".into(),
        ),
        (
            target.modes().is_some(),
            "target.kind: the modes that training comes upon are counted on the host; a target that does \
                                    not know its modes is allowed"
                .into(),
        ),
    ];
    if let Some((_, message)) = keys.into_iter().find(|(refused, _)| *refused) {
        return Err(message);
    }
    Ok(Plan {
        formula,
        batch: settings.training.batch,
        log_reward_floor: settings.objective.log_reward_floor,
        log_prefix: if process.is_folded() { LOG_PAIR } else { 0.0 },
        learning_rates: [optimizer.learning_rate, optimizer.zeta_learning_rate],
        betas: [optimizer.beta1, optimizer.beta2],
        epsilon: optimizer.epsilon,
        weight_decay: optimizer.weight_decay,
        average: settings.evaluation.average,
        clip_norm: optimizer.clip_norm,
        patience: PATIENCE,
    })
}

impl Trainer {
    /// Lets iterations be begun before the ones before them have been told by [`Trainer::step`], up to `until` of them in all:
    /// where training stays on the device (`optimizer.location`), it then never waits for the host. Otherwise this changes nothing.
    ///
    /// While any are ([`Trainer::is_ahead`]), checkpoints, parameters and log Z are those of before the first of them, and there
    /// are no evaluations.
    pub fn look_ahead(&mut self, until: u32) {
        let total = self.settings.training.iterations;
        self.flights.iter_mut().for_each(|flights| flights.until = until.min(total));
    }

    /// Whether iterations are done or under way on the device that have not been told.
    pub fn is_ahead(&self) -> bool {
        self.flights.as_ref().is_some_and(|flights| flights.begun != self.iteration || !flights.read)
    }

    /// Iterations told, skipped and skipped in a row that belong to the parameters that the host has.
    pub(super) fn standing(&self) -> [u32; 3] {
        match &self.flights {
            Some(flights) if self.is_ahead() => flights.standing,
            _ => [self.iteration, self.skipped, self.skipped_in_a_row],
        }
    }

    fn flights(&mut self) -> &mut Flights {
        self.flights.as_mut().expect("only where training is on the device")
    }

    fn device(&mut self) -> &mut dyn Resident {
        self.engine.resident().expect("settled when the trainer was built")
    }

    /// The next iteration in order, done on the device.
    pub(super) fn step_on_device(&mut self) -> Result<Step, TrainError> {
        self.launch()?;
        if self.flights().landed.is_empty() {
            let landed = self.device().land()?;
            let flights = self.flights();
            flights.under_way -= 1;
            flights.landed.extend(landed);
        }
        let landed = self.flights().landed.pop_front().expect("a flight has iterations");
        if landed.halted {
            return Err(self.halt(landed));
        }
        let step = self.told(landed);
        if self.flights().begun == self.iteration {
            self.read_state()?;
        }
        Ok(step)
    }

    /// Launches what may be.
    fn launch(&mut self) -> Result<(), TrainError> {
        let until = self.flights().until.max(self.iteration + 1);
        while self.flights().under_way < FLIGHTS && self.flights().begun < until {
            if !self.flights().placed {
                self.place_state()?;
            }
            // An evaluation may have looked at their average.
            self.hold(Weights::Trained)?;
            let begun = self.flights().begun;
            let count = (self.device().longest_flight() as u32).min(until - begun);
            let launches: Vec<Launch> = (begun..begun + count).map(|iteration| self.plan_of(iteration)).collect();
            self.flights().read = false;
            self.device().launch(&launches)?;
            let flights = self.flights();
            (flights.begun, flights.under_way) = (begun + count, flights.under_way + 1);
        }
        Ok(())
    }

    fn plan_of(&self, iteration: u32) -> Launch {
        let progress = Progress { iteration, total: self.settings.training.iterations };
        Launch {
            draw: Draw::new(self.settings.seed, iteration, Stream::Training),
            rate_factor: self.settings.optimizer.factor(progress),
            beta: self.settings.anneal.beta(progress),
        }
    }

    /// An iteration's trajectories as they are trained on, and what the objective makes of them.
    fn weighed(&mut self, mut batch: Batch, log_z: Option<f64>) -> (TrainingBatch, Contribution) {
        if self.process.is_folded() {
            batch.prepend(LOG_PAIR);
        }
        let drawn = self.as_trained(batch);
        let term = self.objective.terms(self.progress()).remove(0);
        let contribution = term.contribution(&drawn.batch, log_z.unwrap_or_default());
        (drawn, contribution)
    }

    /// Counts an iteration, and says what it did.
    fn told(&mut self, Landed { batch, log_z, gradient_norm, applied, .. }: Landed) -> Step {
        let (drawn, Contribution { loss, .. }) = self.weighed(batch, log_z);
        let iteration = self.iteration;
        self.iteration += 1;
        self.skipped += u32::from(!applied);
        self.skipped_in_a_row = if applied { 0 } else { self.skipped_in_a_row + 1 };
        Step {
            iteration,
            loss,
            gradient_norm,
            zeta: log_z,
            forward_log_weights: Some(drawn.log_weights()),
            forbidden_fraction: drawn.forbidden_fraction(),
            energy: None,
            skipped: !applied,
        }
    }

    /// Why the device halted at an iteration, after which nothing has been applied. The trainer is as it was before it.
    fn halt(&mut self, landed: Landed) -> TrainError {
        self.forget_flights();
        if let Err(error) = self.read_state() {
            return error;
        }
        self.flights().placed = false;
        let iteration = self.iteration;
        let request = Rollout::sample(self.plan_of(iteration).draw, self.settings.training.batch);
        let engine = &mut self.engine;
        let objects = || engine.rollout(&request).and_then(|_| engine.objects());
        if let Err(error) = check_rewards(&landed.batch.log_reward, objects) {
            return error.into();
        }
        let (drawn, contribution) = self.weighed(landed.batch, landed.log_z);
        let Fault { found, advice } = if contribution.is_finite() { unbounded_gradient() } else { fault(&drawn) };
        TrainError::Diverged { iteration, found, advice }
    }

    /// Lands what is under way and looks at none of it.
    fn forget_flights(&mut self) {
        while self.flights().under_way > 0 {
            // The first error is told already, or the state's own reading will have it.
            let _ = self.device().land();
            self.flights().under_way -= 1;
        }
        let iteration = self.iteration;
        let flights = self.flights();
        flights.landed.clear();
        flights.begun = iteration;
    }

    /// Goes on from the host's state, whatever was under way.
    pub(super) fn reset_flights(&mut self) {
        if self.flights.is_some() {
            self.forget_flights();
            let standing = [self.iteration, self.skipped, self.skipped_in_a_row];
            let flights = self.flights();
            (flights.placed, flights.read, flights.standing) = (false, true, standing);
        }
    }

    /// Gives the device the host's state.
    fn place_state(&mut self) -> Result<(), EngineError> {
        let learner = self.learner.state();
        let arrangement = self.engine.arrangement();
        let arrange = |list: &[f64]| arrangement.arrange(list);
        let moment = |list: &[f64]| list[0];
        let state = State {
            parameters: arrange(&learner.parameters),
            moments: [arrange(&learner.first_moment), arrange(&learner.second_moment)],
            average: learner.average.as_deref().map(arrange),
            steps: learner.steps,
            log_z: [
                self.log_z.value.unwrap_or_default(),
                moment(&self.log_z.adam.first_moment),
                moment(&self.log_z.adam.second_moment),
            ],
            log_z_started: self.log_z.value.is_some(),
            log_z_steps: self.log_z.adam.steps,
            skipped_in_a_row: self.skipped_in_a_row,
        };
        self.device().put(&state)?;
        self.flights().placed = true;
        self.held = Weights::Trained;
        Ok(())
    }

    /// Takes over the device's state, where nothing is under way.
    fn read_state(&mut self) -> Result<(), TrainError> {
        let State { parameters, moments: [first, second], average, steps, log_z, log_z_started, log_z_steps, .. } =
            self.device().get()?;
        let arrangement = self.engine.arrangement();
        let restore = |list: &[f64]| arrangement.restore(list);
        self.learner.restore(&LearnerState {
            parameters: restore(&parameters),
            first_moment: restore(&first),
            second_moment: restore(&second),
            steps,
            average: average.as_deref().map(restore),
        });
        let [value, first, second] = log_z;
        self.log_z.value = log_z_started.then_some(value);
        (self.log_z.adam.first_moment, self.log_z.adam.second_moment) = (vec![first], vec![second]);
        self.log_z.adam.steps = log_z_steps;
        let standing = [self.iteration, self.skipped, self.skipped_in_a_row];
        let flights = self.flights();
        (flights.read, flights.standing) = (true, standing);
        Ok(())
    }
}

impl Objective {
    /// The estimator, if it is one on forward trajectories at every iteration.
    fn forward_alone(&self) -> Option<crate::objective::Estimator> {
        let terms = |iteration| self.terms(Progress { iteration, total: 2 });
        let forward = !self.needs(Source::Backward) && self.needs(Source::Forward);
        forward.then(|| terms(0).remove(0).estimator)
    }
}
