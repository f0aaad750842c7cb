//! Counter-based randomness: Philox4x32-10, the twin of `shaders/lib/philox.wgsl`.
//!
//! A draw is a pure function of (seed, iteration, trajectory, step, stream). It does not depend on tiling, threads,
//! engine or micro-batch, so a run resumes bit for bit and two engines can be compared trajectory by trajectory.
//! Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011).

use std::convert::Infallible;

use rand::TryRng;

/// Round multipliers of Philox4x32.
pub const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
/// Key increments of Philox4x32 (golden ratio, sqrt(3) - 1).
pub const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
/// Rounds of Philox4x32-10.
pub const ROUNDS: u32 = 10;

/// What a random number is for. Streams never overlap, whatever the other counters are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[repr(u32)]
pub enum Stream {
    /// Forward trajectories of training iterations.
    Training = 0,
    /// Forward trajectories of evaluations and of `sample`.
    Evaluation = 1,
    /// Initial weights.
    Initialisation = 2,
    /// Orders in which the sites of given objects are filled (uniform backward policy).
    Backward = 3,
    /// Markov chains that sample the target.
    TargetSampler = 4,
    /// Data sets.
    Data = 5,
    /// Back-and-forth proposals: sites cleared and refilled, acceptance.
    Proposal = 6,
    /// Initial weights of an energy model.
    EnergyInitialisation = 7,
    /// The backward orders of an evaluation.
    EvaluationBackward = 8,
    /// Data or target samples drawn for an evaluation.
    EvaluationTarget = 9,
    /// Batches in which gradient estimators are compared.
    Variance = 10,
    /// Batches of the long run that they are compared with.
    VarianceReference = 11,
    /// Seeds of evaluations other than a run's own.
    EvaluationSeed = 12,
    /// Seeds of the objects and backward orders in which gradient estimators are compared.
    VarianceSeed = 13,
    /// Moves of the tempering runs of an evaluation.
    Tempering = 14,
    /// Exchanges of neighbouring chains in them.
    TemperingSwap = 15,
    /// Initial weights of a network that says log F alone.
    FlowInitialisation = 16,
    /// Which of the objects kept are replayed.
    Replay = 24,
    /// Their backward orders.
    ReplayBackward = 25,
}

/// A seed of its own for each `number`, derived from `seed`: neither the same nor the next number of another seed gives the
/// same one, as a sum of the two would.
pub fn derived(seed: u64, stream: Stream, number: u64) -> u64 {
    let counter = [number as u32, (number >> 32) as u32, 0, stream as u32];
    let [low, high, ..] = philox(counter, key(seed));
    u64::from(low) | u64::from(high) << 32
}

/// The Philox key of a seed.
fn key(seed: u64) -> [u32; 2] {
    [seed as u32, (seed >> 32) as u32]
}

/// Four words from a counter and a key.
pub fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for round in 0..ROUNDS {
        if round > 0 {
            key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
        }
        let left = u64::from(MULTIPLIERS[0]) * u64::from(counter[0]);
        let right = u64::from(MULTIPLIERS[1]) * u64::from(counter[2]);
        counter = [
            (right >> 32) as u32 ^ counter[1] ^ key[0],
            right as u32,
            (left >> 32) as u32 ^ counter[3] ^ key[1],
            left as u32,
        ];
    }
    counter
}

/// A uniform number in [0, 1) with 24 bits, the same in f32 and f64.
pub fn uniform(word: u32) -> f64 {
    f64::from(word >> 8) * (1.0 / 16_777_216.0)
}

/// `floor(uniform(word) * n)`, in integers so that every engine picks the same index.
pub fn pick(word: u32, n: u32) -> u32 {
    ((u64::from(word & 0xFFFF_FF00) * u64::from(n)) >> 32) as u32
}

/// Which random numbers a batch uses: everything but the trajectory and the step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Draw {
    /// The run's.
    pub seed: u64,
    /// Of the training, from 0.
    pub iteration: u32,
    /// What the numbers are for.
    pub stream: Stream,
    /// Number of the batch's first trajectory, so that a batch can be a part of a larger one.
    pub first_trajectory: u32,
}

impl Draw {
    /// A batch whose first trajectory is number 0.
    pub fn new(seed: u64, iteration: u32, stream: Stream) -> Self {
        Self { seed, iteration, stream, first_trajectory: 0 }
    }

    /// The Philox key of this draw.
    pub fn key(&self) -> [u32; 2] {
        key(self.seed)
    }

    /// The four words of `trajectory` (counted from the batch's first) at `step`.
    pub fn words(&self, trajectory: u32, step: u32) -> [u32; 4] {
        philox([self.iteration, self.first_trajectory.wrapping_add(trajectory), step, self.stream as u32], self.key())
    }

    /// A generator for host-side samplers that need an unknown number of words for one trajectory (or chain).
    pub fn generator(&self, trajectory: u32) -> CounterRng {
        CounterRng { draw: *self, trajectory, step: 0, words: [0; 4], used: 4 }
    }
}

/// A [`rand`] generator over the counters of one trajectory: for use with `rand_distr`.
#[derive(Clone, Debug)]
pub struct CounterRng {
    draw: Draw,
    trajectory: u32,
    step: u32,
    words: [u32; 4],
    used: usize,
}

impl TryRng for CounterRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        if self.used == 4 {
            self.words = self.draw.words(self.trajectory, self.step);
            self.step = self.step.wrapping_add(1);
            self.used = 0;
        }
        self.used += 1;
        Ok(self.words[self.used - 1])
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let low = u64::from(self.try_next_u32()?);
        Ok(low | u64::from(self.try_next_u32()?) << 32)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(4) {
            chunk.copy_from_slice(&self.try_next_u32()?.to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn philox_matches_the_random123_known_answers() {
        let answers = [
            ([0; 4], [0; 2], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
            ([u32::MAX; 4], [u32::MAX; 2], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
            (
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0],
                [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
            ),
        ];
        for (counter, key, expected) in answers {
            assert_eq!(philox(counter, key), expected);
        }
    }

    #[test]
    fn derived_seeds_are_all_different() {
        let mut seeds = std::collections::BTreeSet::new();
        for seed in [0, 1, 2, 3, 1 << 32, u64::MAX] {
            seeds.insert(seed);
            for stream in [Stream::EvaluationSeed, Stream::VarianceSeed] {
                seeds.extend([0, 1, 2, 3, 1 << 32, u64::MAX].map(|number| derived(seed, stream, number)));
            }
        }
        assert_eq!(seeds.len(), 6 * (1 + 2 * 6));
    }

    #[test]
    fn pick_is_the_floor_of_the_scaled_uniform() {
        for word in [0, 255, 256, 0x7fff_ffff, 0x8000_0000, 0xffff_feff, u32::MAX] {
            for n in [1, 2, 3, 100, 225, 1 << 20] {
                assert_eq!(f64::from(pick(word, n)), (uniform(word) * f64::from(n)).floor());
            }
        }
    }
}
