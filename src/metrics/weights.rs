//! What the log-weights log w = log R + log P_B - log P_F of a batch of trajectories say about log Z and about the fit.

use super::{Estimate, log_mean_exp};

/// Importance-sampling log Z: the log of the mean weight of trajectories from P_F, whose weights have mean Z.
///
/// The standard error is that of the mean weight over the mean weight (first order in 1/n). Both lean on the largest
/// weights having been seen: with few effective samples the value is low and the error too small.
pub fn log_z(log_weights: &[f64]) -> Estimate {
    let value = log_mean_exp(log_weights);
    let relative: Vec<f64> = log_weights.iter().map(|log_weight| (log_weight - value).exp()).collect();
    Estimate { value, standard_error: Estimate::mean(&relative).standard_error }
}

/// The evidence lower bound E[log w] <= log Z, over trajectories from P_F.
pub fn elbo(log_weights: &[f64]) -> Estimate {
    Estimate::mean(log_weights)
}

/// The evidence upper bound E[log w] >= log Z, over backward trajectories of samples of the target.
///
/// The samples are those of independent Markov chains taken in turn: number i is of chain i modulo `chains`. What a chain
/// gives is correlated, so the standard error is over chains, whatever the correlation; the last round may be incomplete.
///
/// # Panics
/// If there are samples of no chain.
pub fn eubo(log_weights: &[f64], chains: usize) -> Estimate {
    Estimate::grouped(log_weights, |index| index % chains)
}

/// How many samples of the target the trajectories are worth, (sum w)^2 / sum w^2.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EffectiveSamples {
    /// Between 1 and the number of trajectories; NaN without any, or if all weights are zero.
    pub count: f64,
    /// `count` over the number of trajectories.
    pub fraction: f64,
}

/// Kish's effective sample size of trajectories from P_F.
pub fn effective_samples(log_weights: &[f64]) -> EffectiveSamples {
    let largest = log_weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let (mut sum, mut squares) = (0.0, 0.0);
    for log_weight in log_weights {
        let weight = (log_weight - largest).exp();
        sum += weight;
        squares += weight * weight;
    }
    let count = sum * sum / squares;
    EffectiveSamples { count, fraction: count / log_weights.len() as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Draw, Stream};
    use rand::RngExt;
    use rand_distr::StandardNormal;

    #[test]
    fn equal_weights_are_exact() {
        let log_weights = [-700.25; 8];
        // Roundings of a number of size 700.
        assert!((log_z(&log_weights).value + 700.25).abs() < 1e-12);
        assert!(log_z(&log_weights).standard_error < 1e-12);
        assert_eq!(elbo(&log_weights), Estimate { value: -700.25, standard_error: 0.0 });
        assert_eq!(effective_samples(&log_weights), EffectiveSamples { count: 8.0, fraction: 1.0 });
    }

    #[test]
    fn a_small_batch_by_hand() {
        // Weights 1, 2, 3, 0: mean 1.5, variance 5/3, sum of squares 14.
        let log_weights = [0.0, 2.0_f64.ln(), 3.0_f64.ln(), f64::NEG_INFINITY];
        let estimate = log_z(&log_weights);
        assert!((estimate.value - 1.5_f64.ln()).abs() < 1e-15);
        assert!((estimate.standard_error - (5.0_f64 / 12.0).sqrt() / 1.5).abs() < 1e-15);
        let effective = effective_samples(&log_weights);
        assert!((effective.count - 36.0 / 14.0).abs() < 1e-14 && (effective.fraction - 9.0 / 14.0).abs() < 1e-14);
    }

    /// Chains x' = a x + sqrt(1 - a^2) noise, which forget in 20 steps, for 16 rounds and a half: the samples of a chain
    /// are nearly one sample.
    #[test]
    fn the_error_of_the_eubo_is_that_of_correlated_chains() {
        let (chains, samples, repeats, a) = (64, 64 * 16 + 32, 300, 0.95_f64);
        let [mut square, mut square_if_independent] = [0.0, 0.0];
        for repeat in 0..repeats {
            let mut generator = Draw::new(7, repeat, Stream::TargetSampler).generator(0);
            let mut normal = || generator.sample::<f64, _>(StandardNormal);
            let mut log_weights: Vec<f64> = (0..chains).map(|_| normal()).collect();
            for index in chains..samples {
                log_weights.push(a * log_weights[index - chains] + (1.0 - a * a).sqrt() * normal());
            }
            let found = eubo(&log_weights, chains);
            square += (found.value / found.standard_error).powi(2) / f64::from(repeats);
            square_if_independent +=
                (found.value / Estimate::mean(&log_weights).standard_error).powi(2) / f64::from(repeats);
        }
        // Mean squares of 300 standard normals: 1 with deviation sqrt(2 / 300) = 0.08 (and 63 degrees of freedom).
        assert!((square - 1.0).abs() < 0.3, "{square}");
        assert!(square_if_independent > 5.0, "{square_if_independent}");
    }

    /// Log-normal weights of mean log m and deviation s: log Z = m + s^2 / 2, ESS fraction = exp(-s^2).
    #[test]
    fn standard_errors_cover_the_truth() {
        let (mean, deviation) = (-3.0, 0.5_f64);
        let mut squares = [0.0, 0.0];
        let batches = 200;
        for batch in 0..batches {
            let mut generator = Draw::new(5, batch, Stream::Evaluation).generator(0);
            let log_weights: Vec<f64> =
                (0..1000).map(|_| mean + deviation * generator.sample::<f64, _>(StandardNormal)).collect();
            let estimates = [(log_z(&log_weights), mean + deviation.powi(2) / 2.0), (elbo(&log_weights), mean)];
            for (square, (estimate, truth)) in squares.iter_mut().zip(estimates) {
                *square += ((estimate.value - truth) / estimate.standard_error).powi(2) / f64::from(batches);
            }
            // The relative deviation of this fraction over batches of 1000 is about 0.02.
            let fraction = effective_samples(&log_weights).fraction;
            assert!((fraction - (-deviation.powi(2)).exp()).abs() < 0.1);
        }
        // Mean squares of 200 standard normals: 1 with deviation sqrt(2 / 200) = 0.1.
        assert!(squares.iter().all(|square| (square - 1.0).abs() < 0.4), "{squares:?}");
    }
}
