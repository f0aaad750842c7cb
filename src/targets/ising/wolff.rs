//! Wolff's single-cluster sampler, for tori whose bonds can all be satisfied.
//!
//! U. Wolff, "Collective Monte Carlo updating for spin systems", Physical Review Letters 62, 1989: from a random site a
//! cluster grows over satisfied bonds, each taken with probability 1 - exp(-2|K|), and is flipped. A bond is satisfied
//! if K x_i x_j > 0, so negative couplings on an even side need nothing of their own.
//!
//! How many clusters make up a sample is measured once, during burn-in, and then held: stopping on what the clusters
//! did (say, when enough sites were flipped) would favour states that follow a large cluster. One more cluster is
//! flipped with probability 1/2, lest all-flipping clusters or single-site ones keep a parity.

use rand::Rng;
use rayon::prelude::*;

use super::{neighbours, ordered, take_up};
use crate::process::Objects;
use crate::random::{CounterRng, Draw, Stream, pick};
use crate::targets::{Sampler, TargetError};

/// How often burn-in flips each site, on average.
const BURN_IN: usize = 50;

/// How often each site is flipped from one sample to the next, on average.
const REFRESH: u64 = 4;

/// Independent chains at one coupling. State: the number of clusters a sample (4 bytes, little endian), then one byte a
/// spin, chain by chain.
pub struct Wolff {
    cluster: Cluster,
    clusters: u32,
    spins: Vec<u8>,
}

impl Wolff {
    /// `chains` equilibrated chains on the `side` x `side` torus: from a random ordered state, each chain is burnt in
    /// until it has flipped 50 N^2 sites. The side must be even, or the coupling not negative.
    pub fn new(side: usize, coupling: f64, seed: u64, chains: usize) -> Self {
        let cluster = Cluster {
            neighbours: neighbours(side),
            aligned: coupling >= 0.0,
            join: (-(-2.0 * coupling.abs()).exp_m1() * 2f64.powi(32)).round() as u64,
        };
        let sites = side * side;
        let draw = Draw::new(seed, u32::MAX, Stream::TargetSampler);
        let mut spins = ordered(side, cluster.aligned).repeat(chains);
        let burn_in = spins.par_chunks_mut(sites).enumerate().map(|(chain, spins)| {
            let mut generator = draw.generator(chain as u32);
            let mut frontier = Vec::new();
            let (mut count, mut flipped) = (0, 0);
            while flipped < BURN_IN * sites {
                flipped += cluster.flip(spins, &mut frontier, &mut generator);
                count += 1;
            }
            [count, flipped as u64]
        });
        let [count, flipped] = burn_in.reduce(|| [0, 0], |a, b| [a[0] + b[0], a[1] + b[1]]);
        // At most REFRESH * N^2 clusters, which fits 32 bits.
        let clusters = (REFRESH * sites as u64 * count).div_ceil(flipped.max(1)) as u32;
        let mut sampler = Self { cluster, clusters, spins };
        // Burn-in stopped on what its clusters did; a fixed number of them makes good for that.
        sampler.sample(&Draw::new(seed, u32::MAX - 1, Stream::TargetSampler));
        sampler
    }
}

impl Sampler for Wolff {
    fn sample(&mut self, draw: &Draw) -> Objects {
        let sites = self.cluster.neighbours.len();
        self.spins.par_chunks_mut(sites).enumerate().for_each(|(chain, spins)| {
            let mut generator = draw.generator(chain as u32);
            let mut frontier = Vec::new();
            for _ in 0..self.clusters + (generator.next_u32() >> 31) {
                self.cluster.flip(spins, &mut frontier, &mut generator);
            }
        });
        Objects::new(sites, self.spins.clone())
    }

    fn state(&self) -> Vec<u8> {
        [&self.clusters.to_le_bytes()[..], &self.spins].concat()
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), TargetError> {
        let Some((clusters, spins)) = state.split_first_chunk() else {
            return Err(TargetError::State(format!("a sampler state of {} bytes is too short", state.len())));
        };
        let clusters = u32::from_le_bytes(*clusters);
        if u64::from(clusters) > REFRESH * self.cluster.neighbours.len() as u64 {
            return Err(TargetError::State(format!("a sampler state that asks for {clusters} clusters a sample")));
        }
        take_up(&mut self.spins, spins)?;
        self.clusters = clusters;
        Ok(())
    }
}

/// The cluster move.
struct Cluster {
    neighbours: Vec<[u32; 4]>,
    /// Whether equal neighbours are the satisfied ones.
    aligned: bool,
    /// Probability that a satisfied bond joins, times 2^32.
    join: u64,
}

impl Cluster {
    /// Grows a cluster from a random site and flips it; its size.
    ///
    /// Spins are flipped as they join. That makes every bond inside the cluster look unsatisfied from a member not yet
    /// visited, so no member joins twice. `frontier` is room for the members not yet visited, empty between calls.
    fn flip(&self, spins: &mut [u8], frontier: &mut Vec<u32>, generator: &mut CounterRng) -> usize {
        let seed = pick(generator.next_u32(), spins.len() as u32);
        spins[seed as usize] ^= 1;
        let mut size = 1;
        frontier.push(seed);
        while let Some(site) = frontier.pop() {
            let before = spins[site as usize] ^ 1;
            for &neighbour in &self.neighbours[site as usize] {
                let spin = &mut spins[neighbour as usize];
                if (*spin == before) == self.aligned && u64::from(generator.next_u32()) < self.join {
                    *spin ^= 1;
                    size += 1;
                    frontier.push(neighbour);
                }
            }
        }
        size
    }
}
