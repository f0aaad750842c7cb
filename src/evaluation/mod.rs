//! The evaluation of a policy: fresh forward samples against everything known about the target, and against its data.

mod data;
mod enumerated;

pub use enumerated::{allows_enumeration, enumerate};

use serde::Serialize;

use crate::config::EvaluationConfig;
use crate::engine::EngineError;
use crate::metrics::exact;
use crate::metrics::weights;
use crate::process::Objects;
use crate::random::{Draw, Stream};
use crate::trainer::Trainer;

/// Trajectories rolled out at once, whatever the number asked for.
const CHUNK: usize = 1 << 14;
/// Markov chains that sample the target.
const CHAINS: usize = 256;

/// Most sites at which an evaluation compares with the target object by object, which takes a second or two.
const ENUMERATED_SITES: usize = 12;

/// What was found. Quantities that the target does not allow are none, and null in JSON. Without any R those made of
/// log-weights are NaN, and null in JSON as well.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Evaluation {
    pub samples: usize,
    /// log Z, where it is known exactly.
    pub log_z_exact: Option<f64>,
    /// Why it is not, otherwise.
    pub log_z_exact_missing: Option<String>,
    /// By importance sampling with forward samples, and its standard error.
    pub log_z_estimate: f64,
    pub log_z_standard_error: f64,
    /// E_{P_F}[log w] <= log Z, and its standard error.
    pub elbo: f64,
    pub elbo_standard_error: f64,
    /// E[log w] >= log Z over target samples and backward trajectories.
    pub eubo: Option<f64>,
    pub eubo_standard_error: Option<f64>,
    /// Effective sample size of the forward samples, and as a fraction of them.
    pub ess: f64,
    pub ess_fraction: f64,
    /// Fraction of the forward samples that have R = 0, whose weight is 0; with any, the ELBO is minus infinity, which is
    /// null in JSON. None without any R.
    pub forbidden_fraction: Option<f64>,
    /// Negative log-likelihood of fresh data and its standard error, where the target has data.
    pub nll: Option<f64>,
    pub nll_standard_error: Option<f64>,
    /// Maximum mean discrepancy between forward samples and fresh data.
    pub mmd: Option<f64>,
    /// Comparison of the policy with the target object by object, for up to 12 sites of two values.
    pub exact: Option<exact::Comparison>,
    pub observables: Vec<Comparison>,
}

/// A scalar summary's mean over forward samples and over target samples.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    pub name: String,
    pub gflownet: f64,
    pub target: Option<f64>,
}

/// An evaluation and the samples that it was made from.
pub struct Evaluated {
    pub evaluation: Evaluation,
    pub gflownet: Objects,
    /// As many samples of the target, where it has a sampler.
    pub target: Option<Objects>,
    /// Fresh data, where the target has some.
    pub data: Option<Objects>,
}

/// Evaluates the trainer's policy with `samples` forward samples and, if the target can be sampled, as many of it; the
/// other sizes are those of the trainer's settings.
pub fn evaluate(trainer: &mut Trainer, samples: usize) -> Result<Evaluated, EngineError> {
    let sizes = EvaluationConfig { samples, ..trainer.settings().evaluation.clone() };
    evaluate_sized(trainer, &sizes)
}

/// The same with all sizes given (`every` does not matter here).
pub fn evaluate_sized(trainer: &mut Trainer, sizes: &EvaluationConfig) -> Result<Evaluated, EngineError> {
    let samples = sizes.samples;
    let seed = trainer.settings().seed;
    let (mut log_weights, gflownet) = forward(trainer, samples)?;
    if !trainer.target().has_reward() {
        log_weights.fill(f64::NAN);
    }
    let forbidden = log_weights.iter().filter(|log_weight| **log_weight == f64::NEG_INFINITY).count();
    let forbidden_fraction = trainer.target().has_reward().then_some(forbidden as f64 / samples as f64);
    let target = target_samples(trainer, seed, samples);
    let backward = target.as_ref().map(|objects| backward_log_weights(trainer, objects)).transpose()?;

    let against_data = data::compare(trainer, &gflownet, sizes)?;
    let small = trainer.process().sites <= ENUMERATED_SITES && allows_enumeration(trainer).is_ok();
    let exact = if small { Some(enumerate(trainer, |_| {})?) } else { None };

    let (log_z, elbo) = (weights::log_z(&log_weights), weights::elbo(&log_weights));
    let eubo = backward.map(|log_weights| weights::eubo(&log_weights));
    let effective = weights::effective_samples(&log_weights);
    let log_z_exact = trainer.target().log_z();
    let observables = trainer.target().observables().into_iter().map(|observable| {
        let mean = |objects: &Objects| objects.rows().map(|row| (observable.of)(row)).sum::<f64>() / samples as f64;
        let (gflownet, target) = (mean(&gflownet), target.as_ref().map(mean));
        Comparison { name: observable.name.into(), gflownet, target }
    });
    let evaluation = Evaluation {
        samples,
        log_z_exact: log_z_exact.clone().ok(),
        log_z_exact_missing: log_z_exact.err(),
        log_z_estimate: log_z.value,
        log_z_standard_error: log_z.standard_error,
        elbo: elbo.value,
        elbo_standard_error: elbo.standard_error,
        eubo: eubo.map(|eubo| eubo.value),
        eubo_standard_error: eubo.map(|eubo| eubo.standard_error),
        ess: effective.count,
        ess_fraction: effective.fraction,
        forbidden_fraction,
        nll: against_data.as_ref().map(|found| found.nll.value),
        nll_standard_error: against_data.as_ref().map(|found| found.nll.standard_error),
        mmd: against_data.as_ref().map(|found| found.mmd),
        exact,
        observables: observables.collect(),
    };
    Ok(Evaluated { evaluation, gflownet, target, data: against_data.map(|found| found.points) })
}

/// log w and objects of `count` fresh forward trajectories, rolled out in parts.
pub fn forward(trainer: &mut Trainer, count: usize) -> Result<(Vec<f64>, Objects), EngineError> {
    let (mut log_weights, mut objects) = (Vec::new(), Objects::new(trainer.process().sites, Vec::new()));
    while log_weights.len() < count {
        let first = log_weights.len();
        let (batch, part) = trainer.evaluate_forward(first as u32, CHUNK.min(count - first))?;
        log_weights.extend(batch.log_weights());
        objects.extend(&part);
    }
    Ok((log_weights, objects))
}

fn backward_log_weights(trainer: &mut Trainer, objects: &Objects) -> Result<Vec<f64>, EngineError> {
    let mut log_weights = Vec::new();
    for part in objects.values().chunks(CHUNK * objects.sites()) {
        let part = Objects::new(objects.sites(), part.to_vec());
        log_weights.extend(trainer.evaluate_backward(log_weights.len() as u32, &part)?.log_weights());
    }
    Ok(log_weights)
}

/// `count` samples of the target, or none if it has no sampler.
fn target_samples(trainer: &Trainer, seed: u64, count: usize) -> Option<Objects> {
    let mut sampler = trainer.target().sampler(seed, CHAINS.min(count))?;
    let mut values = Vec::new();
    for round in 0.. {
        values.extend_from_slice(sampler.sample(&Draw::new(seed, round, Stream::EvaluationTarget)).values());
        if values.len() >= count * trainer.process().sites {
            break;
        }
    }
    values.truncate(count * trainer.process().sites);
    Some(Objects::new(trainer.process().sites, values))
}
