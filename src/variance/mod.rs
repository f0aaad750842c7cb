//! Comparison of gradient estimators on one frozen policy: variance, bias, signal-to-noise ratio, time.
//!
//! Batches are drawn from the policy, and every estimator makes its gradient of the same ones. The total variance is the
//! trace of the covariance of one batch's gradient. Bias is the distance of the mean from a long run's mean, made of
//! batches [`LONG`] times as large from other random numbers: for what aims at the gradient of reverse KL, a long run of
//! the leave-one-out control variate, which is unbiased; for forward KL, one on samples of the target, where it has a
//! sampler; for everything else one of its own, whose own bias of O(1/B) is then a [`LONG`]th. The squared
//! distance of two noisy means is too large by their variances; [`statistics::Draws::square_of_difference`] is not.

mod candidates;
mod report;
mod statistics;

pub use candidates::{Aim, Candidate, DEFAULT};
pub use report::{csv, for_people, json, markdown, picture};
pub use statistics::{Draws, Estimate, GROUPS};

use std::collections::BTreeMap;
use std::time::Instant;

use crate::engine::{Batch, EngineError, Rollout};
use crate::objective::{Source, first_zeta};
use crate::random::{Draw, Stream};
use crate::target::Sampler;
use crate::trainer::{Trainer, estimate};

/// Trajectories of a batch of the long run, in batches of the comparison.
pub const LONG: usize = 8;

/// What is compared, and on how many batches.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    pub candidates: Vec<Candidate>,
    /// Trajectories of a batch.
    pub batch: usize,
    /// Number of batches, at least [`GROUPS`].
    pub batches: u32,
    /// Number of batches of the long run, at least [`GROUPS`].
    pub long: u32,
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Comparison {
    pub batch: usize,
    pub batches: u32,
    pub long: u32,
    /// The learned log Z of those that learn one: the run's own, else the mean log-weight, to which it tends.
    pub zeta: f64,
    /// Iterations that the policy was trained for.
    pub iteration: u32,
    /// Share of the comparison's forward trajectories that end in an object with R = 0.
    pub forbidden_fraction: f64,
    /// Median time of a rollout in seconds.
    pub rollout_seconds: f64,
    /// Of a gradient without a control variate.
    pub plain_seconds: f64,
    pub rows: Vec<Row>,
}

/// One estimator. Everything is in units of its aim: the gradients of trajectory balance and log-variance are halved.
#[derive(Clone, Debug)]
pub struct Row {
    pub candidate: Candidate,
    /// Batches whose gradient was finite.
    pub finite: usize,
    /// Trace of the covariance of one batch's gradient.
    pub variance: Estimate,
    /// |mean - long-run mean|^2, without the noise of both; around 0 where there is no bias.
    pub square_of_bias: Estimate,
    /// |mean|^2, without its noise.
    pub square_of_mean: Estimate,
    /// Median time of a gradient, without the rollout.
    pub seconds: f64,
}

/// One estimator at work.
struct Lane<'a> {
    candidate: &'a Candidate,
    draws: Draws,
    seconds: Vec<f64>,
}

fn lanes<'a>(candidates: impl IntoIterator<Item = &'a Candidate>, dimension: usize) -> Vec<Lane<'a>> {
    let fresh = |candidate| Lane { candidate, draws: Draws::new(dimension), seconds: Vec::new() };
    candidates.into_iter().map(fresh).collect()
}

/// Compares estimators on the trainer's current policy; nothing is trained. `observe` is told how many of all batches
/// are done.
pub fn compare(
    trainer: &mut Trainer,
    options: &Options,
    mut observe: impl FnMut(u32, u32),
) -> Result<Comparison, EngineError> {
    let total = options.batches + options.long;
    let (zeta, dimension) = (zeta(trainer, options.batch)?, trainer.parameters().len());
    let references = references(&options.candidates);
    let mut long = lanes(references.values(), dimension);
    let mut source = Batches::new(trainer, Stream::VarianceReference, LONG * options.batch);
    for index in 0..options.long {
        source.run(trainer, index, zeta, &mut long, |_| None)?;
        observe(index + 1, total);
    }
    let long: BTreeMap<&String, Draws> = references.keys().zip(long).map(|(name, lane)| (name, lane.draws)).collect();
    let means: BTreeMap<&String, Vec<f64>> = long.iter().map(|(name, draws)| (*name, draws.mean())).collect();

    let reference = |candidate: &Candidate| reference_name(candidate, &options.candidates);
    let mut lanes = lanes(&options.candidates, dimension);
    let mut source = Batches::new(trainer, Stream::Variance, options.batch);
    for index in 0..options.batches {
        let centre = |candidate: &Candidate| means.get(&reference(candidate)).map(Vec::as_slice);
        source.run(trainer, index, zeta, &mut lanes, centre)?;
        observe(options.long + index + 1, total);
    }
    let rows = lanes.into_iter().map(|lane| {
        let name = reference(lane.candidate);
        Row {
            candidate: lane.candidate.clone(),
            finite: lane.draws.count(),
            variance: lane.draws.total_variance(means.get(&name).map(Vec::as_slice)),
            square_of_bias: lane.draws.square_of_difference(&long[&name]),
            square_of_mean: lane.draws.square_of_mean(),
            seconds: median(lane.seconds),
        }
    });
    Ok(Comparison {
        batch: options.batch,
        batches: options.batches,
        long: options.long,
        zeta,
        iteration: trainer.iteration(),
        forbidden_fraction: source.forbidden as f64 / (f64::from(options.batches) * options.batch as f64),
        rollout_seconds: median(source.rollout_seconds),
        plain_seconds: median(source.plain_seconds),
        rows: rows.collect(),
    })
}

