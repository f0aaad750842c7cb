//! Mean, total variance and bias of a random vector from independent draws, with standard errors.

use crate::metrics::Estimate;

/// Groups that draws are divided into, in turn. Their means are what bias and its standard error are made of.
pub const GROUPS: usize = 8;

/// Sums over draws of a random vector g. Memory for [`GROUPS`] vectors, however many draws there are.
#[derive(Clone, Debug)]
pub struct Draws {
    groups: Vec<Vec<f64>>,
    /// |g - centre|^2 of each draw.
    squares: Vec<f64>,
}

impl Draws {
    pub fn new(dimension: usize) -> Self {
        Self { groups: vec![vec![0.0; dimension]; GROUPS], squares: Vec::new() }
    }

    /// Adds a draw. `centre` is the same for all draws and should lie near their mean; 0 if not given.
    pub fn add(&mut self, draw: &[f64], centre: Option<&[f64]>) {
        let square = match centre {
            Some(centre) => draw.iter().zip(centre).map(|(g, c)| (g - c) * (g - c)).sum(),
            None => draw.iter().map(|g| g * g).sum(),
        };
        let group = &mut self.groups[self.squares.len() % GROUPS];
        group.iter_mut().zip(draw).for_each(|(sum, g)| *sum += g);
        self.squares.push(square);
    }

    pub fn count(&self) -> usize {
        self.squares.len()
    }

    /// The mean of all draws.
    pub fn mean(&self) -> Vec<f64> {
        let count = self.count() as f64;
        let sum = |d: usize| self.groups.iter().map(|group| group[d]).sum::<f64>();
        (0..self.groups[0].len()).map(|d| sum(d) / count).collect()
    }

    /// The mean of each group.
    fn group_means(&self) -> impl Iterator<Item = Vec<f64>> {
        self.groups.iter().enumerate().map(|(index, group)| {
            let count = (self.count() + GROUPS - 1 - index) / GROUPS;
            group.iter().map(|sum| sum / count as f64).collect()
        })
    }

    /// The trace of the covariance of one draw: (sum |g - centre|^2 - n |mean - centre|^2) / (n - 1).
    ///
    /// The standard error is that of the mean of |g - centre|^2, whose centre must then be near the mean.
    pub fn total_variance(&self, centre: Option<&[f64]>) -> Estimate {
        let count = self.count() as f64;
        let mean = self.mean();
        let offset: f64 = match centre {
            Some(centre) => mean.iter().zip(centre).map(|(m, c)| (m - c) * (m - c)).sum(),
            None => mean.iter().map(|m| m * m).sum(),
        };
        let average = self.squares.iter().sum::<f64>() / count;
        let spread: f64 = self.squares.iter().map(|square| (square - average) * (square - average)).sum();
        Estimate {
            value: (average - offset) * count / (count - 1.0),
            standard_error: (spread / (count - 1.0) / count).sqrt(),
        }
    }

    /// |E g|^2 without bias; may come out below 0.
    pub fn square_of_mean(&self) -> Estimate {
        square_of_mean(&self.group_means().collect::<Vec<_>>())
    }

    /// |E g - E r|^2 without bias, `reference` being independent draws of r; may come out below 0.
    pub fn square_of_difference(&self, reference: &Draws) -> Estimate {
        let differences = self.group_means().zip(reference.group_means()).map(|(mut mean, other)| {
            mean.iter_mut().zip(other).for_each(|(g, r)| *g -= r);
            mean
        });
        square_of_mean(&differences.collect::<Vec<_>>())
    }
}

/// |E d|^2 from independent draws d_k: the mean of <d_k, d_l> over k != l, which has no bias, as the product of two
/// independent draws has the product of their means for expectation. (|mean of d|^2 would be too large by the variance
/// of that mean.) The standard error is the jackknife's.
fn square_of_mean(draws: &[Vec<f64>]) -> Estimate {
    let count = draws.len() as f64;
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    // For each k, the sum of <d_k, d_l> over l != k.
    let rows: Vec<f64> = (0..draws.len())
        .map(|k| (0..draws.len()).filter(|l| *l != k).map(|l| product(&draws[k], &draws[l])).sum())
        .collect();
    let total: f64 = rows.iter().sum();
    let without = rows.iter().map(|row| (total - 2.0 * row) / ((count - 1.0) * (count - 2.0)));
    let average = without.clone().sum::<f64>() / count;
    let spread: f64 = without.map(|value| (value - average) * (value - average)).sum();
    Estimate { value: total / (count * (count - 1.0)), standard_error: (spread * (count - 1.0) / count).sqrt() }
}

