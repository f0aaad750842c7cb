//! How heavy the tail of importance weights is.

/// The shape k of a generalised Pareto distribution fitted to the largest weights: means of weights have a finite variance below
/// 1/2, and are of use up to about 0.7; beyond, the largest weights have not been seen.
///
/// As in Pareto-smoothed importance sampling (Vehtari et al., JMLR 25, 2024, arXiv:1507.02646): the 20% largest, or 3 sqrt(n) if
/// those are fewer, fitted by Zhang and Stephens' estimator (Technometrics 51, 2009) with ten observations' worth of k = 1/2.
/// None if there are too few weights to tell (less than 25), or those of the tail are all the same.
pub fn tail_index(log_weights: &[f64]) -> Option<f64> {
    let count = log_weights.len();
    let tail = (count as f64 / 5.0).min(3.0 * (count as f64).sqrt()) as usize;
    let mut sorted = log_weights.to_vec();
    sorted.sort_by(f64::total_cmp);
    let largest = *sorted.last().filter(|largest| largest.is_finite())?;
    if tail < 5 {
        return None;
    }
    let threshold = (sorted[count - tail - 1] - largest).exp();
    let exceedances: Vec<f64> =
        sorted[count - tail..].iter().map(|log_weight| (log_weight - largest).exp() - threshold).collect();
    let above: Vec<f64> = exceedances.into_iter().filter(|exceedance| *exceedance > 0.0).collect();
    if above.len() < 5 || above[above.len() - 1] <= above[0] {
        return None;
    }
    Some(fit(&above))
}

/// k for increasing positive exceedances: the mean over a grid of the reciprocal scale b, weighted by its profile likelihood.
fn fit(exceedances: &[f64]) -> f64 {
    let n = exceedances.len() as f64;
    let quartile = exceedances[((n / 4.0 + 0.5) as usize).max(1) - 1];
    let largest = exceedances[exceedances.len() - 1];
    let points = 30 + n.sqrt() as usize;
    let shape = |b: f64| exceedances.iter().map(|x| (-b * x).ln_1p()).sum::<f64>() / n;
    let grid: Vec<f64> = (1..=points)
        .map(|j| 1.0 / largest + (1.0 - (points as f64 / (j as f64 - 0.5)).sqrt()) / (3.0 * quartile))
        .collect();
    let likelihood: Vec<f64> = grid
        .iter()
        .map(|&b| {
            let k = shape(b);
            n * ((-b / k).ln() - k - 1.0)
        })
        .collect();
    let most = likelihood.iter().copied().filter(|l| l.is_finite()).fold(f64::NEG_INFINITY, f64::max);
    let (mut sum, mut total) = (0.0, 0.0);
    for (b, likelihood) in grid.iter().zip(&likelihood).filter(|(_, likelihood)| likelihood.is_finite()) {
        let weight = (likelihood - most).exp();
        sum += weight * b;
        total += weight;
    }
    let k = shape(sum / total);
    (n * k + 10.0 * 0.5) / (n + 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Draw, Stream};
    use rand::RngExt;
    use rand_distr::StandardNormal;

    /// Weights u^(-k) have a Pareto tail of index k, those of a bounded weight one below 0.
    #[test]
    fn it_is_that_of_pareto_weights() {
        let mut generator = Draw::new(3, 0, Stream::Evaluation).generator(0);
        for k in [0.2, 0.5, 0.9, 1.5] {
            let log_weights: Vec<f64> = (0..40_000).map(|_| -k * (1.0 - generator.random::<f64>()).ln()).collect();
            let found = tail_index(&log_weights).unwrap();
            // 600 exceedances: a deviation of (1 + k) / sqrt(600), and 10 / 610 towards 1/2.
            assert!((found - k).abs() < 4.0 * (1.0 + k) / 600_f64.sqrt() + 0.03, "{k}: {found}");
        }
        let bounded: Vec<f64> = (0..40_000).map(|_| generator.random::<f64>().ln()).collect();
        assert!(tail_index(&bounded).unwrap() < -0.5);
    }

    #[test]
    fn light_tails_are_told_from_weights_that_a_few_dominate() {
        let mut generator = Draw::new(4, 0, Stream::Evaluation).generator(0);
        let mut normal = |deviation: f64| {
            let log_weights = (0..8192).map(|_| deviation * generator.sample::<f64, _>(StandardNormal));
            tail_index(&log_weights.collect::<Vec<_>>()).unwrap()
        };
        assert!(normal(0.3) < 0.4);
        assert!(normal(4.0) > 0.7);
    }

    #[test]
    fn where_nothing_can_be_told_there_is_none() {
        assert_eq!(tail_index(&[]), None);
        assert_eq!(tail_index(&[0.0; 20]), None);
        assert_eq!(tail_index(&[1.5; 8192]), None);
        assert_eq!(tail_index(&[f64::NEG_INFINITY; 8192]), None);
        assert_eq!(tail_index(&[f64::NAN; 8192]), None);
        let forbidden: Vec<f64> =
            (0..8192).map(|i| if i % 2 == 0 { f64::NEG_INFINITY } else { (i as f64).sin() }).collect();
        assert!(tail_index(&forbidden).unwrap().is_finite());
    }
}
