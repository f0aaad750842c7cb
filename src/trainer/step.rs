//! One iteration, applied whole or not at all.
//!
//! A step first gathers the policy's gradient; then it makes the next parameters beside the present ones and gives them to
//! the engine, whose energy step draws its proposals from the new policy; and only when that has worked does the next
//! state take the place of the present one.

use super::reverser::Reverser;
use super::rewards::TrainingBatch;
use super::source::{Turn, request};
use super::{PATIENCE, TrainError, Trainer};
use crate::config::Settings;
use crate::engine::{Batch, Behaviour, EngineError};
use crate::joint::EnergyStep;
use crate::objective::{Contribution, Source, Term, first_zeta};
use crate::optimizer::Weights;
use crate::process::{Objects, Process};
use crate::random::{Draw, Stream};
use crate::schedule::Progress;
use crate::targets::Sampler;

/// What one iteration did.
#[derive(Clone, Debug)]
pub struct Step {
    /// Which one, from 0.
    pub iteration: u32,
    /// Sum of the losses of the objective's terms on this iteration's batches.
    pub loss: f64,
    /// Euclidean norm of the policy's gradient, before clipping.
    pub gradient_norm: f64,
    /// The learned log Z before the step, where one is learned.
    pub zeta: Option<f64>,
    /// log w of the forward trajectories, if the iteration had any and did not explore, with log R not below `objective.log_reward_floor`.
    pub forward_log_weights: Option<Vec<f64>>,
    /// The share of the iteration's trajectories, of its first term, that end in an object with R = 0.
    pub forbidden_fraction: f64,
    /// The energy model's step, where one is trained along; none if the iteration was skipped before it.
    pub energy: Option<EnergyStep>,
    /// Whether nothing was applied for want of a finite gradient, the policy's or the energy model's.
    pub skipped: bool,
}

/// What the policy's gradient was made from.
#[derive(Default)]
struct Gathered {
    loss: f64,
    /// Before the step, started if this is its first batch.
    zeta: Option<f64>,
    zeta_gradient: Option<f64>,
    forward_log_weights: Option<Vec<f64>>,
    forbidden_fraction: Option<f64>,
    /// What forward trajectories ended in, where anybody keeps it.
    visited: Option<Visited>,
    fault: Option<Fault>,
}

/// Objects of forward trajectories.
struct Visited {
    objects: Objects,
    /// As the engine told it.
    log_reward: Vec<f64>,
}

/// Why an iteration is skipped.
pub(super) struct Fault {
    pub found: String,
    pub advice: &'static str,
}

const DIVERGENCE: &str = "Lower optimizer.learning_rate or set optimizer.clip_norm, in a new run, or check log R";
const ZERO_REWARDS: &str = "The cause are objects with R = 0 (log R = minus infinity), which have no finite gradient with \
                            this objective. Set objective.log_reward_floor to a number: training then takes it in place \
                            of any log R below it, and evaluations still take the true R. Or take an objective that \
                            gives such objects no weight: snis_forward_kl, or renyi or tsallis with an order below 1";

impl Trainer {
    /// One iteration: a step of the policy and then, where an energy model is trained along, one of that. Where training stays on the
    /// device, the next one in order of those that it does, which may be further ([`Trainer::look_ahead`]).
    ///
    /// It is applied whole or not at all. If a gradient is not finite, be it the policy's or the energy model's, neither
    /// is applied: the iteration counts, skipped. After an error (of the engine, of log R, or the last of [`PATIENCE`]
    /// skipped iterations in a row) everything is as it was before: parameters, zeta, optimizers, the energy model, the
    /// sampler of objects, the counters, and the engine's parameters if it still works.
    pub fn step(&mut self) -> Result<Step, TrainError> {
        if self.flights.is_some() {
            return self.step_on_device();
        }
        let before = self.sampler.as_ref().map(|sampler| sampler.state());
        let outcome = self.iterate();
        if let (Err(error), Some(sampler), Some(before)) = (&outcome, &mut self.sampler, before) {
            let failed = |reason| TrainError::Sampler { error: error.to_string(), reason };
            sampler.restore(&before).map_err(failed)?;
        }
        outcome
    }

    fn iterate(&mut self) -> Result<Step, TrainError> {
        let progress = self.progress();
        let mut gathered = self.gather(progress)?;
        let gradient_norm = self.learner.gradient_norm();
        if gathered.fault.is_none() && !gradient_norm.is_finite() {
            gathered.fault = Some(unbounded_gradient());
        }
        let energy = if gathered.fault.is_none() { self.advance(progress, &mut gathered)? } else { None };
        let skipped = gathered.fault.is_some();
        match gathered.fault {
            None => self.skipped_in_a_row = 0,
            Some(Fault { found, advice }) if self.skipped_in_a_row + 1 >= PATIENCE => {
                return Err(TrainError::Diverged { iteration: self.iteration, found, advice });
            }
            Some(_) => {
                self.skipped += 1;
                self.skipped_in_a_row += 1;
            }
        }
        if let Some(Visited { objects, log_reward }) = &gathered.visited {
            self.found.iter_mut().for_each(|found| found.visit(objects));
            self.replay.iter_mut().for_each(|replay| replay.add(objects, log_reward));
        }
        let iteration = self.iteration;
        self.iteration += 1;
        let Gathered { loss, zeta, forward_log_weights, forbidden_fraction, .. } = gathered;
        let forbidden_fraction = forbidden_fraction.unwrap_or_default();
        Ok(Step { iteration, loss, gradient_norm, zeta, forward_log_weights, forbidden_fraction, energy, skipped })
    }

