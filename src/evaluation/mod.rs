//! The evaluation of a policy: fresh forward samples against everything known about the target, and against its data.

mod data;
mod enumerated;
mod likelihood;
mod seed;
mod shares;
mod sites;
mod tempering;
mod text;
mod top;
mod trust;

pub use enumerated::{Enumerated, allows_enumeration, enumerate, enumerates_quickly};
pub use likelihood::{TestSet, has_one_trajectory_each, log_probabilities};
pub use seed::Seed;
pub use shares::{Share, shares, worst};
pub use sites::{Best, Marginals, best_of};
pub use tempering::Tempered;
pub use top::{ModesFound, Top};
pub use trust::{Asymmetry, Verdict};

use serde::Serialize;

use crate::config::EvaluationConfig;
use crate::engine::{Batch, EngineError, log_rewards};
use crate::metrics::exact;
use crate::metrics::{pareto, weights};
use crate::process::Objects;
use crate::random::{Draw, Stream};
use crate::stop::{Stop, Stopped};
use crate::targets::{Mixing, Sampler, TargetError};
use crate::trainer::Trainer;

/// Markov chains that sample the target.
const CHAINS: usize = 256;

/// What was found. Quantities that the target does not allow are none, and null in JSON. Without any R those made of
/// log-weights are NaN, and null in JSON as well.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Evaluation {
    /// Forward trajectories that it was made from.
    pub samples: usize,
    /// log Z, where it is known exactly.
    pub log_z_exact: Option<f64>,
    /// Why it is not, otherwise.
    pub log_z_exact_missing: Option<String>,
    /// By importance sampling with forward samples, and its standard error.
    pub log_z_estimate: f64,
    /// Of the estimate, by the delta method.
    pub log_z_standard_error: f64,
    /// E_{P_F}[log w] <= log Z, and its standard error.
    pub elbo: f64,
    /// Of the mean.
    pub elbo_standard_error: f64,
    /// E[log w] >= log Z over target samples and backward trajectories, and its standard error, which is over Markov chains.
    pub eubo: Option<f64>,
    /// Of the mean, over chains.
    pub eubo_standard_error: Option<f64>,
    /// Why there is none, otherwise.
    pub eubo_missing: Option<String>,
    /// How well the sampler of the target mixes that the EUBO leans on, where that is parallel tempering.
    pub target_sampler: Option<Mixing>,
    /// Effective sample size of the forward samples, and as a fraction of them.
    pub ess: f64,
    /// The same over their number.
    pub ess_fraction: f64,
    /// The index k of the Pareto tail of the forward samples' weights: above 0.7 a few dominate them. None where it cannot be
    /// told.
    pub pareto_k: Option<f64>,
    /// By how many standard errors the two halves of the forward samples disagree about log Z.
    pub halves: f64,
    /// What the target's symmetries say, where it knows any.
    pub asymmetries: Vec<Asymmetry>,
    /// Where short tempering runs from the policy's own samples end, where the target has no sampler.
    pub tempered: Option<Tempered>,
    /// Whether all this can be trusted. None without any R.
    pub verdict: Option<Verdict>,
    /// Fraction of the forward samples that have R = 0, whose weight is 0; with any, the ELBO is minus infinity, which is
    /// null in JSON. None without any R.
    pub forbidden_fraction: Option<f64>,
    /// Negative log-likelihood of fresh data and its standard error, which is over sets of points, where the target has data.
    pub nll: Option<f64>,
    /// Of the mean, over sets.
    pub nll_standard_error: Option<f64>,
    /// Maximum mean discrepancy between forward samples and fresh data.
    pub mmd: Option<f64>,
    /// Comparison of the policy with the target object by object, where that takes a second or two: for up to 12 sites of two values,
    /// and 200,000 states of another process.
    pub exact: Option<exact::Comparison>,
    /// The policy's site marginals against the exact ones, where the target knows them.
    pub marginals: Option<Marginals>,
    /// The forward sample of largest log R, where the target has an energy, a cut or the like.
    pub best: Option<Best>,
    /// The policy on the target's test objects, where it has some.
    pub test_set: Option<TestSet>,
    /// The best forward samples.
    pub top: Option<Top>,
    /// The modes that the forward samples are in, where the target knows its modes.
    pub modes: Option<ModesFound>,
    /// The target's scalar summaries, in its own order.
    pub observables: Vec<Comparison>,
}

