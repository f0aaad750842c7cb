//! Likelihood of data under the model, by importance sampling over backward trajectories.

use super::{Estimate, log_mean_exp};

/// Negative log-likelihood: -mean over points of log (1/M) sum_m P_F(tau_m) / P_B(tau_m | x).
///
/// `log_ratios` is log P_F - log P_B, row-major [points, trajectories]: `trajectories` backward trajectories of each
/// point. The paper takes 10 x 1000 points with 20 trajectories each. The expectation lies above the true value and falls
/// to it as trajectories are added.
///
/// Points come in sets of `set`, and the standard error is over sets: for some data the points of a set are spread evenly,
/// so that its mean varies less than that of as many independent points. NaN for a single set.
///
/// # Panics
/// If `log_ratios` is not a whole number of rows, or sets are empty.
pub fn negative_log_likelihood(log_ratios: &[f64], trajectories: usize, set: usize) -> Estimate {
    assert!(
        trajectories > 0 && log_ratios.len().is_multiple_of(trajectories),
        "{} log ratios do not make rows of {trajectories}",
        log_ratios.len()
    );
    let points: Vec<f64> = log_ratios.chunks_exact(trajectories).map(|ratios| -log_mean_exp(ratios)).collect();
    Estimate::grouped(&points, |point| point / set)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Draw, Stream};
    use rand::RngExt;

    #[test]
    fn ratios_are_averaged_within_points_and_logs_over_points() {
        // Mean ratios 2 and 8: -(ln 2 + ln 8) / 2 = -2 ln 2, and both points are ln 2 away from it.
        let log_ratios = [1.0_f64, 3.0, 8.0, 8.0].map(f64::ln);
        let estimate = negative_log_likelihood(&log_ratios, 2, 1);
        assert!((estimate.value + 2.0 * 2.0_f64.ln()).abs() < 1e-15);
        // Sample deviation sqrt(2) ln 2 over sqrt(2).
        assert!((estimate.standard_error - 2.0_f64.ln()).abs() < 1e-15);
        let alone = negative_log_likelihood(&log_ratios, 2, 2);
        assert!(alone.value == estimate.value && alone.standard_error.is_nan());
    }

    /// Points spread evenly over [0, 1) from a random start, as those of circles and moons over their curves: the error
    /// is that of the sets' means, a tenth of what as many independent points would have.
    #[test]
    fn the_error_is_that_of_evenly_spread_sets() {
        let (sets, set, repeats) = (10, 50, 400);
        let (mut values, mut claimed) = (Vec::new(), 0.0);
        for repeat in 0..repeats {
            let mut generator = Draw::new(3, repeat, Stream::Data).generator(0);
            let mut points = Vec::new();
            for _ in 0..sets {
                let start: f64 = generator.random();
                points.extend((0..set).map(|index| (start + f64::from(index) / f64::from(set)).fract()));
            }
            let estimate = negative_log_likelihood(&points, 1, set as usize);
            values.push(estimate.value);
            claimed += estimate.standard_error.powi(2) / f64::from(repeats);
        }
        let spread = Estimate::mean(&values).standard_error.powi(2) * f64::from(repeats);
        let independent = 1.0 / 12.0 / f64::from(sets * set);
        // A variance from 400 values has a relative deviation of sqrt(2 / 400) = 0.07.
        assert!((claimed / spread - 1.0).abs() < 0.3, "{claimed} is not {spread}");
        assert!(spread < independent / 10.0, "{spread}, not far below {independent}");
    }
}
