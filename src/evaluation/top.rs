//! The best of the forward samples, and how many modes they are in.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::process::Objects;
use crate::targets::Target;

/// Samples that count as the best.
const BEST: usize = 100;

/// The 100 different forward samples of largest log R, or all that are different if they are fewer.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Top {
    /// How many.
    pub objects: usize,
    /// Mean of log R.
    pub mean_log_reward: f64,
    /// What the target calls what people ask for in place of log R, such as a reward, and its mean.
    pub measure: Option<(&'static str, f64)>,
    /// Sites in which two of them differ, on average over pairs; none if there is one alone.
    pub diversity: Option<f64>,
}

/// The modes that a set of objects is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ModesFound {
    /// Modes with an object that belongs to them.
    pub found: usize,
    /// Modes that there are.
    pub of: usize,
}

/// The best of `samples`, which have this log R; none where no R, or none that is not 0, was found.
pub(super) fn top(target: &dyn Target, samples: &Objects, log_reward: &[f64]) -> Option<Top> {
    let mut order: Vec<usize> = (0..samples.count()).filter(|&row| log_reward[row].is_finite()).collect();
    order.sort_by(|&one, &other| log_reward[other].total_cmp(&log_reward[one]));
    let mut seen = BTreeSet::new();
    order.retain(|&row| seen.len() < BEST && seen.insert(samples.row(row)));
    let objects = order.len();
    if objects == 0 || !target.has_reward() {
        return None;
    }
    let mean = |of: &dyn Fn(f64) -> f64| order.iter().map(|&row| of(log_reward[row])).sum::<f64>() / objects as f64;
    let measure = |log_reward| target.measure(log_reward).map_or(f64::NAN, |(_, value)| value);
    let named = target.measure(0.0).map(|(name, _)| (name, mean(&measure)));
    let differing = |one: usize, other: usize| {
        samples.row(one).iter().zip(samples.row(other)).filter(|(one, other)| one != other).count()
    };
    let pairs = objects * (objects - 1) / 2;
    let distances: usize =
        (0..objects).flat_map(|i| (0..i).map(move |j| (i, j))).map(|(i, j)| differing(order[i], order[j])).sum();
    Some(Top {
        objects,
        mean_log_reward: mean(&|log_reward| log_reward),
        measure: named.filter(|(_, mean)| mean.is_finite()),
        diversity: (pairs > 0).then(|| distances as f64 / pairs as f64),
    })
}

/// The modes that samples are in, where the target knows its modes.
pub(super) fn modes(target: &dyn Target, samples: &Objects) -> Option<ModesFound> {
    let modes = target.modes()?;
    let mut reached = vec![false; modes.count];
    modes.mark(samples, &mut reached);
    Some(ModesFound { found: reached.iter().filter(|&&reached| reached).count(), of: modes.count })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::bit_sequence::BitSequence;

    #[test]
    fn the_best_are_different_ones_and_their_modes_are_counted() {
        let target = BitSequence::new(8, 2, 3, 1, 8.0).unwrap();
        let modes = target.mode_objects();
        // Two modes, one of them three times over, and a neighbour of the third.
        let mut samples = Objects::new(4, modes.row(0).repeat(3));
        samples.extend(&Objects::new(4, modes.row(1).to_vec()));
        let mut near = modes.row(2).to_vec();
        near[0] ^= 1;
        samples.extend(&Objects::new(4, near.clone()));
        let mut log_reward = vec![f64::NAN; 5];
        target.log_reward(&samples, &mut log_reward);
        let found = top(&target, &samples, &log_reward).unwrap();
        assert_eq!(found.objects, 3);
        // Modes of this vocabulary are two bits apart at least.
        assert!((found.mean_log_reward + 1.0 / 3.0).abs() < 1e-15, "{found:?}");
        let differing = |one: &[u8], other: &[u8]| one.iter().zip(other).filter(|(a, b)| a != b).count() as f64;
        let pairs = [(modes.row(0), modes.row(1)), (modes.row(0), &near[..]), (modes.row(1), &near[..])];
        let expected = pairs.iter().map(|(one, other)| differing(one, other)).sum::<f64>() / 3.0;
        assert!((found.diversity.unwrap() - expected).abs() < 1e-15);
        assert_eq!(found.measure, None);
        let counted = super::modes(&target, &samples).unwrap();
        assert_eq!(counted, ModesFound { found: 3, of: 3 });
        let alone = Objects::new(4, modes.row(0).to_vec());
        assert_eq!(super::modes(&target, &alone).unwrap().found, 1);
        let alone = top(&target, &alone, &[0.0]).unwrap();
        assert_eq!((alone.objects, alone.diversity), (1, None));
        assert!(top(&target, &samples, &[f64::NEG_INFINITY; 5]).is_none());
    }
}