#[cfg(test)]
mod tests {
    use rand_distr::{Distribution, StandardNormal};

    use super::*;
    use crate::random::{Draw, Stream};

    const DIMENSION: usize = 50;

    /// Draws with mean `mean` in each of 50 coordinates and variance 4.
    fn draws(seed: u64, count: usize, mean: f64, centre: Option<&[f64]>) -> Draws {
        let mut generator = Draw::new(seed, 0, Stream::Variance).generator(0);
        let mut draws = Draws::new(DIMENSION);
        for _ in 0..count {
            let draw: Vec<f64> = (0..DIMENSION)
                .map(|_| {
                    let normal: f64 = StandardNormal.sample(&mut generator);
                    mean + 2.0 * normal
                })
                .collect();
            draws.add(&draw, centre);
        }
        draws
    }

    #[test]
    fn a_known_distribution_is_recovered_within_its_standard_errors() {
        let centre = vec![0.3; DIMENSION];
        let draws = draws(1, 1000, 0.3, Some(&centre));
        let variance = draws.total_variance(Some(&centre));
        // Trace 4 * 50; one draw's |g - mean|^2 is 4 chi^2_50, of variance 16 * 100.
        assert!((variance.standard_error / (1600.0_f64 / 1000.0).sqrt() - 1.0).abs() < 0.1);
        assert!((variance.value - 200.0).abs() < 4.0 * variance.standard_error);
        let square = draws.square_of_mean();
        assert!((square.value - 0.09 * 50.0).abs() < 4.0 * square.standard_error && square.standard_error < 0.6);
    }

    #[test]
    fn no_difference_is_none_within_its_standard_error() {
        // Over 40 pairs of samples with the same mean: the estimate is centred on 0, where |difference of means|^2 would
        // be 2 * 200 / 100 = 4; and its standard error is about as large as its spread.
        let found: Vec<Estimate> = (0..40)
            .map(|seed| draws(seed, 100, 0.3, None).square_of_difference(&draws(1000 + seed, 100, 0.3, None)))
            .collect();
        let mean = found.iter().map(|e| e.value).sum::<f64>() / 40.0;
        let spread = (found.iter().map(|e| e.value * e.value).sum::<f64>() / 40.0).sqrt();
        let claimed = (found.iter().map(|e| e.standard_error * e.standard_error).sum::<f64>() / 40.0).sqrt();
        assert!(mean.abs() < 4.0 * spread / 40.0_f64.sqrt() && spread < 1.5, "{mean} {spread}");
        assert!((0.7..2.0).contains(&(claimed / spread)), "{claimed} {spread}");
    }

    #[test]
    fn a_difference_is_found() {
        let found = draws(3, 400, 0.5, None).square_of_difference(&draws(4, 400, 0.3, None));
        // 0.2^2 * 50 = 2; a group's difference has variance 0.16 a coordinate, so the error is 2 sqrt(2 * 0.16 / 8) = 0.4,
        // itself estimated from eight groups.
        assert!((found.value - 2.0).abs() < 4.0 * found.standard_error && found.standard_error < 1.0, "{found:?}");
    }

    #[test]
    fn uneven_groups_are_averaged_by_their_own_count() {
        let mut draws = Draws::new(1);
        (0..GROUPS + 3).for_each(|_| draws.add(&[2.0], None));
        assert_eq!(draws.mean(), [2.0]);
        assert_eq!(draws.square_of_mean(), Estimate { value: 4.0, standard_error: 0.0 });
        assert_eq!(draws.total_variance(None).value, 0.0);
    }
}