/// A scalar summary's mean over forward samples and over target samples.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// As the target calls it.
    pub name: String,
    /// Mean over forward samples.
    pub gflownet: f64,
    /// Mean over target samples, where the target has a sampler.
    pub target: Option<f64>,
}

/// An evaluation and the samples that it was made from.
pub struct Evaluated {
    /// The numbers.
    pub evaluation: Evaluation,
    /// The forward samples.
    pub gflownet: Objects,
    /// Their log-weights; NaN without any R.
    pub log_weights: Vec<f64>,
    /// As many samples of the target, where it has a sampler.
    pub target: Option<Objects>,
    /// Fresh data, where the target has some.
    pub data: Option<Objects>,
    /// log P_F^T of every object, in the order of [`Objects::numbered`], where they were enumerated.
    pub log_probabilities: Option<Vec<f64>>,
}

/// Why an evaluation came to nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluationError {
    /// The engine could not roll out what was to be evaluated.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The policy has diverged: its samples mean nothing.
    #[error(
        "the policy is broken: log P_F of trajectory {number} is {found}, so neither its samples nor any number about them \
         means anything. Its training has diverged: train again in a new run with a smaller optimizer.learning_rate, or \
         with optimizer.clip_norm"
    )]
    Policy {
        /// log P_F of the trajectory.
        found: f64,
        /// Which trajectory of the evaluation, from 0.
        number: usize,
    },
    /// It was asked to stop.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// Evaluates the trainer's policy as the run itself does, with `samples` forward samples and, if the target can be sampled,
/// as many of it; the other sizes are those of the trainer's settings.
///
/// # Errors
/// As [`evaluate_sized`].
pub fn evaluate(trainer: &mut Trainer, samples: usize) -> Result<Evaluated, EvaluationError> {
    let sizes = EvaluationConfig { samples, ..trainer.settings().evaluation.clone() };
    evaluate_sized(trainer, &sizes, Seed::Own, &Stop::default())
}

