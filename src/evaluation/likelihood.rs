//! How likely a policy makes given objects, and whether that goes with their rewards.

use serde::Serialize;

use super::{EvaluationError, backward};
use crate::config::EvaluationConfig;
use crate::engine::log_rewards;
use crate::logs::log_mean_exp;
use crate::metrics::correlation::{pearson, spearman};
use crate::process::{Objects, Order};
use crate::stop::Stop;
use crate::trainer::Trainer;

/// The log-probabilities of a target's test objects under the policy, against their log R.
///
/// log P_F^T(x) is estimated by log (1/M) sum_m P_F(tau_m) / P_B(tau_m | x) over backward trajectories of x; where an object has one
/// trajectory, in the fixed order, it is exact.
#[derive(Clone, Debug, Default, Serialize)]
pub struct TestSet {
    /// Objects, without those that have R = 0.
    pub objects: usize,
    /// Backward trajectories of each.
    pub trajectories: usize,
    /// Mean of log P_F^T, in nats.
    pub log_likelihood: f64,
    /// Pearson's correlation of log P_F^T and log R; none where one of the two is the same for all.
    pub pearson: Option<f64>,
    /// Spearman's, of their ranks.
    pub spearman: Option<f64>,
}

/// Tests the policy on the target's objects, where it has some: on `sizes.nll_points` of them at most, with
/// `sizes.nll_trajectories` backward trajectories each.
pub(super) fn tested(
    trainer: &mut Trainer,
    sizes: &EvaluationConfig,
    seed: u64,
    stop: &Stop,
) -> Result<Option<TestSet>, EvaluationError> {
    let Some(objects) = trainer.target().test_objects().filter(|_| trainer.target().has_reward()) else {
        return Ok(None);
    };
    let sites = objects.sites();
    let rows = objects.rows().take(sizes.nll_points).flatten().copied().collect();
    let log_reward = log_rewards(trainer.target(), &Objects::new(sites, rows))?;
    let allowed = objects.rows().zip(&log_reward).filter(|(_, log_reward)| log_reward.is_finite());
    let objects = Objects::new(sites, allowed.flat_map(|(row, _)| row).copied().collect());
    let log_reward: Vec<f64> = log_reward.into_iter().filter(|log_reward| log_reward.is_finite()).collect();
    if log_reward.is_empty() {
        return Ok(None);
    }
    let trajectories = if has_one_trajectory_each(trainer) { 1 } else { sizes.nll_trajectories };
    let log_likelihoods = log_probabilities(trainer, &objects, trajectories, sizes.points_of_a_set(), seed, stop)?;
    Ok(Some(TestSet {
        objects: log_reward.len(),
        trajectories,
        log_likelihood: log_likelihoods.iter().sum::<f64>() / log_reward.len() as f64,
        pearson: pearson(&log_likelihoods, &log_reward),
        spearman: spearman(&log_likelihoods, &log_reward),
    }))
}

/// Whether an object has one trajectory, as in the fixed order, so that its log-probability under the policy is that trajectory's.
pub fn has_one_trajectory_each(trainer: &Trainer) -> bool {
    trainer.process().as_site_filling().is_some_and(|filling| filling.order == Order::Fixed)
}

/// log P_F^T of each object, estimated from so many backward trajectories each (see [`TestSet`]), `at_once` objects at a time, from
/// the random numbers of `seed`.
///
/// # Errors
/// If the engine fails, log R is none, a number is beyond what random numbers are counted for, or `stop` was raised.
pub fn log_probabilities(
    trainer: &mut Trainer,
    objects: &Objects,
    trajectories: usize,
    at_once: usize,
    seed: u64,
    stop: &Stop,
) -> Result<Vec<f64>, EvaluationError> {
    let mut found = Vec::new();
    for set in objects.values().chunks(at_once * objects.sites()) {
        let set = Objects::new(objects.sites(), set.to_vec());
        let ratios = backward_log_ratios(trainer, seed, &set, found.len(), trajectories, stop)?;
        found.extend(ratios.chunks(trajectories).map(log_mean_exp));
    }
    Ok(found)
}

/// log P_F - log P_B of so many backward trajectories of each point, row-major [points, trajectories]; `first` is the
/// number of the first point.
pub(super) fn backward_log_ratios(
    trainer: &mut Trainer,
    seed: u64,
    points: &Objects,
    first: usize,
    trajectories: usize,
    stop: &Stop,
) -> Result<Vec<f64>, EvaluationError> {
    let values = points.rows().flat_map(|row| row.repeat(trajectories)).collect();
    let repeated = Objects::new(points.sites(), values);
    let batch = backward(trainer, seed, &repeated, first * trajectories, stop)?;
    let pairs = batch.log_forward.iter().zip(&batch.log_backward);
    Ok(pairs.map(|(forward, backward)| forward - backward).collect())
}
