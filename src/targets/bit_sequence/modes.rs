//! Which modes there are, and the objects around them that a policy is tested on.

use std::collections::BTreeSet;

use rand::RngExt;
use rand::seq::SliceRandom;

use crate::random::{Draw, pick};

/// What modes are made of in the paper (arXiv:2201.13259, section 5.3).
const VOCABULARY: [u8; 5] = [0b0000_0000, 0b1111_1111, 0b1111_0000, 0b0000_1111, 0b0011_1100];

/// Bits of a word of the vocabulary.
const BITS: usize = 8;

/// How many different modes there are.
pub fn possible(length: usize) -> f64 {
    match length.is_multiple_of(BITS) {
        true => (VOCABULARY.len() as f64).powf((length / BITS) as f64),
        false => 2_f64.powf(length as f64),
    }
}

/// `count` different modes, each a row of bits: words of the vocabulary where the length is a multiple of theirs, otherwise fair bits.
/// There must be so many.
pub fn draw(length: usize, count: usize, draw: &Draw) -> Vec<Vec<u8>> {
    let generator = &mut draw.generator(0);
    let (mut seen, mut modes) = (BTreeSet::new(), Vec::new());
    while modes.len() < count {
        let mode: Vec<u8> = if length.is_multiple_of(BITS) {
            let words = (0..length / BITS).map(|_| pick(generator.random(), VOCABULARY.len() as u32));
            words.flat_map(|word| (0..BITS).rev().map(move |bit| VOCABULARY[word as usize] >> bit & 1)).collect()
        } else {
            (0..length).map(|_| pick(generator.random(), 2) as u8).collect()
        };
        if seen.insert(mode.clone()) {
            modes.push(mode);
        }
    }
    modes
}

/// Each mode with 0, 1, ... n - 1 of its n bits flipped, which are drawn without replacement. Shuffled.
pub fn mutated(modes: &[Vec<u8>], draw: &Draw) -> Vec<Vec<u8>> {
    let mut rows = Vec::new();
    for (number, mode) in (0..).zip(modes) {
        let generator = &mut draw.generator(number);
        let mut places: Vec<usize> = (0..mode.len()).collect();
        for flipped in 0..mode.len() {
            places.shuffle(generator);
            let mut row = mode.clone();
            places[..flipped].iter().for_each(|&place| row[place] ^= 1);
            rows.push(row);
        }
    }
    rows.shuffle(&mut draw.generator(u32::MAX));
    rows
}
