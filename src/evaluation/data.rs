//! A policy against data: how likely it finds fresh points, and how far its own samples are from them.

use super::likelihood::backward_log_ratios;
use super::{EvaluationError, sampled};
use crate::config::EvaluationConfig;
use crate::metrics::Estimate;
use crate::metrics::mmd::mmd;
use crate::metrics::nll::negative_log_likelihood;
use crate::process::Objects;
use crate::random::{Draw, Stream};
use crate::stop::Stop;
use crate::trainer::Trainer;

/// What was found.
pub struct AgainstData {
    /// Negative log-likelihood of a fresh point, in nats.
    pub nll: Estimate,
    /// Squared maximum mean discrepancy between samples and points.
    pub mmd: f64,
    /// The points that the discrepancy is taken to.
    pub points: Objects,
}

/// Compares the policy and its samples `gflownet` with fresh data, from the random numbers of `seed`; none if the target has
/// no data.
///
/// The discrepancy is taken of `sizes.mmd_samples` samples, but of no more than there are.
pub fn compare(
    trainer: &mut Trainer,
    gflownet: &Objects,
    sizes: &EvaluationConfig,
    seed: u64,
    stop: &Stop,
) -> Result<Option<AgainstData>, EvaluationError> {
    let draw = Draw::new(seed, trainer.iteration(), Stream::EvaluationTarget);
    let set = sizes.points_of_a_set();
    let mut log_ratios = Vec::new();
    // One sampler for all whole sets: one that has state goes on from set to set.
    let (mut held, mut size) = (None, 0);
    for first in (0..sizes.nll_points).step_by(set) {
        let count = set.min(sizes.nll_points - first);
        if size != count {
            (held, size) = (trainer.target().data(count), count);
        }
        let Some(data) = &mut held else { return Ok(None) };
        let draw = Draw { first_trajectory: first as u32, ..draw };
        let points = sampled(data.as_mut(), &draw, count, trainer.process().sites())?;
        log_ratios.extend(backward_log_ratios(trainer, seed, &points, first, sizes.nll_trajectories, stop)?);
    }
    stop.check()?;
    let count = sizes.mmd_samples.min(gflownet.count());
    let Some(mut data) = trainer.target().data(count) else { return Ok(None) };
    let draw = Draw { first_trajectory: u32::MAX, ..draw };
    let points = sampled(data.as_mut(), &draw, count, trainer.process().sites())?;
    let samples = Objects::new(gflownet.sites(), gflownet.values()[..count * gflownet.sites()].to_vec());
    let discrepancy = mmd(&samples, &points, trainer.process().values());
    let nll = negative_log_likelihood(&log_ratios, sizes.nll_trajectories, set);
    Ok(Some(AgainstData { nll, mmd: discrepancy, points }))
}
