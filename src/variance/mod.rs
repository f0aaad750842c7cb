//! Comparison of gradient estimators on one frozen policy: variance, bias, signal-to-noise ratio, time.
//!
//! Batches are drawn from the policy, and every estimator makes its gradient of the same ones. The total variance is the
//! trace of the covariance of one batch's gradient. Bias is the distance of the mean from a long run's mean, made of
//! batches [`LONG`] times as large from other random numbers: for what aims at the gradient of reverse KL, a long run of
//! the leave-one-out control variate, which is unbiased; for forward KL, one on samples of the target, where it has a
//! sampler; for everything else one of its own, whose own bias of O(1/B) is then a [`LONG`]th. The squared
//! distance of two noisy means is too large by their variances; [`statistics::Draws::square_of_difference`] is not.
//!
//! A gradient is timed as training meets it, right after the rollout of its batch: engines keep what they know of a batch, so
//! the second gradient of the same one may cost less than the first.

mod candidates;
mod report;
mod statistics;

pub use candidates::{Aim, Candidate, DEFAULT};
pub use report::{csv, for_people, json, markdown, picture};
pub use statistics::{Draws, GROUPS};

use std::collections::BTreeMap;
use std::time::Instant;

use crate::engine::{Coefficients, EngineError, Rollout};
use crate::metrics::Estimate;
use crate::objective::{Source, first_zeta};
use crate::optimizer::estimate;
use crate::process::Trajectories;
use crate::random::{Draw, Stream, derived};
use crate::targets::{Sampler, TargetError};
use crate::trainer::Trainer;

/// Trajectories of a batch of the long run, in batches of the comparison.
pub const LONG: usize = 8;

/// Batches, at most, in which gradients are timed, each after a rollout of its own.
const TIMED: u32 = 25;

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
    /// Median time of a rollout in seconds: of forward trajectories, or of backward ones if all candidates use those.
    pub rollout_seconds: f64,
    /// Of the gradient without a control variate on these batches.
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
    /// Median time of the first gradient of a batch, without the rollout.
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
    let (zeta, dimension) = (zeta(trainer, options.batch)?, trainer.engine().arrangement().parameters());
    let references = references(&options.candidates);
    let mut long = lanes(references.values(), dimension);
    let mut source = Batches::new(trainer, Stream::VarianceReference, LONG * options.batch, 0);
    for index in 0..options.long {
        source.run(trainer, index, zeta, &mut long, |_| None)?;
        observe(index + 1, total);
    }
    let long: BTreeMap<&String, Draws> = references.keys().zip(long).map(|(name, lane)| (name, lane.draws)).collect();
    let means: BTreeMap<&String, Vec<f64>> = long.iter().map(|(name, draws)| (*name, draws.mean())).collect();

    let reference = |candidate: &Candidate| reference_name(candidate, &options.candidates);
    let mut lanes = lanes(&options.candidates, dimension);
    let mut source = Batches::new(trainer, Stream::Variance, options.batch, TIMED);
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

/// Batches of one size from random numbers of their own.
struct Batches {
    /// Of forward trajectories.
    stream: Stream,
    /// Of backward trajectories: their objects and orders have the streams of training under a seed of their own.
    seed: u64,
    size: usize,
    /// Objects for backward trajectories, where the target has some.
    sampler: Option<Box<dyn Sampler>>,
    /// Batches, from the first on, whose gradients are timed.
    timed: u32,
    /// Forward trajectories that ended in an object with R = 0.
    forbidden: usize,
    rollout_seconds: Vec<f64>,
    plain_seconds: Vec<f64>,
}

impl Batches {
    fn new(trainer: &Trainer, stream: Stream, size: usize, timed: u32) -> Self {
        let seed = derived(trainer.settings().seed, Stream::VarianceSeed, stream as u64);
        let sampler = samples(trainer, seed, size).ok();
        let (rollout_seconds, plain_seconds) = Default::default();
        Self { stream, seed, size, sampler, timed, forbidden: 0, rollout_seconds, plain_seconds }
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
        let used = |source: &Source| lanes.iter().any(|lane| lane.candidate.term.source == *source);
        let sources: Vec<Source> = [Source::Forward, Source::Backward].into_iter().filter(used).collect();
        for (place, &source) in sources.iter().enumerate() {
            let draw = Draw::new(trainer.settings().seed, index, self.stream);
            let given = match source {
                Source::Forward => None,
                Source::Backward | Source::Replay => match self.trajectories(trainer, index) {
                    None => continue,
                    given => given,
                },
            };
            let request = match &given {
                None => Rollout::sample(draw, self.size).kept(),
                Some(trajectories) => Rollout::replay(draw, trajectories).kept(),
            };
            let timed = index < self.timed;
            let drawn = trainer.rollout_for_training(&request)?;
            if source == Source::Forward {
                self.forbidden += drawn.forbidden;
            }
            if timed && place == 0 {
                let plain = Coefficients::Trajectories(vec![1.0 / self.size as f64; self.size]);
                let mut total = vec![0.0; trainer.engine().arrangement().length()];
                let start = Instant::now();
                trainer.engine().accumulate(&plain, &mut total)?;
                self.plain_seconds.push(start.elapsed().as_secs_f64());
            }
            for lane in lanes.iter_mut().filter(|lane| lane.candidate.term.source == source) {
                let term = &lane.candidate.term;
                let contribution = term.contribution(&drawn.batch, zeta);
                if !contribution.is_finite() {
                    continue;
                }
                if timed {
                    let start = Instant::now();
                    trainer.engine().rollout(&request)?;
                    self.rollout_seconds.extend((place == 0).then(|| start.elapsed().as_secs_f64()));
                }
                let mut total = vec![0.0; trainer.engine().arrangement().length()];
                let start = Instant::now();
                estimate(trainer.engine(), &contribution.policy, term.optimal(), &mut total)?;
                lane.seconds.extend(timed.then(|| start.elapsed().as_secs_f64()));
                let mut gradient = trainer.engine().arrangement().restore(&total);
                if gradient.iter().all(|g| g.is_finite()) {
                    gradient.iter_mut().for_each(|g| *g *= lane.candidate.scale);
                    lane.draws.add(&gradient, centre(lane.candidate));
                }
            }
        }
        Ok(())
    }

