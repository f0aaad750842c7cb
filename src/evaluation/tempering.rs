//! Short tempering runs that begin at the policy's own samples.
//!
//! Where a target cannot be sampled, nothing says what log-weights its objects have. Parallel tempering on R^beta needs log R
//! alone, and were the policy's samples those of the target, chains that begin with them would be in equilibrium at beta = 1 at
//! once. Their ends have larger log-weights than that where they reach what the policy misses. (What no short run reaches
//! stays unseen.) Source: Hukushima and Nemoto, "Exchange Monte Carlo method", J. Phys. Soc. Japan 65 (1996).

use serde::Serialize;

use super::{EvaluationError, backward_log_weights};
use crate::engine::EngineError;
use crate::engine::log_rewards;
use crate::metrics::weights;
use crate::process::{Head, Objects};
use crate::random::{Draw, Stream, pick, uniform};
use crate::stop::Stop;
use crate::targets::Target;
use crate::trainer::Trainer;

/// Runs, each of as many chains as there are rungs.
const RUNS: usize = 32;
/// Powers of R from 1 down by equal factors.
const RUNGS: usize = 6;
const LEAST_POWER: f64 = 0.1;
/// Updates of every site, on average.
const SWEEPS: usize = 16;
/// Sweeps at the end of which the chains at beta = 1 are looked at.
const LOOKS: usize = 4;
/// Most sites: log R is asked for 3,072 times a site.
const MOST_SITES: usize = 1024;

/// Where short tempering runs from the policy's own samples end.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Tempered {
    /// Mean log-weight there, in nats.
    pub log_weight: f64,
    /// Of the mean, over runs.
    pub standard_error: f64,
}

/// The ends of runs from some of `samples`; none where not every object has a trajectory, or objects are too large.
pub(super) fn tempered(
    trainer: &mut Trainer,
    samples: &Objects,
    seed: u64,
    stop: &Stop,
) -> Result<Option<Tempered>, EvaluationError> {
    let process = trainer.process();
    if process.as_site_filling().is_none() || process.head() != Head::Site || process.sites() > MOST_SITES {
        return Ok(None);
    }
    let (sites, values) = (process.sites(), process.values());
    let mut ladder = Ladder::new(trainer.target(), values, samples)?;
    let mut ends = Vec::new();
    for sweep in 0..SWEEPS {
        stop.check()?;
        for update in 0..sites {
            ladder.update(trainer.target(), &Draw::new(seed, (sweep * sites + update) as u32, Stream::Tempering))?;
        }
        ladder.swap(&Draw::new(seed, sweep as u32, Stream::TemperingSwap));
        if sweep + LOOKS >= SWEEPS {
            ends.extend_from_slice(ladder.at_one());
        }
    }
    let log_weights = backward_log_weights(trainer, seed, &Objects::new(sites, ends), stop)?;
    let mean = weights::eubo(&log_weights, RUNS);
    Ok(Some(Tempered { log_weight: mean.value, standard_error: mean.standard_error }))
}

/// The chains of all runs: rung by rung, and in a rung run by run. The first rung has beta = 1.
struct Ladder {
    values: usize,
    objects: Objects,
    log_reward: Vec<f64>,
}

impl Ladder {
    fn new(target: &dyn Target, values: usize, samples: &Objects) -> Result<Self, EngineError> {
        let chains = (0..RUNS * RUNGS).flat_map(|chain| samples.row(chain % samples.count()).iter().copied());
        let objects = Objects::new(samples.sites(), chains.collect());
        let log_reward = log_rewards(target, &objects)?;
        Ok(Self { values, objects, log_reward })
    }

    fn beta(chain: usize) -> f64 {
        LEAST_POWER.powf((chain / RUNS) as f64 / (RUNGS - 1) as f64)
    }