/// Evaluates the trainer's policy with all sizes given (`every` does not matter here), from the random numbers of `seed`; left
/// off if `stop` is raised.
///
/// # Errors
/// If the engine fails, a size is 0 or beyond what random numbers can be counted for, a sampler of the target does not
/// give the objects it was asked for, or `stop` was raised.
pub fn evaluate_sized(
    trainer: &mut Trainer,
    sizes: &EvaluationConfig,
    seed: Seed,
    stop: &Stop,
) -> Result<Evaluated, EvaluationError> {
    check(sizes)?;
    let samples = sizes.samples;
    let (batch, gflownet) = forward(trainer, samples, seed, stop)?;
    let batch = with_exact_rewards(trainer, batch, &gflownet)?;
    let mut log_weights = batch.log_weights();
    let has_reward = trainer.target().has_reward();
    if !has_reward {
        log_weights.fill(f64::NAN);
    }
    let forbidden = log_weights.iter().filter(|log_weight| **log_weight == f64::NEG_INFINITY).count();
    let forbidden_fraction = has_reward.then_some(forbidden as f64 / samples as f64);
    let seed = seed.of(trainer.settings().seed);
    let (target, mixing) = target_samples(trainer, seed, samples, stop)?
        .map_or_else(|reason| (Err(reason), None), |(objects, mixing)| (Ok(objects), mixing));
    let backward =
        target.as_ref().ok().map(|objects| backward_log_weights(trainer, seed, objects, stop)).transpose()?;

    let against_data = data::compare(trainer, &gflownet, sizes, seed, stop)?;
    let quick = enumerates_quickly(trainer);
    let enumerated = if quick { Some(enumerate(trainer, |_| stop.check())?) } else { None };

    let (log_z, elbo) = (weights::log_z(&log_weights), weights::elbo(&log_weights));
    let eubo = backward.map(|log_weights| weights::eubo(&log_weights, chains(samples)));
    let effective = weights::effective_samples(&log_weights);
    let log_z_exact = trainer.target().log_z();
    let observables = trainer.target().observables().into_iter().map(|observable| {
        let sum = |objects: &Objects| objects.rows().map(|row| (observable.of)(row)).sum::<f64>();
        let mean = |objects: &Objects| sum(objects) / objects.count() as f64;
        let (gflownet, target) = (mean(&gflownet), target.as_ref().ok().map(mean));
        Comparison { name: observable.name.into(), gflownet, target }
    });
    let asymmetries = if has_reward { trust::asymmetries(trainer, &gflownet, seed, stop)? } else { Vec::new() };
    let tempered = match &target {
        Err(_) if has_reward => tempering::tempered(trainer, &gflownet, seed, stop)?,
        _ => None,
    };
    let mut evaluation = Evaluation {
        samples,
        log_z_exact: log_z_exact.clone().ok(),
        log_z_exact_missing: log_z_exact.err().map(|reason| reason.to_string()),
        log_z_estimate: log_z.value,
        log_z_standard_error: log_z.standard_error,
        elbo: elbo.value,
        elbo_standard_error: elbo.standard_error,
        eubo: eubo.map(|eubo| eubo.value),
        eubo_standard_error: eubo.map(|eubo| eubo.standard_error),
        eubo_missing: target.as_ref().err().map(ToString::to_string),
        target_sampler: mixing,
        ess: effective.count,
        ess_fraction: effective.fraction,
        pareto_k: pareto::tail_index(&log_weights),
        halves: trust::halves(&log_weights),
        asymmetries,
        tempered,
        verdict: None,
        forbidden_fraction,
        nll: against_data.as_ref().map(|found| found.nll.value),
        nll_standard_error: against_data.as_ref().map(|found| found.nll.standard_error),
        mmd: against_data.as_ref().map(|found| found.mmd),
        exact: enumerated.as_ref().map(|found| found.comparison),
        marginals: sites::marginals(trainer.target(), &gflownet),
        best: sites::best(trainer.target(), &gflownet)?,
        test_set: likelihood::tested(trainer, sizes, seed, stop)?,
        top: top::top(trainer.target(), &gflownet, &batch.log_reward),
        modes: top::modes(trainer.target(), &gflownet),
        observables: observables.collect(),
    };
    evaluation.verdict = trust::verdict(&evaluation);
    let data = against_data.map(|found| found.points);
    let log_probabilities = enumerated.map(|found| found.log_probabilities);
    Ok(Evaluated { evaluation, gflownet, log_weights, target: target.ok(), data, log_probabilities })
}

/// `count` forward trajectories from the random numbers of `seed` and their objects, rolled out in parts.
pub fn forward(
    trainer: &mut Trainer,
    count: usize,
    seed: Seed,
    stop: &Stop,
) -> Result<(Batch, Objects), EvaluationError> {
    let seed = seed.of(trainer.settings().seed);
    let (mut batch, mut objects) = (Batch::default(), Objects::new(trainer.process().sites(), Vec::new()));
    while objects.count() < count {
        stop.check()?;
        let first = objects.count();
        let (part, reached) = trainer.evaluate_forward(seed, first, EvaluationConfig::CHUNK.min(count - first))?;
        if let Some(index) = part.log_forward.iter().position(|log_forward| !log_forward.is_finite()) {
            let (found, number) = (part.log_forward[index], first + index);
            return Err(EvaluationError::Policy { found, number });
        }
        batch.extend(part);
        objects.extend(&reached);
    }
    Ok((batch, objects))
}

