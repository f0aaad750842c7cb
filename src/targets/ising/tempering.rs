//! Heat bath with parallel tempering, for frustrated tori: odd side, negative coupling.
//!
//! Every chain is a ladder of replicas at couplings from 0 to K, run for as long as its [`Plan`] says. A round sweeps
//! each replica with the heat bath (each spin redrawn given its four neighbours, R. J. Glauber 1963) and offers
//! neighbouring replicas an exchange (K. Hukushima and K. Nemoto, "Exchange Monte Carlo method", 1996). The slowest
//! modes of a frustrated torus, where its two domain walls lie and which way they lean, are symmetries of the torus: a
//! sample ends with a uniformly random one, which leaves R as it is and makes those modes independent from sample to
//! sample.

use rand::Rng;
use rayon::prelude::*;

use super::plan::Plan;
use super::{bond_sum, neighbours, ordered, take_up};
use crate::process::Objects;
use crate::random::{CounterRng, Draw, Stream, pick, uniform};
use crate::targets::{Sampler, TargetError};

/// Independent ladders. State: one byte a spin, [chains, replicas, sites], the last replica of each at the coupling K.
pub struct Tempering {
    side: usize,
    neighbours: Vec<[u32; 4]>,
    plan: Plan,
    spins: Vec<u8>,
}

/// What a replica of the ladder does at its coupling.
#[derive(Clone, Debug)]
pub struct Replica {
    pub coupling: f64,
    /// Probability of spin +1 given the number of neighbours that are +1, times 2^32.
    up: [u64; 5],
}

impl Tempering {
    /// `chains` equilibrated ladders on the `side` x `side` torus, burnt in from an ordered state as its `plan` says.
    pub fn new(side: usize, plan: Plan, seed: u64, chains: usize) -> Self {
        let spins = ordered(side, false).repeat(plan.ladder.len() * chains);
        let burn_in = plan.burn_in;
        let mut sampler = Self { side, neighbours: neighbours(side), plan, spins };
        sampler.advance(&Draw::new(seed, u32::MAX, Stream::TargetSampler), burn_in);
        sampler
    }

    /// Takes every ladder through `rounds` rounds and a random symmetry.
    fn advance(&mut self, draw: &Draw, rounds: usize) {
        let sites = self.neighbours.len();
        self.spins.par_chunks_mut(self.plan.ladder.len() * sites).enumerate().for_each(|(chain, spins)| {
            let mut generator = draw.generator(chain as u32);
            for _ in 0..rounds {
                for (spins, replica) in spins.chunks_mut(sites).zip(&self.plan.ladder) {
                    replica.sweep(spins, &self.neighbours, &mut generator);
                }
                exchange(self.side, spins, &self.plan.ladder, &mut generator, |_| ());
            }
            let last = spins.len() - sites;
            turn(self.side, &mut spins[last..], &mut generator);
        });
    }
}

impl Sampler for Tempering {
    fn sample(&mut self, draw: &Draw) -> Objects {
        self.advance(draw, self.plan.rounds);
        let sites = self.neighbours.len();
        let ladders = self.spins.chunks(self.plan.ladder.len() * sites);
        Objects::new(sites, ladders.flat_map(|ladder| &ladder[ladder.len() - sites..]).copied().collect())
    }

    fn state(&self) -> Vec<u8> {
        self.spins.clone()
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), TargetError> {
        take_up(&mut self.spins, state)
    }
}

impl Replica {
    pub fn new(coupling: f64) -> Self {
        let up = |count| {
            let field = f64::from(2 * count - 4);
            (2f64.powi(32) / (1.0 + (-2.0 * coupling * field).exp())).round() as u64
        };
        Self { coupling, up: [0, 1, 2, 3, 4].map(up) }
    }

    /// Redraws every spin in turn from its distribution given its neighbours.
    pub fn sweep(&self, spins: &mut [u8], neighbours: &[[u32; 4]], generator: &mut CounterRng) {
        for (site, around) in neighbours.iter().enumerate() {
            let count: u8 = around.iter().map(|&neighbour| spins[neighbour as usize]).sum();
            spins[site] = u8::from(u64::from(generator.next_u32()) < self.up[usize::from(count)]);
        }
    }
}

/// Exchanges the spins of neighbouring replicas with the Metropolis probability, from K = 0 on. `passed` is told the
/// lower replica's index wherever an exchange took place.
pub fn exchange(
    side: usize,
    spins: &mut [u8],
    ladder: &[Replica],
    generator: &mut CounterRng,
    mut passed: impl FnMut(usize),
) {
    let sites = side * side;
    for (pair, couplings) in ladder.windows(2).enumerate() {
        let (low, high) = spins[pair * sites..][..2 * sites].split_at_mut(sites);
        let gained =
            (couplings[1].coupling - couplings[0].coupling) * (bond_sum(side, low) - bond_sum(side, high)) as f64;
        if uniform(generator.next_u32()) < gained.exp() {
            low.swap_with_slice(high);
            passed(pair);
        }
    }
}

/// Maps the spins by a random symmetry of R: flip, transposition, mirroring and shift of either axis.
fn turn(side: usize, spins: &mut [u8], generator: &mut CounterRng) {
    let bits = generator.next_u32() >> 28;
    let [down, right] = [0, 1].map(|_| pick(generator.next_u32(), side as u32) as usize);
    let moved = |index: usize, by: usize, mirror: bool| (if mirror { side - index } else { index } + by) % side;
    let before = spins.to_vec();
    for (site, spin) in spins.iter_mut().enumerate() {
        let (row, column) = (site / side, site % side);
        let (row, column) = if bits & 1 == 0 { (row, column) } else { (column, row) };
        let from = moved(row, down, bits & 2 != 0) * side + moved(column, right, bits & 4 != 0);
        *spin = before[from] ^ (bits >> 3) as u8;
    }
}
