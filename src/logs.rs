//! Sums of numbers that are given, and wanted, as logarithms.

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
