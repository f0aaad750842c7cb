//! Bit sequences with hidden modes.
//!
//! ```text
//! log R(x) = -beta min_m d(x, m) / n
//! ```
//!
//! d is the Hamming distance of x's n bits to those of a mode m. A site is a word of k bits, its first bit the highest of its
//! value. The task is that of Malkin, Jain, Bengio, Sun and Bengio, "Trajectory balance: improved credit assignment in GFlowNets"
//! (NeurIPS 2022, arXiv:2201.13259), section 5.3. Libraries differ in what beta is: torchgfn's `BitSequence` has
//! log R = -d / temperature, which is beta = n / temperature here; gfnx's `BitseqRewardModule` has -exponent d, beta = n exponent.

mod distances;
mod modes;

#[cfg(test)]
mod tests;

use std::sync::OnceLock;

use rayon::prelude::*;

use super::{Modes, Observable, RewardKernel, Target, TargetError, enumeration};
use crate::out_of_range::OutOfRange;
use crate::process::{Encoding, Objects};
use crate::random::{Draw, Stream};

/// Bits that a sequence can have.
pub const LENGTHS: std::ops::RangeInclusive<usize> = 1..=4096;

/// Bits that a word, which is a site, can have.
pub const WORDS: std::ops::RangeInclusive<usize> = 1..=8;

/// Modes that there can be.
pub const MODES: std::ops::RangeInclusive<usize> = 1..=4096;

/// Largest beta.
pub const LARGEST_BETA: f64 = 1e6;

/// Bits that the kernel compares at once: whole numbers below 2^24 are exact in f32, in which parameters come.
const KERNEL_BITS: usize = 24;

/// The target.
#[derive(Debug)]
pub struct BitSequence {
    length: usize,
    word: usize,
    beta: f64,
    /// Whose mutations the test objects are.
    seed: u64,
    /// A row of bits, 0 or 1, for each mode: [modes, length].
    modes: Vec<Vec<u8>>,
    /// The same as words of 64 bits.
    packed: Vec<Vec<u64>>,
    log_z: OnceLock<Result<f64, String>>,
}

impl BitSequence {
    /// Sequences of `length` bits, `word` of them a site, with `modes` different modes drawn from `mode_seed`.
    ///
    /// Where the length is a multiple of 8, modes are made of the words 00000000, 11111111, 11110000, 00001111 and 00111100, each
    /// drawn uniformly, as in the paper; otherwise of independent fair bits.
    ///
    /// # Errors
    /// If a number is out of range ([`LENGTHS`], [`WORDS`], [`MODES`], beta in (0, [`LARGEST_BETA`]]), the word does not divide
    /// the length, or there are not so many modes.
    pub fn new(length: usize, word: usize, modes: usize, mode_seed: u64, beta: f64) -> Result<Self, OutOfRange> {
        let refuse = |message: String| Err(OutOfRange::new(message));
        let within = |range: &std::ops::RangeInclusive<usize>| format!("{} to {}", range.start(), range.end());
        if !LENGTHS.contains(&length) {
            return refuse(format!("length = {length}: must be {}", within(&LENGTHS)));
        }
        if !WORDS.contains(&word) || !length.is_multiple_of(word) {
            return refuse(format!("word = {word}: must be {} and divide length = {length}", within(&WORDS)));
        }
        if !MODES.contains(&modes) || modes as f64 > modes::possible(length) {
            let most = modes::possible(length).min(*MODES.end() as f64);
            return refuse(format!("modes = {modes}: must be 1 to {most} at length = {length}"));
        }
        if !(beta > 0.0 && beta <= LARGEST_BETA) {
            return refuse(format!("beta = {beta}: must be above 0 and at most {LARGEST_BETA}"));
        }
        let modes = modes::draw(length, modes, &Draw::new(mode_seed, 0, Stream::Data));
        let packed = modes.iter().map(|mode| pack(mode.iter().copied())).collect();
        Ok(Self { length, word, beta, seed: mode_seed, modes, packed, log_z: OnceLock::new() })
    }

    /// The modes as objects.
    pub fn mode_objects(&self) -> Objects {
        self.objects(self.modes.iter())
    }

    /// The Hamming distance of an object to the nearest mode.
    pub fn distance(&self, object: &[u8]) -> u32 {
        nearest(&self.packed, &self.pack(object))
    }

    /// How near to a mode an object has to be to count as of it: 28 at 120 bits, as the paper counts modes, and in proportion.
    pub fn radius(&self) -> u32 {
        (self.length * 28 / 120) as u32
    }

    fn pack(&self, object: &[u8]) -> Vec<u64> {
        pack(bits(object, self.word))
    }

