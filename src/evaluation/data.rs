//! A policy against data: how likely it finds fresh points, and how far its own samples are from them.

use crate::config::EvaluationConfig;
use crate::engine::EngineError;
use crate::metrics::Estimate;
use crate::metrics::mmd::mmd;
use crate::metrics::nll::negative_log_likelihood;
use crate::process::Objects;
use crate::random::{Draw, Stream};
use crate::trainer::Trainer;

/// Points drawn together, as in the paper: for some data sets they are spread evenly.
const SET: usize = 1000;

/// What was found.
pub struct AgainstData {
    pub nll: Estimate,
    pub mmd: f64,
    /// The points that the discrepancy is taken to.
    pub points: Objects,
}

/// Compares the policy and its samples `gflownet` with fresh data; none if the target has no data.
///
/// The discrepancy is taken of `sizes.mmd_samples` samples, but of no more than there are.
pub fn compare(
    trainer: &mut Trainer,
    gflownet: &Objects,
    sizes: &EvaluationConfig,
) -> Result<Option<AgainstData>, EngineError> {
    let draw = Draw::new(trainer.settings().seed, trainer.iteration(), Stream::EvaluationTarget);
    let mut log_ratios = Vec::new();
    let mut first = 0;
    // One sampler for all whole sets: one that has state goes on from set to set.
    let (mut held, mut size) = (None, 0);
    while first < sizes.nll_points {
        let count = SET.min(sizes.nll_points - first);
        if size != count {
            (held, size) = (trainer.target().data(count), count);
        }
        let Some(data) = &mut held else { return Ok(None) };
        let points = data.sample(&Draw { first_trajectory: first as u32, ..draw });
        log_ratios.extend(backward_log_ratios(trainer, &points, first, sizes.nll_trajectories)?);
        first += count;
    }
    let count = sizes.mmd_samples.min(gflownet.count());
    let Some(mut data) = trainer.target().data(count) else { return Ok(None) };
    let points = data.sample(&Draw { first_trajectory: u32::MAX, ..draw });
    let samples = Objects::new(gflownet.sites(), gflownet.values()[..count * gflownet.sites()].to_vec());
    let discrepancy = mmd(&samples, &points, trainer.process().values);
    let nll = negative_log_likelihood(&log_ratios, sizes.nll_trajectories);
    Ok(Some(AgainstData { nll, mmd: discrepancy, points }))
}

/// log P_F - log P_B of so many backward trajectories of each point, row-major [points, trajectories]; `first` is the
/// number of the first point.
fn backward_log_ratios(
    trainer: &mut Trainer,
    points: &Objects,
    first: usize,
    trajectories: usize,
) -> Result<Vec<f64>, EngineError> {
    let values = points.rows().flat_map(|row| row.repeat(trajectories)).collect();
    let repeated = Objects::new(points.sites(), values);
    let batch = trainer.evaluate_backward((first * trajectories) as u32, &repeated)?;
    let pairs = batch.log_forward.iter().zip(&batch.log_backward);
    Ok(pairs.map(|(forward, backward)| forward - backward).collect())
}
