//! How often each site has each value: among forward samples, among the same weighted, and exactly where that is known.

use crate::metrics::Estimate;
use crate::process::Objects;
use crate::targets::Target;

/// The probability of a value of a site.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// The site.
    pub site: usize,
    /// Its value.
    pub value: usize,
    /// The share of the policy's samples that have it.
    pub policy: Estimate,
    /// The same with self-normalised importance weights, an estimate for the target; NaN without any R, or where no sample has
    /// a weight.
    pub weighted: Estimate,
    /// The target's own, where it is known.
    pub exact: Option<f64>,
}

impl Share {
    /// How far an estimate is from the exact probability, in its standard errors. Where all samples agree they say no error: then
    /// that of the exact probability for so many `effective` samples.
    fn off(&self, estimate: Estimate, effective: f64) -> Option<f64> {
        let exact = self.exact?;
        let own = (exact * (1.0 - exact) / effective).sqrt();
        let off = (estimate.value - exact).abs();
        // Roundings of the exact probability are no difference.
        Some(if off < 1e-9 { 0.0 } else { off / estimate.standard_error.max(own) })
    }
}

/// The shares of every value of sites 0 up to at most `most` values in all, whole sites only. `log_weights` are those of the
/// samples.
pub fn shares(target: &dyn Target, samples: &Objects, log_weights: &[f64], most: usize) -> Vec<Share> {
    let largest = log_weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = log_weights.iter().map(|log_weight| (log_weight - largest).exp()).collect();
    let square = |weight: &f64| weight * weight;
    let (sum, squares) = (weights.iter().sum::<f64>(), weights.iter().map(square).sum::<f64>());
    let exact = target.marginals().ok();
    let (values, count) = (target.values(), samples.count() as f64);
    let mut shares = Vec::new();
    for site in 0..target.sites().min(most / values) {
        // Of each value: samples, their weights, and the squares of these.
        let mut found = vec![[0.0; 3]; values];
        for (object, weight) in samples.rows().zip(&weights) {
            let [number, own, own_squares] = &mut found[usize::from(object[site])];
            (*number, *own, *own_squares) = (*number + 1.0, *own + weight, *own_squares + weight * weight);
        }
        for (value, &[number, own, own_squares]) in found.iter().enumerate() {
            let share = number / count;
            let policy = Estimate { value: share, standard_error: (share * (1.0 - share) / count).sqrt() };
            // The delta method for a ratio of means.
            let share = own / sum;
            let variance = own_squares * (1.0 - share).powi(2) + (squares - own_squares).max(0.0) * share.powi(2);
            let weighted = Estimate { value: share, standard_error: variance.sqrt() / sum };
            let exact = exact.as_ref().map(|exact| exact[site].get(value).copied().unwrap_or(0.0));
            shares.push(Share { site, value, policy, weighted, exact });
        }
    }
    shares
}

/// The largest distances of the policy's shares and of the weighted ones from the exact probabilities, in standard errors; none
/// where these are not known. Samples are as many as `effective` says, unweighted and weighted.
pub fn worst(shares: &[Share], effective: [f64; 2]) -> Option<[f64; 2]> {
    let off = |share: &Share| Some([share.off(share.policy, effective[0])?, share.off(share.weighted, effective[1])?]);
    shares.iter().filter_map(off).reduce(|most, next| [most[0].max(next[0]), most[1].max(next[1])])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::assert_close;
    use crate::models::parse;
    use crate::targets::model::Model;

    #[test]
    fn shares_by_hand() {
        // P(x = 1) = 3/4, sampled with probability 1/2.
        let target = Model::new(parse("m.uai", "MARKOV 1 2 1 1 0 2 1 3", None, 1.0).unwrap());
        let samples = Objects::new(1, vec![0, 1, 1, 0]);
        let log_weights = [0.0, 3.0_f64.ln(), 3.0_f64.ln(), 0.0];
        let found = shares(&target, &samples, &log_weights, 100);
        assert_eq!(found.len(), 2);
        let Share { site, value, policy, weighted, exact } = found[1];
        assert_eq!((site, value), (0, 1));
        assert_close(&[policy.value, policy.standard_error], &[0.5, 0.25], 1e-15, "policy");
        // sqrt(2 * 9 / 16 + 2 * 9 / 16) over 8, weights 1 and 3.
        assert_close(&[weighted.value, weighted.standard_error], &[0.75, 2.25_f64.sqrt() / 8.0], 1e-14, "weighted");
        assert_close(&[exact.unwrap()], &[0.75], 1e-14, "exact");
        let [policy, weighted] = worst(&found, [4.0, 3.2]).unwrap();
        assert_close(&[policy], &[1.0], 1e-12, "worst of the policy");
        assert!(weighted.abs() < 1e-9);
        assert!(shares(&target, &samples, &log_weights, 1).is_empty(), "no part of a site");
        let without = shares(&target, &samples, &[f64::NAN; 4], 100);
        assert!(without.iter().all(|share| share.weighted.value.is_nan() && share.policy.value == 0.5));
    }
}
