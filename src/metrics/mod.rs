//! What is measured on samples: plain f64 functions of log-weights, log-probabilities and objects.
//!
//! [`weights`] from forward samples (and, for the EUBO, from backward trajectories of target samples), [`nll`] and
//! [`mmd`] against data, [`exact`] and [`marginal`] where every object can be counted.

pub mod exact;
pub mod marginal;
pub mod mmd;
pub mod nll;
pub mod weights;

/// A mean over independent samples, and how far it may be off.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Estimate {
    pub value: f64,
    /// One standard deviation of `value`, estimated from the same samples; NaN for fewer than two.
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
}

/// log sum_i exp(logs_i), the largest taken out first; -inf for an empty list, NaN if any of the logs is.
pub fn log_sum_exp(logs: &[f64]) -> f64 {
    let larger = |most: f64, &log: &f64| if log > most || log.is_nan() { log } else { most };
    let largest = logs.iter().fold(f64::NEG_INFINITY, larger);
    if !largest.is_finite() {
        return largest;
    }
    largest + logs.iter().map(|log| (log - largest).exp()).sum::<f64>().ln()
}

/// log of the mean of exp(logs_i); NaN for an empty list.
pub fn log_mean_exp(logs: &[f64]) -> f64 {
    log_sum_exp(logs) - (logs.len() as f64).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_comes_with_its_standard_error() {
        let estimate = Estimate::mean(&[1.0, 2.0, 3.0, 6.0]);
        // Variance (4 + 1 + 0 + 9) / 3, over 4 samples.
        assert_eq!(estimate, Estimate { value: 3.0, standard_error: (14.0_f64 / 12.0).sqrt() });
        assert!(Estimate::mean(&[1.0]).standard_error.is_nan());
        assert!(Estimate::mean(&[]).value.is_nan());
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