    /// Objects from rows of bits.
    fn objects<'a>(&self, rows: impl Iterator<Item = &'a Vec<u8>>) -> Objects {
        let value = |word: &[u8]| word.iter().fold(0, |value, bit| value << 1 | bit);
        Objects::new(self.sites(), rows.flat_map(|row| row.chunks(self.word).map(value)).collect())
    }
}

impl Target for BitSequence {
    fn sites(&self) -> usize {
        self.length / self.word
    }

    fn values(&self) -> usize {
        1 << self.word
    }

    fn encoding(&self) -> Encoding {
        if self.word == 1 { Encoding::Scalar { unset: 0.0, codes: vec![-1.0, 1.0] } } else { Encoding::OneHot }
    }

    fn log_reward(&self, objects: &Objects, log_reward: &mut [f64]) {
        let scale = self.beta / self.length as f64;
        let rows = objects.values().par_chunks(self.sites()).with_min_len(64);
        // Adding zero turns a minus zero into zero.
        rows.zip(log_reward).for_each(|(object, log_reward)| {
            *log_reward = -f64::from(self.distance(object)) * scale + 0.0;
        });
    }

    /// By adding up all objects up to 20 bits; beyond, by counting objects with the same distances to all modes, where there are few
    /// enough of these: where modes are few (up to three at 120 bits) or alike. The first call may take some seconds; later ones
    /// remember.
    fn log_z(&self) -> Result<f64, TargetError> {
        let scale = self.beta / self.length as f64;
        let log_z = self.log_z.get_or_init(|| match enumeration::log_z(self) {
            Ok(log_z) => Ok(log_z),
            Err(_) => distances::log_z(&self.modes, scale),
        });
        log_z.clone().map_err(TargetError::Unknown)
    }

    fn kernel(&self) -> Option<RewardKernel> {
        let (sites, word) = (self.sites(), self.word);
        let at_once = KERNEL_BITS / word;
        let (chunks, modes) = (sites.div_ceil(at_once), self.modes.len());
        let chunk = |bits: &[u8]| bits.iter().fold(0_u32, |chunk, &bit| chunk << 1 | u32::from(bit)) as f32;
        let parameters = self.modes.iter().flat_map(|mode| mode.chunks(at_once * word).map(chunk)).collect();
        let source = format!(
            "const WORD = {word}u;\nconst AT_ONCE = {at_once}u;\nconst CHUNKS = {chunks}u;\nconst MODES = {modes}u;\n{}",
            include_str!("reward.wgsl")
        );
        let iterations = (sites + 1) + modes * (1 + chunks + 1) + 1;
        Some(RewardKernel { source, parameters, scale: self.beta / self.length as f64, iterations })
    }

    fn modes(&self) -> Option<Modes> {
        let (packed, word, radius) = (self.packed.clone(), self.word, self.radius());
        let near = move |object: &[u8], reached: &mut [bool]| {
            let object = pack(bits(object, word));
            for (mode, reached) in packed.iter().zip(reached) {
                *reached |= distance(mode, &object) <= radius;
            }
        };
        Some(Modes { count: self.modes.len(), near: Box::new(near) })
    }

    /// The paper's: for each mode and each number from 0 to n - 1, one copy of the mode with so many of its bits flipped. In an
    /// order in which every part from the beginning has all modes and numbers alike.
    fn test_objects(&self) -> Option<Objects> {
        let rows = modes::mutated(&self.modes, &Draw::new(self.seed, 1, Stream::Data));
        Some(self.objects(rows.iter()))
    }

    fn observables(&self) -> Vec<Observable> {
        let (packed, word) = (self.packed.clone(), self.word);
        let of = move |object: &[u8]| f64::from(nearest(&packed, &pack(bits(object, word))));
        vec![Observable { name: "distance to a mode", of: Box::new(of) }]
    }
}

/// The bits of an object, one after the other.
fn bits(object: &[u8], word: usize) -> impl Iterator<Item = u8> {
    object.iter().flat_map(move |value| (0..word).rev().map(move |bit| value >> bit & 1))
}

fn pack(bits: impl Iterator<Item = u8>) -> Vec<u64> {
    let mut packed = Vec::new();
    for (index, bit) in bits.enumerate() {
        if index.is_multiple_of(64) {
            packed.push(0);
        }
        packed[index / 64] |= u64::from(bit) << (index % 64);
    }
    packed
}

fn distance(one: &[u64], other: &[u64]) -> u32 {
    one.iter().zip(other).map(|(one, other)| (one ^ other).count_ones()).sum()
}

/// The distance to the nearest of the modes, of which there is one.
fn nearest(modes: &[Vec<u64>], object: &[u64]) -> u32 {
    modes.iter().map(|mode| distance(mode, object)).min().unwrap_or_default()
}
