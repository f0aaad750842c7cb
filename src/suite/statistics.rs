//! Means over seeds, and which of several are the best within noise.

/// A metric's values over the seeds of a combination.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Number of values, at least 1.
    pub count: usize,
    pub mean: f64,
    /// Standard deviation with divisor count - 1; 0 for a single value.
    pub deviation: f64,
}

/// |t| from which two means count as different: about two standard errors.
pub const DISTINCT: f64 = 2.0;

impl Sample {
    /// None without values.
    pub fn of(values: &[f64]) -> Option<Self> {
        let count = values.len();
        let mean = values.iter().sum::<f64>() / count as f64;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let deviation = if count > 1 { (squares / (count - 1) as f64).sqrt() } else { 0.0 };
        (count > 0).then_some(Self { count, mean, deviation })
    }

    /// Whether the two means differ by [`DISTINCT`] standard errors of their difference or more, by the statistic
    /// t = (m1 - m2) / sqrt(s1^2/n1 + s2^2/n2) of Welch (Biometrika 34, 1947).
    ///
    /// A single value says nothing about its noise, so with one of those any difference counts.
    pub fn differs(&self, other: &Self) -> bool {
        let difference = (self.mean - other.mean).abs();
        if self.count < 2 || other.count < 2 {
            return difference > 0.0;
        }
        let variance = |sample: &Self| sample.deviation.powi(2) / sample.count as f64;
        // Multiplied out, so that samples without any spread need no division by 0.
        difference > 0.0 && difference >= DISTINCT * (variance(self) + variance(other)).sqrt()
    }
}

/// Which scores (higher is better) are the best, or do not differ from it.
pub fn best(scores: &[Option<Sample>]) -> Vec<bool> {
    let best = scores.iter().flatten().max_by(|a, b| a.mean.total_cmp(&b.mean));
    scores.iter().map(|score| matches!((score, best), (Some(score), Some(best)) if !score.differs(best))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(values: &[f64]) -> Option<Sample> {
        Sample::of(values)
    }

    #[test]
    fn mean_and_deviation_of_known_numbers() {
        assert_eq!(sample(&[]), None);
        assert_eq!(sample(&[3.0]), Some(Sample { count: 1, mean: 3.0, deviation: 0.0 }));
        let known = sample(&[1.0, 2.0, 3.0, 4.0]).unwrap();
        // Sum of squares 5, divided by 3.
        assert_eq!((known.mean, known.deviation), (2.5, (5.0_f64 / 3.0).sqrt()));
    }

    #[test]
    fn the_best_and_what_noise_hides_are_marked() {
        // Standard errors: sqrt(0.01 / 3) each, so two means differ from 2 sqrt(0.02 / 3) = 0.163 on.
        let around = |mean: f64| sample(&[mean - 0.1, mean, mean + 0.1]);
        assert_eq!(best(&[around(1.0), around(1.15), around(0.98), None]), [true, true, false, false]);
        assert_eq!(best(&[around(5.0), around(1.0)]), [true, false]);
        // A wide sample hides behind its own noise.
        assert_eq!(best(&[around(1.0), sample(&[-2.0, 0.0, 2.0])]), [true, true]);
    }

    #[test]
    fn without_known_noise_only_equals_share_the_mark() {
        assert_eq!(best(&[sample(&[1.0]), sample(&[1.0]), sample(&[0.999])]), [true, true, false]);
        assert_eq!(best(&[sample(&[1.0, 1.0]), sample(&[0.9, 0.9])]), [true, false]);
        assert_eq!(best(&[None, None]), [false, false]);
        assert!(best(&[]).is_empty());
    }
}
