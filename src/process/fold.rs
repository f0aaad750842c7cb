//! Half of a symmetric distribution.
//!
//! Where log R stays as it is when all values are flipped (0 becomes 1 and 1 becomes 0), a policy need only know one object y of
//! each pair of mirror images, the one whose site 0 has value 1; a fair coin then says which of the two is handed on:
//!
//! ```text
//! P_F(x) = P_F(y) / 2,   x = y or its mirror image
//! ```
//!
//! The policy is symmetric by construction, at no cost, and cannot lose the other half. It is site filling with a guide that
//! forbids value 0 at site 0; trajectories begin with the coin, whose log-probability is part of their first step.

use std::f64::consts::LN_2;
use std::sync::Arc;

use super::{Filled, Guide, GuideKernel, Objects};
use crate::random::Draw;

/// log-probability of the coin.
pub(crate) const LOG_PAIR: f64 = -LN_2;

/// Step that the coin's random word belongs to: no trajectory has so many.
const COIN: u32 = u32::MAX;

/// What a guide knows, and that value 0 of site 0 must not be chosen.
#[derive(Debug)]
pub(super) struct Folded(pub Option<Arc<dyn Guide>>);

impl Guide for Folded {
    fn increments(&self, filled: Filled, site: usize, increments: &mut [f64]) {
        if let Some(guide) = &self.0 {
            guide.increments(filled, site, increments);
        }
        if site == 0 {
            increments[0] = -1e30;
        }
    }

    /// The guide's own function under another name, and one that asks it.
    fn kernel(&self) -> Option<GuideKernel> {
        let (own, known) = ("log_reward_increment", "known_increment");
        let inner = match &self.0 {
            Some(guide) => guide.kernel()?,
            None => GuideKernel {
                source: format!("fn {own}(filled: Filled, site: u32, value: u32) -> f32 {{ return 0.0; }}\n"),
                parameters: Vec::new(),
                iterations: 0,
                trusted: true,
            },
        };
        let folded = format!(
            "\nfn {own}(filled: Filled, site: u32, value: u32) -> f32 {{\n    \
             return select({known}(filled, site, value), -1e30, site == 0u && value == 0u);\n}}\n"
        );
        Some(GuideKernel { source: inner.source.replace(own, known) + &folded, ..inner })
    }
}

/// The object of each pair that the policy knows.
pub(super) fn fold(objects: &Objects) -> Objects {
    turned(objects, |_, object| object[0] == 0)
}

/// Of each object or its mirror image one, by a coin from the words of `draw`.
pub(crate) fn unfold(objects: &Objects, draw: &Draw) -> Objects {
    turned(objects, |row, _| draw.words(row as u32, COIN)[0] >> 31 == 1)
}

fn turned(objects: &Objects, whether: impl Fn(usize, &[u8]) -> bool) -> Objects {
    let mut values = objects.values().to_vec();
    for (row, object) in values.chunks_exact_mut(objects.sites()).enumerate() {
        if whether(row, object) {
            object.iter_mut().for_each(|value| *value ^= 1);
        }
    }
    Objects::new(objects.sites(), values)
}

/// log P of all objects, 2^sites numbers of which bit i of the index is the value of site i, from those of the folded ones.
pub(crate) fn unfold_log_probabilities(log_probabilities: &[f64]) -> Vec<f64> {
    let mirrored = |index: usize| log_probabilities.len() - 1 - index;
    let known = |index: usize| if index & 1 == 1 { index } else { mirrored(index) };
    (0..log_probabilities.len()).map(|index| LOG_PAIR + log_probabilities[known(index)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Stream;

    #[test]
    fn objects_fold_onto_one_of_a_pair_and_unfold_onto_either() {
        let objects = Objects::new(3, vec![0, 1, 1, 1, 0, 0, 1, 1, 0]);
        assert_eq!(fold(&objects).values(), [1, 0, 0, 1, 0, 0, 1, 1, 0]);
        let folded = Objects::new(3, [1, 0, 0].repeat(1000));
        let unfolded = unfold(&folded, &Draw::new(7, 0, Stream::Evaluation));
        let flipped = unfolded.rows().filter(|row| *row == [0, 1, 1]).count();
        assert!(unfolded.rows().all(|row| row == [0, 1, 1] || row == [1, 0, 0]));
        assert!(flipped.abs_diff(500) < 64, "{flipped} of 1000 flipped: four standard errors are 63");
        assert_eq!(fold(&unfolded), folded);
    }
}
