//! What is measured on samples: plain f64 functions of log-weights, log-probabilities and objects.
//!
//! [`weights`] and their tail ([`pareto`]) from forward samples (and, for the EUBO, from backward trajectories of target samples), [`nll`] and
//! [`mmd`] against data, [`correlation`] with log R over a test set, [`exact`], [`marginal`] and [`visits`] where every object can be
//! counted.

pub mod correlation;
pub mod exact;
pub mod marginal;
pub mod mmd;
pub mod nll;
pub mod pareto;
pub mod visits;
pub mod weights;

pub use crate::logs::{log_mean_exp, log_sum_exp};

use std::collections::BTreeMap;

/// A mean over samples, and how far it may be off.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The estimate itself.
    pub value: f64,
    /// One standard deviation of `value`, estimated from the same samples; NaN where they are fewer than two that are
    /// independent.
    pub standard_error: f64,
}

impl Estimate {
    /// The mean of independent samples; NaN for none.
    pub fn mean(samples: &[f64]) -> Self {
        let count = samples.len() as f64;
        let value = samples.iter().sum::<f64>() / count;
        let squares: f64 = samples.iter().map(|sample| (sample - value).powi(2)).sum();
        let variance = if samples.len() < 2 { f64::NAN } else { squares / (count - 1.0) };
        Self { value, standard_error: (variance / count).sqrt() }
    }

    /// The mean of samples that depend on each other within a group, but not on those of other groups; sample i is of
    /// the group numbered `group(i)`.
    ///
    /// Only groups are counted as independent: with r_g the sum of x - mean over the n_g of n samples of group g, the
    /// variance of the mean is sum_g r_g^2 / (1 - n_g / n) / n^2. The divisor makes up for the mean being that of the same
    /// samples, whatever the sizes of the groups (exactly so for independent samples; Bell and McCaffrey, "Bias
    /// reduction in standard errors for linear regression with multi-stage samples", Survey Methodology 28, 2002). The
    /// error is as uncertain as one from as many samples as there are groups.
    pub fn grouped(samples: &[f64], group: impl Fn(usize) -> usize) -> Self {
        let (count, Self { value, .. }) = (samples.len() as f64, Self::mean(samples));
        let mut groups: BTreeMap<usize, (f64, f64)> = BTreeMap::new();
        for (index, sample) in samples.iter().enumerate() {
            let (size, sum) = groups.entry(group(index)).or_default();
            *size += 1.0;
            *sum += sample - value;
        }
        let squares: f64 = groups.values().map(|(size, sum)| sum * sum / (1.0 - size / count)).sum();
        let standard_error = if groups.len() < 2 { f64::NAN } else { squares.sqrt() / count };
        Self { value, standard_error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Draw, Stream};
    use rand::RngExt;
    use rand_distr::StandardNormal;

    #[test]
    fn a_mean_comes_with_its_standard_error() {
        let estimate = Estimate::mean(&[1.0, 2.0, 3.0, 6.0]);
        // Variance (4 + 1 + 0 + 9) / 3, over 4 samples.
        assert_eq!(estimate, Estimate { value: 3.0, standard_error: (14.0_f64 / 12.0).sqrt() });
        assert!(Estimate::mean(&[1.0]).standard_error.is_nan());
        assert!(Estimate::mean(&[]).value.is_nan());
    }

    #[test]
    fn groups_of_one_are_independent_samples_and_one_group_says_nothing() {
        let samples = [1.0, 2.0, 3.0, 6.0];
        let (alone, usual) = (Estimate::grouped(&samples, |index| index), Estimate::mean(&samples));
        assert_eq!(alone.value, usual.value);
        assert!((alone.standard_error - usual.standard_error).abs() < 1e-15);
        assert!(Estimate::grouped(&samples, |_| 7).standard_error.is_nan());
        assert!(Estimate::grouped(&[], |_| 7).value.is_nan());
        assert!(Estimate::grouped(&[1.0, f64::NAN, 3.0], |index| index).standard_error.is_nan());
    }

    #[test]
    fn a_mean_over_groups_by_hand() {
        // Groups (1, 2) and (3, 6) around 3: r = -3 and 3, each divided by 1 - 2/4. Repeating a sample tells nothing new.
        let estimate = Estimate::grouped(&[1.0, 3.0, 2.0, 6.0], |index| index % 2);
        assert_eq!(estimate, Estimate { value: 3.0, standard_error: 36.0_f64.sqrt() / 4.0 });
        let once = Estimate::mean(&[1.0, 4.0, 7.0]);
        let often = Estimate::grouped(&[1.0, 4.0, 7.0].repeat(50), |index| index % 3);
        assert!((often.standard_error - once.standard_error).abs() < 1e-14);
    }

    /// Independent samples in groups of 1 to 7: the mean of the claimed variances is the variance, 1/n.
    #[test]
    fn the_variance_over_uneven_groups_has_no_bias() {
        let group = |index: usize| [0, 1, 1, 2, 2, 2, 2, 2, 2, 2][index];
        let batches = 20_000;
        let claimed: f64 = (0..batches)
            .map(|batch| {
                let mut generator = Draw::new(1, batch, Stream::Evaluation).generator(0);
                let samples: Vec<f64> = (0..10).map(|_| generator.sample(StandardNormal)).collect();
                Estimate::grouped(&samples, group).standard_error.powi(2) / f64::from(batches)
            })
            .sum();
        // About one degree of freedom, so a relative deviation of some sqrt(2 / 20,000) = 0.01.
        assert!((claimed * 10.0 - 1.0).abs() < 0.05, "{claimed}");
    }

    #[test]
    fn log_sums_survive_large_and_vanishing_terms() {
        // exp(800) overflows an f64: only the shift keeps it finite. A few roundings of 800: 1e-12.
        assert!((log_sum_exp(&[800.0, 800.0]) - 800.0 - 2.0_f64.ln()).abs() < 1e-12);
        assert!((log_mean_exp(&[-900.0, f64::NEG_INFINITY]) + 900.0 + 2.0_f64.ln()).abs() < 1e-12);
        assert_eq!(log_sum_exp(&[f64::NEG_INFINITY; 3]), f64::NEG_INFINITY);
        assert_eq!(log_sum_exp(&[]), f64::NEG_INFINITY);
        for logs in [&[f64::NAN][..], &[f64::NAN, 0.0], &[f64::INFINITY, f64::NAN], &[0.0, f64::NAN]] {
            assert!(log_sum_exp(logs).is_nan());
        }
    }
}
