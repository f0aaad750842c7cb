//! Parallel tempering: a sampler for whatever can be heat-bathed on R^beta, run for as long as its [`Plan`] says.
//!
//! Every chain is a ladder of replicas at inverse temperatures from 0, where an object is drawn at random, to 1. A round
//! sweeps each replica and offers neighbouring ones an exchange (K. Hukushima and K. Nemoto, "Exchange Monte Carlo
//! method", J. Phys. Soc. Japan 65, 1996).
//!
//! What a target forbids is discouraged on the way: at inverse temperature beta a forbidden term counts as log(1 - beta), which
//! is nothing at 0 and minus infinity at 1. So replicas move through what is forbidden and find what is allowed.

mod plan;

use rand::Rng;
use rayon::prelude::*;

pub use plan::Plan;

use super::{Mixing, Sampler, TargetError};
use crate::process::Objects;
use crate::random::{CounterRng, Draw, Stream, uniform};

/// A target whose sites can be redrawn one by one, given all others, on every power of R.
pub trait HeatBath: Send + Sync {
    /// What sweeps at one inverse temperature need.
    type Rung: Send + Sync;

    /// Sites of an object.
    fn sites(&self) -> usize;

    /// How long a sweep takes, in units of some nanoseconds: what it takes to redraw an Ising spin.
    fn work(&self) -> f64;

    /// Makes ready for sweeps at inverse temperature `beta`, 0 to 1.
    fn rung(&self, beta: f64) -> Self::Rung;

    /// Redraws every site in turn from its distribution given the others.
    fn sweep(&self, rung: &Self::Rung, object: &mut [u8], generator: &mut CounterRng);

    /// log R of an object.
    fn level(&self, object: &[u8]) -> Level;

    /// Where chains begin.
    fn start(&self, generator: &mut CounterRng) -> Vec<u8>;

    /// Maps an object by a random symmetry of the target.
    fn turn(&self, object: &mut [u8], generator: &mut CounterRng);

    /// Whether a site can have a value.
    fn has(&self, site: usize, value: u8) -> bool;
}

/// log R of an object, what it forbids told apart.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Level {
    /// The sum of the terms that are finite.
    pub log_reward: f64,
    /// How many are not: the object is forbidden if there is one.
    pub forbidden: u32,
}

/// log of what a forbidden term counts at inverse temperature `beta`.
pub fn discouragement(beta: f64) -> f64 {
    (-beta).ln_1p()
}

/// The log-probability ratio of two replicas, of inverse temperatures `low` and `high`, that exchange their objects.
fn gain(low: (f64, Level), high: (f64, Level)) -> f64 {
    let more = f64::from(low.1.forbidden) - f64::from(high.1.forbidden);
    // At 1 the difference is endless: what is less forbidden goes there, and stays.
    let discouraged = if more == 0.0 { 0.0 } else { more * (discouragement(high.0) - discouragement(low.0)) };
    (high.0 - low.0) * (low.1.log_reward - high.1.log_reward) + discouraged
}

/// Independent ladders. State: one byte a site, [chains, replicas, sites], the last replica of each at inverse temperature 1.
pub struct Tempering<B: HeatBath> {
    bath: B,
    plan: Plan,
    rungs: Vec<B::Rung>,
    values: Vec<u8>,
}

impl<B: HeatBath> Tempering<B> {
    /// `chains` equilibrated ladders, burnt in as the `plan` says.
    ///
    /// # Errors
    /// If some of them found no object that is allowed.
    pub fn new(bath: B, plan: Plan, seed: u64, chains: usize) -> Result<Self, TargetError> {
        let draw = Draw::new(seed, u32::MAX - 1, Stream::TargetSampler);
        let start = |chain: usize| {
            let mut generator = draw.generator(chain as u32);
            (0..plan.ladder.len()).flat_map(|_| bath.start(&mut generator)).collect::<Vec<u8>>()
        };
        let values = (0..chains).flat_map(start).collect();
        let rungs = plan.ladder.iter().map(|&beta| bath.rung(beta)).collect();
        let burn_in = plan.burn_in;
        let mut sampler = Self { bath, plan, rungs, values };
        sampler.advance(&Draw::new(seed, u32::MAX, Stream::TargetSampler), burn_in);
        match sampler.forbidden(&sampler.values) {
            0 => Ok(sampler),
            lost => {
                let message =
                    format!("{lost} of {chains} tempering chains found no object that is allowed in {burn_in} sweeps");
                Err(TargetError::Unknown(message))
            }
        }
    }