/// The estimators of the long run, by the name of what they are a reference for.
fn references(candidates: &[Candidate]) -> BTreeMap<String, Candidate> {
    let named = |candidate: &Candidate| {
        let name = reference_name(candidate, candidates);
        let reference = match candidate.aim {
            Aim::ReverseKl => Candidate::parse("leave-one-out", LONG).expect("a name of the list"),
            Aim::ForwardKl if name == FORWARD_KL => Candidate::parse("forward-kl", LONG).expect("a name of the list"),
            _ => candidate.clone(),
        };
        (name, reference)
    };
    candidates.iter().map(named).collect()
}

const FORWARD_KL: &str = "forward KL";

/// What the long run for this candidate is called. SNIS has one of its own if there are no samples of the target.
fn reference_name(candidate: &Candidate, all: &[Candidate]) -> String {
    let sampled = all.iter().any(|candidate| candidate.term.source == Source::Backward);
    match candidate.aim {
        Aim::ReverseKl => "reverse KL".into(),
        Aim::ForwardKl if sampled => FORWARD_KL.into(),
        _ => candidate.name.clone(),
    }
}

/// The zeta of estimators that learn one.
fn zeta(trainer: &mut Trainer, batch: usize) -> Result<f64, EngineError> {
    match trainer.zeta() {
        Some(zeta) if trainer.iteration() > 0 => Ok(zeta),
        _ => {
            let draw = Draw::new(trainer.settings().seed, u32::MAX, Stream::VarianceReference);
            let drawn = trainer.rollout_for_training(&Rollout::sample(draw, LONG * batch))?;
            let floor = trainer.settings().objective.log_reward_floor;
            // Without any finite log-weight no estimator has a finite gradient, whatever zeta.
            Ok(first_zeta(&drawn.batch.log_weights(), &drawn.batch.log_reward, floor).unwrap_or(f64::NAN))
        }
    }
}

/// Batches of one size from one stream of random numbers.
struct Batches {
    stream: Stream,
    size: usize,
    /// Objects for backward trajectories, where the target has some.
    sampler: Option<Box<dyn Sampler>>,
    /// Forward trajectories that ended in an object with R = 0.
    forbidden: usize,
    rollout_seconds: Vec<f64>,
    plain_seconds: Vec<f64>,
}

impl Batches {
    fn new(trainer: &Trainer, stream: Stream, size: usize) -> Self {
        // Another seed a stream, so that no two chains start in the same state.
        let seed = trainer.settings().seed.wrapping_add(stream as u64);
        let sampler = samples(trainer, seed, size);
        Self { stream, size, sampler, forbidden: 0, rollout_seconds: Vec::new(), plain_seconds: Vec::new() }
    }

    /// Rolls out batch number `index` of each source that the lanes need, and adds every lane's gradient of it.
    fn run<'c>(
        &mut self,
        trainer: &mut Trainer,
        index: u32,
        zeta: f64,
        lanes: &mut [Lane],
        centre: impl Fn(&Candidate) -> Option<&'c [f64]>,
    ) -> Result<(), EngineError> {
        for source in [Source::Forward, Source::Backward] {
            let of_source = |lane: &Lane| lane.candidate.term.source == source;
            if !lanes.iter().any(of_source) {
                continue;
            }
            let start = Instant::now();
            let Some(batch) = self.roll_out(trainer, index, source)? else { continue };
            if source == Source::Forward {
                self.rollout_seconds.push(start.elapsed().as_secs_f64());
                let start = Instant::now();
                trainer.engine().gradient(&vec![1.0 / self.size as f64; self.size])?;
                self.plain_seconds.push(start.elapsed().as_secs_f64());
            }
            let log_weights = batch.log_weights();
            for lane in lanes.iter_mut().filter(|lane| of_source(lane)) {
                let term = &lane.candidate.term;
                let coefficients = term.coefficients(&log_weights, zeta);
                if !coefficients.is_finite() {
                    continue;
                }
                let start = Instant::now();
                let mut gradient = estimate(trainer.engine(), &coefficients.policy, term.optimal())?;
                lane.seconds.push(start.elapsed().as_secs_f64());
                if gradient.iter().all(|g| g.is_finite()) {
                    gradient.iter_mut().for_each(|g| *g *= lane.candidate.scale);
                    lane.draws.add(&gradient, centre(lane.candidate));
                }
            }
        }
        Ok(())
    }

    fn roll_out(&mut self, trainer: &mut Trainer, index: u32, source: Source) -> Result<Option<Batch>, EngineError> {
        let draw = Draw::new(trainer.settings().seed, index, self.stream);
        match (source, &mut self.sampler) {
            (Source::Forward, _) => {
                let drawn = trainer.rollout_for_training(&Rollout::sample(draw, self.size).kept())?;
                self.forbidden += drawn.forbidden;
                Ok(Some(drawn.batch))
            }
            (Source::Backward, Some(sampler)) => {
                let trajectories = trainer.process().backward(&sampler.sample(&draw), &draw);
                let drawn = trainer.rollout_for_training(&Rollout::replay(draw, &trajectories).kept())?;
                Ok(Some(drawn.batch))
            }
            (Source::Backward, None) => Ok(None),
        }
    }
}

/// What makes objects of the trainer's target, data if it has some; none if it has neither data nor a sampler.
pub fn samples(trainer: &Trainer, seed: u64, count: usize) -> Option<Box<dyn Sampler>> {
    trainer.target().data(count).or_else(|| trainer.target().sampler(seed, count))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
