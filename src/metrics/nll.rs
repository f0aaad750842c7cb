//! Likelihood of data under the model, by importance sampling over backward trajectories.

use super::{Estimate, log_mean_exp};

/// Negative log-likelihood: -mean over points of log (1/M) sum_m P_F(tau_m) / P_B(tau_m | x).
///
/// `log_ratios` is log P_F - log P_B, row-major [points, trajectories]: `trajectories` backward trajectories of each
/// point. The paper takes 10 x 1000 points with 20 trajectories each. The expectation lies above the true value and falls
/// to it as trajectories are added; the standard error is over points.
///
/// # Panics
/// If `log_ratios` is not a whole number of rows.
pub fn negative_log_likelihood(log_ratios: &[f64], trajectories: usize) -> Estimate {
    assert!(
        trajectories > 0 && log_ratios.len().is_multiple_of(trajectories),
        "{} log ratios do not make rows of {trajectories}",
        log_ratios.len()
    );
    let points: Vec<f64> = log_ratios.chunks_exact(trajectories).map(|ratios| -log_mean_exp(ratios)).collect();
    Estimate::mean(&points)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_averaged_within_points_and_logs_over_points() {
        // Mean ratios 2 and 8: -(ln 2 + ln 8) / 2 = -2 ln 2, and both points are ln 2 away from it.
        let log_ratios = [1.0_f64, 3.0, 8.0, 8.0].map(f64::ln);
        let estimate = negative_log_likelihood(&log_ratios, 2);
        assert!((estimate.value + 2.0 * 2.0_f64.ln()).abs() < 1e-15);
        // Sample deviation sqrt(2) ln 2 over sqrt(2).
        assert!((estimate.standard_error - 2.0_f64.ln()).abs() < 1e-15);
    }
}