/// A batch with log R by the target's own definition: an engine's f32 cannot tell numbers of 10^6 apart that differ by a
/// tenth, and every estimate of log Z would be off by as much.
fn with_exact_rewards(trainer: &Trainer, batch: Batch, objects: &Objects) -> Result<Batch, EngineError> {
    Ok(Batch { log_reward: log_rewards(trainer.target(), objects)?, ..batch })
}

/// One backward trajectory of each object, numbered from `first` on and replayed in parts.
fn backward(
    trainer: &mut Trainer,
    seed: u64,
    objects: &Objects,
    first: usize,
    stop: &Stop,
) -> Result<Batch, EvaluationError> {
    let mut batch = Batch::default();
    for (index, part) in objects.values().chunks(EvaluationConfig::CHUNK * objects.sites()).enumerate() {
        stop.check()?;
        let part = Objects::new(objects.sites(), part.to_vec());
        batch.extend(trainer.evaluate_backward(seed, first + index * EvaluationConfig::CHUNK, &part)?);
    }
    Ok(batch)
}

/// log w of one backward trajectory of each object.
fn backward_log_weights(
    trainer: &mut Trainer,
    seed: u64,
    objects: &Objects,
    stop: &Stop,
) -> Result<Vec<f64>, EvaluationError> {
    let batch = backward(trainer, seed, objects, 0, stop)?;
    Ok(with_exact_rewards(trainer, batch, objects)?.log_weights())
}

/// Markov chains that `count` samples of the target are taken from, in turn.
fn chains(count: usize) -> usize {
    CHAINS.min(count)
}

/// `count` samples of the target, number i of chain i modulo their number, and how well the chains mix where that is known; or why
/// it has no sampler.
fn target_samples(
    trainer: &Trainer,
    seed: u64,
    count: usize,
    stop: &Stop,
) -> Result<Result<(Objects, Option<Mixing>), TargetError>, EvaluationError> {
    let (sites, chains) = (trainer.process().sites(), chains(count));
    let mut sampler = match trainer.target().sampler(seed, chains) {
        Ok(sampler) => sampler,
        Err(reason) => return Ok(Err(reason)),
    };
    let mut values = Vec::new();
    for round in 0..count.div_ceil(chains) {
        stop.check()?;
        let draw = Draw::new(seed, round as u32, Stream::EvaluationTarget);
        values.extend_from_slice(sampled(sampler.as_mut(), &draw, chains, sites)?.values());
    }
    values.truncate(count * sites);
    Ok(Ok((Objects::new(sites, values), sampler.mixing())))
}

/// The next `count` objects of a sampler, which is held to its word: errors are claimed from what belongs together.
fn sampled(sampler: &mut dyn Sampler, draw: &Draw, count: usize, sites: usize) -> Result<Objects, EngineError> {
    let objects = sampler.sample(draw);
    let (found, length) = (objects.count(), objects.sites());
    if (found, length) == (count, sites) {
        return Ok(objects);
    }
    let message = format!("a sampler of the target gave {found} objects of {length} sites, not {count} of {sites}");
    Err(EngineError::Limit(message))
}

/// Checks that there is something to evaluate, and that every trajectory has a number of its own.
fn check(sizes: &EvaluationConfig) -> Result<(), EngineError> {
    let backward = sizes.nll_points.checked_mul(sizes.nll_trajectories);
    for (name, count) in [("samples", Some(sizes.samples)), ("nll_points * nll_trajectories", backward)] {
        if count.is_none_or(|count| count == 0 || count as u64 > 1 << 32) {
            let found = count.map_or("beyond 2^64".into(), |count| count.to_string());
            return Err(EngineError::Limit(format!("evaluation: {name} is {found}; it must be 1 to 2^32")));
        }
    }
    Ok(())
}
