//! Sums over importance weights, given as their logarithms, that neither overflow nor lose the small ones.
//!
//! A NaN among the inputs makes every result NaN.

use crate::logs::log_sum_exp;

/// For each i, log of the mean weight of all trajectories but i. In O(B); NaN for a batch of one.
///
/// One weight is taken out of the sum by subtraction, which is safe while another at least as large stays in: then
/// at least half of the sum is left. For the largest itself the rest is summed anew, with its own maximum taken out.
pub fn leave_one_out_log_means(log_weights: &[f64]) -> Vec<f64> {
    let top = position_of_largest(log_weights);
    let scaled: Vec<f64> = log_weights.iter().map(|log_weight| (log_weight - log_weights[top]).exp()).collect();
    let sum: f64 = scaled.iter().sum();
    let log_others = (log_weights.len() as f64 - 1.0).ln();
    let log_sum_without = |i: usize| {
        if i == top {
            let (before, after) = (&log_weights[..top], &log_weights[top + 1..]);
            log_sum_exp(&[before, after].concat())
        } else {
            log_weights[top] + (sum - scaled[i]).ln()
        }
    };
    (0..log_weights.len()).map(|i| log_sum_without(i) - log_others).collect()
}

/// v_i - 1/B with v = softmax(exponent * log_weights), to full relative precision as the exponent goes to 0.
pub fn centred_softmax(log_weights: &[f64], exponent: f64) -> Vec<f64> {
    let top = largest(log_weights.iter().map(|log_weight| exponent * log_weight));
    let mut terms: Vec<f64> = log_weights.iter().map(|log_weight| (exponent * log_weight - top).exp_m1()).collect();
    let mean = mean(&terms);
    let sum = (1.0 + mean) * log_weights.len() as f64;
    terms.iter_mut().for_each(|term| *term = (*term - mean) / sum);
    terms
}

/// The arithmetic mean.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Minus infinity for none. Unlike [`f64::max`] it hands a NaN on.
fn largest(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(f64::NEG_INFINITY, |top, value| if value > top || value.is_nan() { value } else { top })
}

fn position_of_largest(values: &[f64]) -> usize {
    (1..values.len()).fold(0, |top, i| if values[i] > values[top] { i } else { top })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::assert_close_at_scale;
    use crate::logs::log_mean_exp;

    /// Each entry relative to itself, or to 1 if it is smaller.
    fn assert_close(found: &[f64], expected: &[f64], tolerance: f64) {
        let scales: Vec<f64> = expected.iter().map(|value| value.abs().max(1.0)).collect();
        assert_close_at_scale(found, expected, &scales, tolerance, "logs");
    }

    #[test]
    fn leave_one_out_means_are_those_of_the_definition() {
        let log_weights: [f64; 5] = [0.3, -2.0, 1.7, 1.7, -0.4];
        let naive = [0, 1, 2, 3, 4].map(|i| {
            let others = log_weights.iter().enumerate().filter(|(j, _)| *j != i);
            (others.map(|(_, log_weight)| log_weight.exp()).sum::<f64>() / 4.0).ln()
        });
        assert_close(&leave_one_out_log_means(&log_weights), &naive, 1e-15);
    }

    #[test]
    fn leave_one_out_means_survive_a_weight_that_dominates() {
        // exp(900) overflows; beside it the others are nothing, but without it they are all there is.
        let found = leave_one_out_log_means(&[-3.0, 900.0, -900.0, -3.0]);
        let expected = [900.0, -3.0 + 2f64.ln(), 900.0, 900.0].map(|log_sum| log_sum - 3f64.ln());
        assert_close(&found, &expected, 1e-15);
        // Equal weights: none of them may be taken for the only one.
        assert_close(&leave_one_out_log_means(&[-750.0; 4]), &[-750.0; 4], 1e-15);
        assert!(leave_one_out_log_means(&[1.0])[0].is_nan());
        assert!(leave_one_out_log_means(&[]).is_empty());
    }

    #[test]
    fn log_mean_takes_zero_weights_and_large_ones() {
        assert_close(&[log_mean_exp(&[1000.0, f64::NEG_INFINITY])], &[1000.0 - 2f64.ln()], 1e-15);
        assert_eq!(log_mean_exp(&[f64::NEG_INFINITY; 3]), f64::NEG_INFINITY);
        assert!(log_mean_exp(&[f64::NAN, f64::NEG_INFINITY]).is_nan());
        assert!(log_mean_exp(&[f64::NEG_INFINITY, f64::NAN, 1.0]).is_nan());
    }

    #[test]
    fn centred_softmax_is_softmax_less_its_mean() {
        let log_weights: [f64; 4] = [0.3, -2.0, 1.7, 800.0];
        for exponent in [1.0, -0.5, 0.01] {
            let naive: Vec<f64> = log_weights.iter().map(|w| (exponent * (w - 400.0)).exp()).collect();
            let sum: f64 = naive.iter().sum();
            let expected: Vec<f64> = naive.iter().map(|power| power / sum - 0.25).collect();
            assert_close(&centred_softmax(&log_weights, exponent), &expected, 1e-13);
        }
        // First order in the exponent: exponent * (lw_i - mean) / B.
        let found: Vec<f64> = centred_softmax(&log_weights, 1e-14).iter().map(|value| value * 1e14).collect();
        assert_close(&found, &log_weights.map(|log_weight| (log_weight - 200.0) / 4.0), 1e-10);
    }
}
