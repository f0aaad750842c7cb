//! What forward samples say of single sites, and the best of them.

use std::collections::HashSet;

use serde::Serialize;

use super::EvaluationError;
use crate::engine::log_rewards;
use crate::process::Objects;
use crate::targets::Target;

/// The policy's site marginals against the exact ones.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Marginals {
    /// The largest difference of a probability that a site has a value.
    pub worst: f64,
    /// Of that difference, for so many samples.
    pub standard_error: f64,
    /// Which site it is.
    pub site: usize,
    /// And which value.
    pub value: usize,
}

/// The forward sample of largest log R.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Best {
    /// Its log R.
    pub log_reward: f64,
    /// What the target calls what people ask for in place of log R, and what that is.
    pub measure: Option<(&'static str, f64)>,
    /// Its values.
    pub object: Vec<u8>,
}

impl Best {
    /// What people ask for and what it is, without the last digits, which are rounding.
    pub fn told(&self) -> Option<(&'static str, f64)> {
        self.measure.map(|(name, value)| (name, (value * 1e9).round() / 1e9))
    }
}

/// Shares of samples against the target's marginals, where it knows them.
pub(super) fn marginals(target: &dyn Target, samples: &Objects) -> Option<Marginals> {
    let exact = target.marginals().ok()?;
    let count = samples.count() as f64;
    let mut worst = Marginals::default();
    for (site, exact) in exact.iter().enumerate() {
        for (value, &probability) in exact.iter().enumerate() {
            let found = samples.rows().filter(|object| usize::from(object[site]) == value).count() as f64 / count;
            let difference = (found - probability).abs();
            if difference > worst.worst {
                let standard_error = (found * (1.0 - found) / count).sqrt();
                worst = Marginals { worst: difference, standard_error, site, value };
            }
        }
    }
    Some(worst)
}

/// The best of `samples`, where the target has a name for what makes it that.
pub(super) fn best(target: &dyn Target, samples: &Objects) -> Result<Option<Best>, EvaluationError> {
    if target.measure(0.0).is_none() {
        return Ok(None);
    }
    Ok(best_of(target, samples, 1)?.pop())
}

/// The `count` distinct objects of largest log R among `samples`, best first; fewer where there are no more that are allowed.
///
/// # Errors
/// If log R of one is NaN or plus infinity.
pub fn best_of(target: &dyn Target, samples: &Objects, count: usize) -> Result<Vec<Best>, EvaluationError> {
    let log_reward = log_rewards(target, samples)?;
    let mut rows: Vec<usize> = (0..samples.count()).filter(|&row| log_reward[row] != f64::NEG_INFINITY).collect();
    rows.sort_by(|&one, &other| log_reward[other].total_cmp(&log_reward[one]));
    let mut seen = HashSet::new();
    let distinct = rows.into_iter().filter(|&row| seen.insert(samples.row(row))).take(count);
    let best = |row: usize| {
        let log_reward = log_reward[row];
        Best { log_reward, measure: target.measure(log_reward), object: samples.row(row).to_vec() }
    };
    Ok(distinct.map(best).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::parse;
    use crate::targets::model::Model;

    #[test]
    fn marginals_are_shares_against_exact_ones_and_the_best_is_named() {
        // E = s_0 s_1, so unequal spins are best, and each spin is up half of the time.
        let target = Model::new(parse("m", "# vartype=SPIN\n0 1 1\n", None, 2.0).unwrap());
        let samples = Objects::new(2, vec![1, 1, 1, 0, 1, 0, 0, 0]);
        let found = marginals(&target, &samples).unwrap();
        assert_eq!((found.site, found.value, found.worst), (0, 0, 0.25));
        assert!((found.standard_error - (0.25_f64 * 0.75 / 4.0).sqrt()).abs() < 1e-12);
        let best = best(&target, &samples).unwrap().unwrap();
        assert_eq!((best.object, best.measure, best.log_reward), (vec![1, 0], Some(("energy", -1.0)), 2.0));
    }
    #[test]
    fn the_best_are_distinct_and_in_order_and_allowed() {
        // log R is 0, log 2 or log 3, or forbidden.
        let target = Model::new(parse("m.uai", "MARKOV 2 2 2 1 2 0 1 4 1 3 0 2", None, 1.0).unwrap());
        let samples = Objects::new(2, vec![0, 0, 1, 0, 0, 1, 1, 1, 0, 1, 0, 0]);
        let objects = |count| best_of(&target, &samples, count).unwrap().into_iter().map(|best| best.object);
        assert_eq!(objects(2).collect::<Vec<_>>(), [[0, 1], [1, 1]]);
        assert_eq!(objects(9).collect::<Vec<_>>(), [[0, 1], [1, 1], [0, 0]]);
        assert_eq!(best_of(&target, &samples, 1).unwrap()[0].log_reward, 3.0_f64.ln());
    }
}