    /// Backward trajectories of the target's objects for batch number `index`, if it has any: objects and orders from
    /// streams that do not meet.
    fn trajectories(&mut self, trainer: &Trainer, index: u32) -> Option<Trajectories> {
        let objects = self.sampler.as_mut()?.sample(&Draw::new(self.seed, index, Stream::TargetSampler));
        Some(trainer.process().backward(&objects, &Draw::new(self.seed, index, Stream::Backward)))
    }
}

/// What makes objects of the trainer's target, data if it has some; else its sampler, or why it has none.
pub fn samples(trainer: &Trainer, seed: u64, count: usize) -> Result<Box<dyn Sampler>, TargetError> {
    trainer.target().data(count).map_or_else(|| trainer.target().sampler(seed, count), Ok)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::config::Settings;
    use crate::process::Objects;
    use crate::targets::Target;

    const SITES: usize = 8;

    /// Samples made of the first words of their draw, and the seeds that were asked for.
    #[derive(Clone, Default)]
    struct Words(Arc<Mutex<Vec<u64>>>);

    impl Target for Words {
        fn sites(&self) -> usize {
            SITES
        }

        fn values(&self) -> usize {
            2
        }

        fn log_reward(&self, _: &Objects, log_reward: &mut [f64]) {
            log_reward.fill(0.0);
        }

        fn sampler(&self, seed: u64, chains: usize) -> Result<Box<dyn Sampler>, TargetError> {
            self.0.lock().unwrap().push(seed);
            Ok(Box::new(Chains(chains)))
        }
    }

    struct Chains(usize);

    impl Sampler for Chains {
        fn sample(&mut self, draw: &Draw) -> Objects {
            let bit = |chain: usize, step: usize| (draw.words(chain as u32, step as u32)[0] >> 31) as u8;
            Objects::new(SITES, (0..self.0).flat_map(|chain| (0..SITES).map(move |step| bit(chain, step))).collect())
        }

        fn state(&self) -> Vec<u8> {
            Vec::new()
        }

        fn restore(&mut self, _: &[u8]) -> Result<(), TargetError> {
            Ok(())
        }
    }

    /// The first action of each of 2000 backward trajectories, and the objects they lead to.
    fn drawn(trainer: &Trainer, stream: Stream) -> (Vec<u32>, Objects) {
        let trajectories = Batches::new(trainer, stream, 2000, 0).trajectories(trainer, 0).unwrap();
        let firsts = (0..2000).map(|i| trajectories.row(i)[0] / 2).collect();
        (firsts, trainer.process().finish(&trajectories))
    }

    #[test]
    fn objects_orders_and_runs_are_drawn_independently() {
        let target = Words::default();
        let trainer = |seed| {
            let settings: Settings =
                toml::from_str(&format!("seed = {seed}\npolicy = {{ hidden = [8] }}\nengine = {{ kind = 'cpu' }}"))
                    .unwrap();
            Trainer::build(&settings, Arc::new(target.clone())).unwrap().0
        };
        let of_one = trainer(1);
        let (orders, objects) = drawn(&of_one, Stream::Variance);
        let (other_orders, other_objects) = drawn(&of_one, Stream::VarianceReference);
        drawn(&trainer(2), Stream::Variance);
        drawn(&trainer(2), Stream::VarianceReference);

        // From one stream the first site filled would be in the upper half exactly where the first spin is 1. Of 2000 fair
        // coins 1000 agree, with a deviation of 22.
        let fair = |agreeing: usize, what: &str| assert!((900..1100).contains(&agreeing), "{what}: {agreeing}");
        let upper = |orders: &[u32]| orders.iter().map(|&site| site as usize >= SITES / 2).collect::<Vec<_>>();
        let first = |objects: &Objects| objects.rows().map(|row| row[0] == 1).collect::<Vec<_>>();
        let agreeing = |a: Vec<bool>, b: Vec<bool>| a.into_iter().zip(b).filter(|(a, b)| a == b).count();
        fair(agreeing(upper(&orders), first(&objects)), "an object and its order");
        fair(agreeing(first(&objects), first(&other_objects)), "objects of a batch and of the long run");
        fair(agreeing(upper(&orders), upper(&other_orders)), "orders of a batch and of the long run");
        let forward = Draw::new(1, 0, Stream::Variance);
        let filled = (0..2000).map(|i| crate::random::pick(forward.words(i, 0)[0], SITES as u32) >= SITES as u32 / 2);
        fair(agreeing(upper(&orders), filled.collect()), "orders of backward and of forward trajectories");

        let mut seeds = target.0.lock().unwrap().clone();
        seeds.sort_unstable();
        assert!(seeds.len() == 4 && seeds.windows(2).all(|pair| pair[0] != pair[1]), "{seeds:?}");
    }
}
