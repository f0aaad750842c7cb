//! Means over seeds, and which of several are the best within noise.
//!
//! The best is picked because it came out best, so it is not enough that each comparison with it is right at a given
//! level: of ten rows that are equally good, the luckiest and the unluckiest are far apart by chance alone. A row that is
//! told from the best differs from it in one of the k (k - 1) / 2 pairs of k rows; each pair is tested at the level over
//! their number, so whatever the rows' means, all that are as good as the best stay marked with a probability of at least
//! 1 - level (Bonferroni's inequality over all pairs, as in Tukey's comparisons, and not over the k - 1 that meet the
//! best: which one that is the data decide).

use statrs::distribution::{ContinuousCDF, StudentsT};

/// A metric's values over the seeds of a combination.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Number of values, at least 1.
    pub count: usize,
    pub mean: f64,
    /// Standard deviation with divisor count - 1; 0 for a single value.
    pub deviation: f64,
}

/// How often, at most, a row that is as good as the best of its group is left unmarked.
pub const LEVEL: f64 = 0.05;

impl Sample {
    /// None without values.
    pub fn of(values: &[f64]) -> Option<Self> {
        let count = values.len();
        let mean = values.iter().sum::<f64>() / count as f64;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let deviation = if count > 1 { (squares / (count - 1) as f64).sqrt() } else { 0.0 };
        (count > 0).then_some(Self { count, mean, deviation })
    }

    /// The probability that samples of equal means differ as these do or more: two-sided, for the statistic
    /// t = (m1 - m2) / sqrt(s1^2/n1 + s2^2/n2) of Welch (Biometrika 34, 1947) with the degrees of freedom
    /// (v1 + v2)^2 / (v1^2/(n1-1) + v2^2/(n2-1)), v = s^2/n, of Satterthwaite (Biometrics Bulletin 2, 1946).
    ///
    /// NaN if either has a single value, which says nothing about its noise.
    pub fn p_value(&self, other: &Self) -> f64 {
        if self.count < 2 || other.count < 2 {
            return f64::NAN;
        }
        let variance = |sample: &Self| sample.deviation.powi(2) / sample.count as f64;
        let (difference, sum) = ((self.mean - other.mean).abs(), variance(self) + variance(other));
        if sum == 0.0 {
            return if difference == 0.0 { 1.0 } else { 0.0 };
        }
        // In shares of the sum, whose squares do not underflow.
        let part = |sample: &Self| (variance(sample) / sum).powi(2) / (sample.count - 1) as f64;
        let freedom = 1.0 / (part(self) + part(other));
        StudentsT::new(0.0, 1.0, freedom).map_or(f64::NAN, |student| 2.0 * student.sf(difference / sum.sqrt()))
    }
}

/// Which scores (higher is better) are the best, or not told from it at [`LEVEL`] over all pairs of scores. Those of a
/// single value, or not finite, are neither compared nor marked.
pub fn best(scores: &[Option<Sample>]) -> Vec<bool> {
    let known = |score: &Option<Sample>| score.filter(|sample| sample.count > 1 && sample.mean.is_finite());
    let samples: Vec<Option<Sample>> = scores.iter().map(known).collect();
    let compared = samples.iter().flatten().count();
    let pairs = (compared * compared.saturating_sub(1) / 2).max(1);
    let Some(best) = samples.iter().flatten().max_by(|a, b| a.mean.total_cmp(&b.mean)) else {
        return vec![false; scores.len()];
    };
    let marked = |sample: &Sample| sample == best || sample.p_value(best) >= LEVEL / pairs as f64;
    samples.iter().map(|sample| sample.as_ref().is_some_and(marked)).collect()
}

#[cfg(test)]
mod tests {
    use rand::RngExt;
    use rand_distr::StandardNormal;

    use super::*;
    use crate::random::{Draw, Stream};

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
    fn welch_s_p_value_of_known_numbers() {
        let p = |a: &[f64], b: &[f64]| sample(a).unwrap().p_value(&sample(b).unwrap());
        // Equal spreads and sizes: four degrees of freedom, t = sqrt(3/2) * 2, and for four
        // P(|T| > t) = 1 - s (3 - s^2) / 2 with s = t / sqrt(t^2 + 4).
        let s = (6.0_f64 / 10.0).sqrt();
        assert!((p(&[1.0, 2.0, 3.0], &[3.0, 4.0, 5.0]) - (1.0 - s * (3.0 - s * s) / 2.0)).abs() < 1e-12);
        // One without spread: the degrees of freedom of the other, two; P(|T| > t) = 1 - t / sqrt(t^2 + 2), t = sqrt(3).
        let expected = 1.0 - (3.0_f64 / 5.0).sqrt();
        assert!((p(&[1.0, 2.0, 3.0], &[3.0, 3.0]) - expected).abs() < 1e-12);
        assert_eq!((p(&[1.0, 1.0], &[1.0, 1.0, 1.0]), p(&[1.0, 1.0], &[2.0, 2.0])), (1.0, 0.0));
        // Far out, and spreads whose squares of squares underflow.
        let far = p(&[0.0, 1e-100, 2e-100], &[1.0, 1.0, 1.0 + 1e-10]);
        assert!(far > 0.0 && far < 1e-15, "{far}");
        assert!(p(&[1.0], &[1.0, 2.0]).is_nan() && p(&[1.0, 2.0], &[1.0]).is_nan());
    }