    /// Metropolis: each chain is offered another value for a site.
    fn update(&mut self, target: &dyn Target, draw: &Draw) -> Result<(), EngineError> {
        let sites = self.objects.sites();
        let mut offered = self.objects.values().to_vec();
        for (chain, object) in offered.chunks_exact_mut(sites).enumerate() {
            let words = draw.words(chain as u32, 0);
            let site = &mut object[pick(words[0], sites as u32) as usize];
            let further = 1 + pick(words[1], self.values as u32 - 1) as usize;
            *site = ((usize::from(*site) + further) % self.values) as u8;
        }
        let offered = Objects::new(sites, offered);
        let log_reward = log_rewards(target, &offered)?;
        let mut kept = self.objects.values().to_vec();
        for (chain, object) in kept.chunks_exact_mut(sites).enumerate() {
            let gain = Self::beta(chain) * (log_reward[chain] - self.log_reward[chain]);
            // From one object with R = 0 to another the gain is NaN: the chain moves on until it finds one that is allowed.
            if gain.is_nan() || uniform(draw.words(chain as u32, 0)[2]) < gain.exp() {
                object.copy_from_slice(offered.row(chain));
                self.log_reward[chain] = log_reward[chain];
            }
        }
        self.objects = Objects::new(sites, kept);
        Ok(())
    }

    /// Exchanges neighbouring rungs of each run, from the hottest down.
    fn swap(&mut self, draw: &Draw) {
        let sites = self.objects.sites();
        let mut values = self.objects.values().to_vec();
        for hot in (RUNS..RUNS * RUNGS).rev() {
            let cold = hot - RUNS;
            let gain = (Self::beta(cold) - Self::beta(hot)) * (self.log_reward[hot] - self.log_reward[cold]);
            if uniform(draw.words(hot as u32, 0)[0]) < gain.exp() {
                self.log_reward.swap(hot, cold);
                let (before, after) = values.split_at_mut(hot * sites);
                before[cold * sites..][..sites].swap_with_slice(&mut after[..sites]);
            }
        }
        self.objects = Objects::new(sites, values);
    }

    /// The values of the chains at beta = 1.
    fn at_one(&self) -> &[u8] {
        &self.objects.values()[..RUNS * self.objects.sites()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::ising::Ising;

    /// Chains that begin at a state of highest R far below criticality end where the target is: at its mean energy.
    #[test]
    fn chains_equilibrate() {
        let target = Ising::new(6, 0.2).unwrap();
        let begin = Objects::new(36, vec![1; 36]);
        let (mut first, mut second) =
            (Ladder::new(&target, 2, &begin).unwrap(), Ladder::new(&target, 2, &begin).unwrap());
        let mut sums = Vec::new();
        for sweep in 0..200_u32 {
            for update in 0..36 {
                let draw = Draw::new(3, 36 * sweep + update, Stream::Tempering);
                first.update(&target, &draw).unwrap();
                second.update(&target, &draw).unwrap();
            }
            first.swap(&Draw::new(3, sweep, Stream::TemperingSwap));
            second.swap(&Draw::new(3, sweep, Stream::TemperingSwap));
            if sweep >= 20 {
                sums.push(first.log_reward[..RUNS].iter().sum::<f64>() / RUNS as f64);
            }
        }
        assert_eq!(first.at_one(), second.at_one(), "the same numbers, the same chains");
        assert_eq!(first.log_reward, log_rewards(&target, &first.objects).unwrap());
        // E[log R] = K d log Z / dK, by central differences, exact to 1e-6.
        let log_z = |coupling| Ising::new(6, coupling).unwrap().log_z().unwrap();
        let expected = 0.2 * (log_z(0.2001) - log_z(0.1999)) / 0.0002;
        let found = sums.iter().sum::<f64>() / sums.len() as f64;
        assert_eq!(sums.len(), 180);
        // 5,760 samples of deviation about 2, correlated over a few sweeps: five standard errors.
        assert!((found - expected).abs() < 0.25, "{found} and {expected}");
    }

    #[test]
    fn chains_leave_what_is_forbidden() {
        struct Even;
        impl Target for Even {
            fn sites(&self) -> usize {
                4
            }
            fn values(&self) -> usize {
                3
            }
            fn log_reward(&self, objects: &Objects, log_reward: &mut [f64]) {
                for (object, log_reward) in objects.rows().zip(log_reward) {
                    *log_reward = if object.contains(&1) { f64::NEG_INFINITY } else { f64::from(object[0]) };
                }
            }
        }
        let mut ladder = Ladder::new(&Even, 3, &Objects::new(4, vec![1; 4])).unwrap();
        for update in 0..400 {
            ladder.update(&Even, &Draw::new(5, update, Stream::Tempering)).unwrap();
        }
        assert!(ladder.log_reward.iter().all(|log_reward| log_reward.is_finite()));
        let high = ladder.at_one().chunks(4).filter(|object| object[0] == 2).count();
        assert!(high > RUNS / 2, "{high} of {RUNS} where R is e^2 times as large");
    }
}