    /// Takes every ladder through `rounds` rounds and a random symmetry.
    fn advance(&mut self, draw: &Draw, rounds: usize) {
        let sites = self.bath.sites();
        self.values.par_chunks_mut(self.plan.ladder.len() * sites).enumerate().for_each(|(chain, values)| {
            let mut generator = draw.generator(chain as u32);
            for _ in 0..rounds {
                round(&self.bath, &self.plan.ladder, &self.rungs, values, &mut generator, |_| ());
            }
            let last = values.len() - sites;
            self.bath.turn(&mut values[last..], &mut generator);
        });
    }

    /// The objects at inverse temperature 1 among `values`, chain by chain.
    fn ends<'a>(&self, values: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let (sites, ladder) = (self.bath.sites(), self.plan.ladder.len() * self.bath.sites());
        values.chunks_exact(ladder).map(move |values| &values[ladder - sites..])
    }

    /// How many of them are forbidden.
    fn forbidden(&self, values: &[u8]) -> usize {
        self.ends(values).filter(|object| self.bath.level(object).forbidden > 0).count()
    }
}

impl<B: HeatBath> Sampler for Tempering<B> {
    fn sample(&mut self, draw: &Draw) -> Objects {
        self.advance(draw, self.plan.rounds);
        Objects::new(self.bath.sites(), self.ends(&self.values).flatten().copied().collect())
    }

    fn state(&self) -> Vec<u8> {
        self.values.clone()
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), TargetError> {
        let (found, expected, sites) = (state.len(), self.values.len(), self.bath.sites());
        if found != expected {
            return Err(TargetError::State(format!("a sampler state with {found} sites where there are {expected}")));
        }
        if let Some((index, value)) =
            state.iter().enumerate().find(|(index, value)| !self.bath.has(index % sites, **value))
        {
            let site = index % sites;
            return Err(TargetError::State(format!(
                "a sampler state with value {value} at site {site}, which has none such"
            )));
        }
        if self.forbidden(state) > 0 {
            return Err(TargetError::State("a sampler state with an object that the target forbids".into()));
        }
        self.values.copy_from_slice(state);
        Ok(())
    }

    fn mixing(&self) -> Option<Mixing> {
        Some(self.plan.mixing)
    }
}

/// Sweeps every replica of a ladder once and offers exchanges, from 0 on; log R of each replica after them. `passed` is told
/// the lower replica's index wherever an exchange took place.
fn round<B: HeatBath>(
    bath: &B,
    ladder: &[f64],
    rungs: &[B::Rung],
    values: &mut [u8],
    generator: &mut CounterRng,
    mut passed: impl FnMut(usize),
) -> Vec<Level> {
    let sites = bath.sites();
    let swept = values.chunks_exact_mut(sites).zip(rungs).map(|(object, rung)| {
        bath.sweep(rung, object, generator);
        bath.level(object)
    });
    let mut levels: Vec<Level> = swept.collect();
    for (pair, betas) in ladder.windows(2).enumerate() {
        let gain = gain((betas[0], levels[pair]), (betas[1], levels[pair + 1]));
        if uniform(generator.next_u32()) < gain.exp() {
            let (low, high) = values[pair * sites..][..2 * sites].split_at_mut(sites);
            low.swap_with_slice(high);
            levels.swap(pair, pair + 1);
            passed(pair);
        }
    }
    levels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exchanges_gain_what_the_two_distributions_say() {
        let level = |log_reward, forbidden| Level { log_reward, forbidden };
        assert_eq!(gain((0.25, level(3.0, 0)), (0.75, level(1.0, 0))), 1.0);
        // 2 more forbidden terms go from 0.5 to 0.75, where each counts half as much.
        let found = gain((0.5, level(0.0, 3)), (0.75, level(0.0, 1)));
        assert!((found - 2.0 * 0.5_f64.ln()).abs() < 1e-15, "{found}");
        assert_eq!(gain((0.5, level(9.0, 1)), (1.0, level(0.0, 0))), f64::NEG_INFINITY);
        assert_eq!(gain((0.5, level(0.0, 0)), (1.0, level(9.0, 1))), f64::INFINITY);
        assert_eq!(gain((0.5, level(2.0, 1)), (1.0, level(1.0, 1))), 0.5);
    }
}