    /// The gradient of this iteration's terms; nothing moves but the sampler of objects.
    fn gather(&mut self, progress: Progress) -> Result<Gathered, TrainError> {
        self.hold(Weights::Trained)?;
        self.learner.begin();
        let mut gathered = Gathered { zeta: self.log_z.value, ..Gathered::default() };
        for (term, count) in self.terms(progress) {
            let (drawn, visited) = self.batch(&term, count)?;
            gathered.visited = gathered.visited.or(visited);
            if term.learns_zeta() && gathered.zeta.is_none() {
                let floor = self.settings.objective.log_reward_floor;
                gathered.zeta = first_zeta(&drawn.batch.log_weights(), &drawn.batch.log_reward, floor);
            }
            // Without any finite log-weight there is no zeta, and no finite coefficient either.
            let contribution = self.contribution(&term, &drawn.batch, gathered.zeta.unwrap_or_default());
            if contribution.is_finite() {
                self.learner.accumulate(self.engine.as_mut(), &contribution.policy, term.optimal())?;
                self.accumulate_detours(&term, &drawn)?;
            } else if gathered.fault.is_none() {
                gathered.fault = Some(fault(&drawn));
            }
            gathered.loss += contribution.loss;
            if let Some(derivative) = contribution.zeta {
                gathered.zeta_gradient = Some(gathered.zeta_gradient.unwrap_or(0.0) + derivative);
            }
            gathered.forbidden_fraction.get_or_insert(drawn.forbidden_fraction());
            if term.source == Source::Forward && self.behaviour().is_plain() {
                gathered.forward_log_weights = Some(drawn.log_weights());
            }
        }
        Ok(gathered)
    }

    /// What a term makes of its batch, with coefficients of P_B where that is learned.
    fn contribution(&self, term: &Term, batch: &Batch, zeta: f64) -> Contribution {
        if self.process.backward_actions() == 0 {
            return term.contribution(batch, zeta);
        }
        let objective = &self.settings.objective;
        let frozen = objective.backward_until.is_some_and(|until| self.iteration >= until);
        let training = (!frozen).then(|| objective.backward_training.unwrap_or_default());
        term.joint_contribution(batch, zeta, self.process.max_steps(), training)
    }

    /// The gradient of what flows into the states of a batch from their other parents, where flows are matched.
    fn accumulate_detours(&mut self, term: &Term, drawn: &TrainingBatch) -> Result<(), EngineError> {
        let (Some(matching), Some(detours)) = (term.estimator.flow_matching(), &drawn.detours) else { return Ok(()) };
        let coefficients = matching.by_inflow(term.weight, &drawn.batch);
        let log_inflow = &drawn.batch.steps.as_ref().expect("asked for").log_inflow;
        let draw = Draw::new(self.settings.seed, self.iteration, Stream::Training);
        detours.accumulate(self.engine.as_mut(), self.learner.as_mut(), draw, log_inflow, &coefficients)
    }

    /// Applies the gradient, and the energy model's step with the policy that this gives; or neither, which `gathered`
    /// then says.
    fn advance(&mut self, progress: Progress, gathered: &mut Gathered) -> Result<Option<EnergyStep>, TrainError> {
        let proposed = self.learner.propose(self.engine.as_mut(), progress);
        let energy = match proposed.and_then(|()| self.energy_step()) {
            Ok(energy) => energy,
            Err(error) => {
                // The engine may be beyond use: then it is the first error that says why.
                let _ = self.learner.give(self.engine.as_mut(), Weights::Trained);
                return Err(error.into());
            }
        };
        if energy.is_some_and(|step| !step.gradient_norm.is_finite()) {
            self.learner.give(self.engine.as_mut(), Weights::Trained)?;
            let found = "the energy model's gradient is not finite".into();
            gathered.fault = Some(Fault { found, advice: "Lower target.energy_learning_rate" });
            return Ok(energy);
        }
        self.learner.accept();
        self.log_z.value = gathered.zeta;
        self.log_z.step(progress, gathered.zeta_gradient);
        Ok(energy)
    }