    #[test]
    fn the_best_and_what_noise_hides_are_marked() {
        // Standard errors of 0.1 / sqrt(3) a mean: with four degrees of freedom and three pairs, 1 - 0.05/3 two-sided, means
        // differ from t = 3.96 on, which is 0.32.
        let around = |mean: f64| sample(&[mean - 0.1, mean, mean + 0.1]);
        assert_eq!(best(&[around(1.0), around(1.31), around(0.98), None]), [true, true, false, false]);
        assert_eq!(best(&[around(1.0), around(1.31), around(1.32), None]), [true, true, true, false]);
        assert_eq!(best(&[around(5.0), around(1.0)]), [true, false]);
        // A wide sample hides behind its own noise.
        assert_eq!(best(&[around(1.0), sample(&[-2.0, 0.0, 2.0])]), [true, true]);
        // The more are compared, the less a difference says: 0.3 is told in a pair, and not among six.
        assert_eq!(best(&[around(1.0), around(1.3)]), [false, true]);
        assert!(best(&[around(1.0), around(1.3), around(1.1), around(1.2)])[0]);
    }

    #[test]
    fn without_known_noise_nothing_is_told() {
        assert_eq!(best(&[sample(&[1.0]), sample(&[1.0]), sample(&[0.999])]), [false; 3]);
        // Without any noise everything is.
        assert_eq!(best(&[sample(&[1.0, 1.0]), sample(&[0.9, 0.9]), sample(&[1.0, 1.0])]), [true, false, true]);
        let infinite = Some(Sample { count: 2, mean: f64::INFINITY, deviation: f64::NAN });
        assert_eq!(best(&[infinite, sample(&[1.0, 2.0])]), [false, true]);
        assert_eq!(best(&[None, None]), [false, false]);
        assert!(best(&[]).is_empty());
    }

    /// The share of groups of equally good rows in which one is left unmarked.
    fn wrong(rows: usize, seeds: usize, deviation: impl Fn(usize) -> f64) -> f64 {
        let groups = 4000;
        let unmarked = |group: &u32| {
            let mut generator = Draw::new((100 * rows + seeds) as u64, *group, Stream::Evaluation).generator(0);
            let mut row = |row: usize| {
                let value = |_| 70.0 + deviation(row) * generator.sample::<f64, _>(StandardNormal);
                Sample::of(&(0..seeds).map(value).collect::<Vec<_>>())
            };
            let scores: Vec<_> = (0..rows).map(&mut row).collect();
            best(&scores).contains(&false)
        };
        (0..groups).filter(unmarked).count() as f64 / f64::from(groups)
    }

    #[test]
    fn equally_good_rows_are_wrongly_told_apart_in_one_group_of_twenty_at_most() {
        for (rows, seeds) in [(2, 2), (2, 3), (2, 10), (3, 3), (4, 5), (6, 3), (6, 10), (12, 5), (20, 3)] {
            let equal = wrong(rows, seeds, |_| 0.1);
            let uneven = wrong(rows, seeds, |row| [0.1, 1.0, 0.3][row % 3]);
            println!("{rows} rows of {seeds} seeds: {equal} with equal noise, {uneven} with uneven");
            // 4000 groups: a share of 0.05 has a deviation of 0.0034.
            assert!(equal < 0.05 + 4.0 * 0.0034, "{rows} rows of {seeds} seeds: {equal}");
            // Satterthwaite's degrees of freedom are an approximation, at its worst for two rows of three.
            assert!(uneven < 0.065 + 4.0 * 0.0034, "{rows} rows of {seeds} seeds, uneven: {uneven}");
        }
        // The test has its level where it is exact: two rows, as many seeds, the same noise.
        let pair = wrong(2, 10, |_| 1.0);
        assert!(pair > 0.03, "{pair}");
    }
}
