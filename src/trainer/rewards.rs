//! Batches with their log R as it is told, and as training takes it.
//!
//! The floor is a matter of the policy's training alone: an energy model's own steps, like evaluations, take log R as it is.

use rayon::prelude::*;

use super::Trainer;
use super::detours::Detours;
use crate::engine::{Batch, EngineError, Rollout, check_rewards, log_rewards};
use crate::optimizer::Weights;
use crate::process::{Filled, Flow, LOG_PAIR, Objects};
use crate::random::Draw;

impl Trainer {
    /// Rolls out, and refuses a log R that is none.
    ///
    /// # Errors
    /// `Reward` if log R is NaN or plus infinity; what the engine says.
    pub(super) fn rollout_checked(&mut self, request: &Rollout) -> Result<Batch, EngineError> {
        let mut batch = self.engine.rollout(request)?;
        check_rewards(&batch.log_reward, || self.engine.objects())?;
        if self.process.is_folded() {
            batch.prepend(LOG_PAIR);
        }
        Ok(batch)
    }

    /// Rolls out as an iteration does: `objective.log_reward_floor` in place of any log R below it.
    ///
    /// # Errors
    /// `Reward` if log R is NaN or plus infinity; what the engine says.
    pub fn rollout_for_training(&mut self, request: &Rollout) -> Result<TrainingBatch, EngineError> {
        self.hold(Weights::Trained)?;
        let batch = self.rollout_checked(request)?;
        Ok(self.as_trained(batch))
    }

    /// Adds log-rewards of every state of the batch just rolled out, times beta: log R, where all can stop, or what the target knows of
    /// them, the sum of its guide's increments so far.
    pub(super) fn tell_log_rewards(&mut self, drawn: &mut TrainingBatch) -> Result<(), EngineError> {
        if self.process.flow() == Flow::Stop {
            return self.tell_rewards_of_stopping(drawn);
        }
        let guide = self.target.guide().expect("the builder asks for it");
        let beta = self.beta();
        let trajectories = self.engine.trajectories()?;
        let (process, values) = (&self.process, self.process.values());
        let steps = drawn.batch.steps.as_mut().expect("asked for");
        steps.log_reward = vec![0.0; trajectories.count() * steps.max_steps];
        steps.log_reward.par_chunks_mut(steps.max_steps).enumerate().for_each(|(row, log_reward)| {
            let mut state = vec![0; process.state_words()];
            let (mut known, mut increments) = (0.0, vec![0.0; values]);
            for (log_reward, &action) in log_reward.iter_mut().zip(trajectories.row(row)) {
                *log_reward = beta * known;
                let (site, value) = (action as usize / values, action as usize % values);
                if site < process.sites() {
                    increments.fill(0.0);
                    guide.increments(Filled::new(&state), site, &mut increments);
                    known += increments[value];
                }
                process.advance(&mut state, action);
            }
        });
        Ok(())
    }

    /// Adds what flows into every state of the batch just rolled out from its other parents. The batch is held again then, and kept.
    pub(super) fn tell_inflow(&mut self, drawn: &mut TrainingBatch, draw: Draw) -> Result<(), EngineError> {
        let trajectories = self.engine.trajectories()?;
        let mut detours = Detours::to(self.process.as_ref(), &trajectories);
        let steps = drawn.batch.steps.as_mut().expect("asked for");
        steps.log_inflow = detours.log_inflow(self.engine.as_mut(), draw, trajectories.count())?;
        drawn.detours = Some(detours);
        self.engine.rollout(&Rollout::replay(draw, &trajectories).kept())?;
        Ok(())
    }

    fn tell_rewards_of_stopping(&mut self, drawn: &mut TrainingBatch) -> Result<(), EngineError> {
        let trajectories = self.engine.trajectories()?;
        let (process, sites) = (&self.process, self.process.sites());
        let steps = drawn.batch.steps.as_mut().expect("asked for");
        let mut values = Vec::new();
        for row in 0..trajectories.count() {
            let mut state = vec![0; process.state_words()];
            for &action in trajectories.row(row) {
                let first = values.len();
                values.resize(first + sites, 0);
                process.object(&state, &mut values[first..]);
                process.advance(&mut state, action);
            }
        }
        let objects = Objects::new(sites, values);
        let log_reward = log_rewards(self.target.as_ref(), &objects)?;
        let (floor, beta) = (self.settings.objective.log_reward_floor.unwrap_or(f64::NEG_INFINITY), self.beta());
        let mut told = log_reward.into_iter().map(|log_reward| beta * log_reward.max(floor));
        steps.log_reward = vec![0.0; trajectories.count() * steps.max_steps];
        for (row, log_reward) in steps.log_reward.chunks_exact_mut(steps.max_steps).enumerate() {
            log_reward
                .iter_mut()
                .zip(told.by_ref().take(trajectories.row(row).len()))
                .for_each(|(to, told)| *to = told);
        }
        Ok(())
    }

    /// What log R is multiplied by in this iteration.
    fn beta(&self) -> f64 {
        self.settings.anneal.beta(self.progress())
    }

    /// A batch as training takes it: log R not below the floor, and times beta (`[anneal]`).
    pub fn as_trained(&self, mut batch: Batch) -> TrainingBatch {
        let forbidden = batch.log_reward.iter().filter(|log_reward| **log_reward == f64::NEG_INFINITY).count();
        if let Some(floor) = self.settings.objective.log_reward_floor {
            batch.log_reward.iter_mut().for_each(|log_reward| *log_reward = log_reward.max(floor));
        }
        let beta = self.beta();
        let mut whole = None;
        if beta < 1.0 {
            whole = Some(batch.log_weights());
            batch.log_reward.iter_mut().for_each(|log_reward| *log_reward *= beta);
        }
        TrainingBatch { batch, forbidden, detours: None, whole }
    }
}

/// A batch with log R as training takes it.
#[derive(Clone, Debug)]
pub struct TrainingBatch {
    /// Log-probabilities and log R.
    pub batch: Batch,
    /// Trajectories that end in an object with R = 0.
    pub forbidden: usize,
    /// The other parents of its states, where flows are matched.
    pub(super) detours: Option<Detours>,
    /// log w with all of log R, where `batch` has beta times as much.
    whole: Option<Vec<f64>>,
}

impl TrainingBatch {
    /// log w of each trajectory, with log R not below the floor, and all of it.
    pub fn log_weights(&self) -> Vec<f64> {
        self.whole.clone().unwrap_or_else(|| self.batch.log_weights())
    }

    /// The share of trajectories that end in an object with R = 0.
    pub fn forbidden_fraction(&self) -> f64 {
        self.forbidden as f64 / self.batch.log_reward.len() as f64
    }
}