    /// The energy model's step from a batch of data, where one is trained along. The model changes only if all goes well.
    fn energy_step(&mut self) -> Result<Option<EnergyStep>, EngineError> {
        if self.energy.is_none() {
            return Ok(None);
        }
        let data = turn(self.process.as_ref(), &mut self.sampler, None, &self.settings, self.iteration)
            .objects(Stream::Data)?;
        let Some(energy) = &mut self.energy else { return Ok(None) };
        let draw = Draw::new(self.settings.seed, self.iteration, Stream::Proposal);
        let filling = self.process.as_site_filling().expect("the builder asks for it");
        energy.step(self.engine.as_mut(), filling, &data, draw).map(Some)
    }

    /// The terms of an iteration, each with its number of trajectories: what is replayed takes the place of fresh ones.
    fn terms(&self, progress: Progress) -> Vec<(Term, usize)> {
        let (terms, batch) = (self.objective.terms(progress), self.settings.training.batch);
        let Some(replay) = self.replay.as_ref().filter(|replay| replay.is_used(progress.iteration)) else {
            return terms.into_iter().map(|term| (term, batch)).collect();
        };
        let replayed = replay.settings().replayed(batch);
        let split = |term: Term| match term.source {
            Source::Forward => {
                let [fresh, again] = term.replaying(replayed as f64 / batch as f64);
                vec![(fresh, batch - replayed), (again, replayed)]
            }
            _ => vec![(term, batch)],
        };
        terms.into_iter().flat_map(split).collect()
    }

    /// How choices of this iteration's forward trajectories are drawn.
    fn behaviour(&self) -> Behaviour {
        self.settings.exploration.behaviour(self.progress())
    }

    /// Rolls out one batch of this iteration and keeps what its gradient needs, and what it ended in if that is wanted.
    fn batch(&mut self, term: &Term, count: usize) -> Result<(TrainingBatch, Option<Visited>), EngineError> {
        // Only a learned P_B asks for the parameters, and only where trajectories are drawn from it.
        let asks = self.reverser.is_some() && term.source != Source::Forward;
        let parameters = asks.then(|| self.of_policy(Weights::Trained));
        let reverser = self.reverser.as_mut().zip(parameters.as_deref());
        let mut turn = turn(self.process.as_ref(), &mut self.sampler, reverser, &self.settings, self.iteration);
        (turn.replay, turn.count) = (self.replay.as_ref(), count);
        let (draw, given) = self.sources[term.source as usize].next(&mut turn)?;
        let request = request(draw, given.as_ref(), turn.count);
        let behaviour = if term.source == Source::Forward { self.behaviour() } else { Behaviour::default() };
        let batch = self.rollout_checked(&request.behaving(behaviour).kept().with_steps(term.needs_steps()))?;
        let counted = self.replay.is_some() || self.found.as_ref().is_some_and(|found| !found.is_complete());
        let visited = if counted && term.source == Source::Forward {
            Some(Visited { objects: self.engine.objects()?, log_reward: batch.log_reward.clone() })
        } else {
            None
        };
        let mut drawn = self.as_trained(batch);
        if term.estimator.needs_log_rewards() {
            self.tell_log_rewards(&mut drawn)?;
        }
        if term.estimator.flow_matching().is_some() {
            self.tell_inflow(&mut drawn, draw)?;
        }
        Ok((drawn, visited))
    }
}

/// What a source of this iteration's batches may look at.
fn turn<'a>(
    process: &'a dyn Process,
    sampler: &'a mut Option<Box<dyn Sampler>>,
    reverser: Option<(&'a mut Reverser, &'a [f64])>,
    settings: &Settings,
    iteration: u32,
) -> Turn<'a> {
    let sampler = sampler.as_mut().map(|sampler| sampler.as_mut() as &mut dyn Sampler);
    let (seed, count) = (settings.seed, settings.training.batch);
    Turn { process, sampler, reverser, replay: None, seed, iteration, count }
}

/// Nothing is wrong with the batch.
pub(super) fn unbounded_gradient() -> Fault {
    Fault { found: "log-weights were finite, the gradient was not".into(), advice: DIVERGENCE }
}

/// Where a batch stopped being finite, and what helps.
pub(super) fn fault(drawn: &TrainingBatch) -> Fault {
    let TrainingBatch { batch, forbidden, .. } = drawn;
    let Batch { log_forward, log_backward, log_reward, .. } = batch;
    let found = [("log P_F", log_forward), ("log P_B", log_backward), ("log R", log_reward)].into_iter().find_map(
        |(name, values)| {
            let index = values.iter().position(|value| !value.is_finite())?;
            let (count, of) = (values.iter().filter(|value| !value.is_finite()).count(), values.len());
            let found = format!("{name} is {} for trajectory {index}, {count} of {of} are not finite", values[index]);
            Some((name, found))
        },
    );
    match found {
        Some(("log R", found)) if *forbidden > 0 => Fault { found, advice: ZERO_REWARDS },
        Some((_, found)) => Fault { found, advice: DIVERGENCE },
        None => {
            let found = "all log-probabilities are finite, the objective's coefficients are not".into();
            Fault { found, advice: DIVERGENCE }
        }
    }
}
