//! Maximum mean discrepancy between two sets of objects under the exponential Hamming kernel.
//!
//! Objects are packed into bits, so that a distance is an xor and a count of ones; distances are counted in a histogram,
//! so the kernel is evaluated once for each distance and the sums are exact integers, whatever the number of threads.

use rayon::prelude::*;

use crate::process::Objects;

/// k(x, y) = exp(-DECAY * Hamming distance).
pub const DECAY: f64 = 0.1;

/// Squared maximum mean discrepancy between samples x and y, without bias:
/// mean_{i != j} k(x_i, x_j) + mean_{i != j} k(y_i, y_j) - 2 mean_{i, j} k(x_i, y_j), k = exp(-0.1 * Hamming).
///
/// It can be negative. NaN if either has fewer than two objects. `values` is the number of values a site can have.
///
/// # Panics
/// If the objects differ in their number of sites.
pub fn mmd(x: &Objects, y: &Objects, values: usize) -> f64 {
    assert_eq!(x.sites(), y.sites(), "objects of another number of sites");
    let (x, y) = (Packed::new(x, values), Packed::new(y, values));
    let within = |packed: &Packed| mean_kernel(&packed.histogram(packed, |index| index));
    within(&x) + within(&y) - 2.0 * mean_kernel(&x.histogram(&y, |_| y.count))
}

/// Mean of the kernel over pairs, of which `histogram[h]` are at distance h.
fn mean_kernel(histogram: &[u64]) -> f64 {
    let sum: f64 =
        (0..).zip(histogram).map(|(distance, &pairs)| pairs as f64 * (-DECAY * f64::from(distance)).exp()).sum();
    sum / histogram.iter().sum::<u64>() as f64
}

/// Objects as bit planes: plane p of an object has bit p of every site's value, 64 sites a word.
struct Packed {
    sites: usize,
    count: usize,
    /// Words of a plane.
    words: usize,
    planes: usize,
    /// Row-major [count, words, planes].
    data: Vec<u64>,
}

impl Packed {
    fn new(objects: &Objects, values: usize) -> Self {
        let (sites, count) = (objects.sites(), objects.count());
        let (words, planes) = (sites.div_ceil(64), values.next_power_of_two().trailing_zeros() as usize);
        let mut data = vec![0; count * words * planes];
        for (row, object) in data.chunks_mut(words * planes).zip(objects.rows()) {
            for (site, &value) in object.iter().enumerate() {
                for (plane, word) in row[site / 64 * planes..][..planes].iter_mut().enumerate() {
                    *word |= u64::from(value >> plane & 1) << (site % 64);
                }
            }
        }
        Self { sites, count, words, planes, data }
    }

    /// How many pairs (i, j), j < limit(i), of an object i of these and an object j of `others` are at each distance.
    fn histogram(&self, others: &Packed, limit: impl Fn(usize) -> usize + Sync) -> Vec<u64> {
        let size = self.words * self.planes;
        let count = |mut histogram: Vec<u64>, (index, row): (usize, &[u64])| {
            for other in others.data[..limit(index) * size].chunks_exact(size) {
                histogram[self.distance(row, other)] += 1;
            }
            histogram
        };
        let add = |mut left: Vec<u64>, right: Vec<u64>| {
            left.iter_mut().zip(right).for_each(|(left, right)| *left += right);
            left
        };
        let empty = || vec![0; self.sites + 1];
        self.data.par_chunks(size).enumerate().fold(empty, count).reduce(empty, add)
    }

    /// The number of sites in which two rows differ: in any of the planes.
    fn distance(&self, left: &[u64], right: &[u64]) -> usize {
        let words = left.chunks_exact(self.planes).zip(right.chunks_exact(self.planes));
        let differing = |(left, right): (&[u64], &[u64])| left.iter().zip(right).fold(0, |or, (a, b)| or | a ^ b);
        words.map(|pair| differing(pair).count_ones() as usize).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Draw, Stream};
    use rand::RngExt;

    fn random(sites: usize, values: usize, count: usize, seed: u64) -> Objects {
        let mut generator = Draw::new(seed, 0, Stream::Data).generator(0);
        Objects::new(sites, (0..count * sites).map(|_| generator.random_range(0..values) as u8).collect())
    }

    fn by_definition(x: &Objects, y: &Objects) -> f64 {
        let kernel = |a: &[u8], b: &[u8]| {
            let distance = a.iter().zip(b).filter(|(a, b)| a != b).count();
            (-0.1 * distance as f64).exp()
        };
        let mean = |x: &Objects, y: &Objects, same: bool| {
            let pairs = (0..x.count()).flat_map(|i| (0..y.count()).map(move |j| (i, j)));
            let kernels: Vec<f64> =
                pairs.filter(|(i, j)| !same || i != j).map(|(i, j)| kernel(x.row(i), y.row(j))).collect();
            kernels.iter().sum::<f64>() / kernels.len() as f64
        };
        mean(x, x, true) + mean(y, y, true) - 2.0 * mean(x, y, false)
    }

    #[test]
    fn agrees_with_the_definition_for_any_number_of_sites_and_values() {
        for (sites, values) in [(1, 2), (32, 2), (64, 2), (65, 2), (225, 2), (10, 3), (70, 5), (7, 256)] {
            let (x, y) = (random(sites, values, 40, 1), random(sites, values, 30, 2));
            // Sums of at most 1600 numbers of size 1, in another order.
            assert!((mmd(&x, &y, values) - by_definition(&x, &y)).abs() < 1e-12, "{sites} sites, {values} values");
        }
    }

    #[test]
    fn a_few_objects_by_hand() {
        let x = Objects::new(3, vec![0, 0, 0, 0, 0, 1]);
        let y = Objects::new(3, vec![1, 1, 0, 1, 1, 0]);
        let k = |distance: f64| (-0.1 * distance).exp();
        // Within x one site differs, within y none; across, two for the first of x and three for the second.
        let expected = k(1.0) + 1.0 - (k(2.0) + k(3.0));
        assert!((mmd(&x, &y, 2) - expected).abs() < 1e-15);
    }

    #[test]
    fn too_few_objects_have_no_discrepancy() {
        assert!(mmd(&random(4, 2, 1, 1), &random(4, 2, 5, 2), 2).is_nan());
        assert!(mmd(&random(4, 2, 5, 1), &Objects::new(4, vec![]), 2).is_nan());
    }

    #[test]
    fn many_samples_of_one_distribution_have_next_to_no_discrepancy() {
        let value = mmd(&random(32, 2, 4000, 1), &random(32, 2, 4000, 2), 2);
        // The deviation of the estimate is below 1e-3 at this size.
        assert!(value.abs() < 1e-3, "{value}");
        // Ones three times in four: a site differs with probability 3/8 within these and 1/2 within the others and across,
        // and the kernel is a product over sites. The mean kernel with an object deviates by 0.038 from object to object,
        // so the estimate does by 2 * 0.038 / sqrt(4000) = 0.0012; five of these.
        let often = random(32, 4, 4000, 3);
        let often = Objects::new(32, often.values().iter().map(|&value| u8::from(value > 0)).collect());
        let mean = |differing: f64| (1.0 - differing + differing * (-DECAY).exp()).powi(32);
        let expected = mean(3.0 / 8.0) - mean(0.5);
        let value = mmd(&random(32, 2, 4000, 1), &often, 2);
        assert!((value - expected).abs() < 6e-3, "{value} is not {expected}");
    }
}
