<<<<<<< HEAD
//! Targets small enough that every object can be asked about.

use super::Target;
use crate::metrics::log_sum_exp;
use crate::process::Objects;

/// Most objects that are enumerated: 20 sites of two values.
pub const MAXIMUM_OBJECTS: usize = 1 << 20;

/// Objects asked about at a time.
const CHUNK: usize = 1 << 14;

/// Number of objects of a target, if it is at most [`MAXIMUM_OBJECTS`]; else a sentence that says so.
pub fn objects(target: &dyn Target) -> Result<usize, String> {
    let (sites, values) = (target.sites(), target.values());
    let count = u32::try_from(sites).ok().and_then(|sites| values.checked_pow(sites));
    count.filter(|&count| count <= MAXIMUM_OBJECTS).ok_or_else(|| {
        format!("{sites} sites of {values} values make more than the {MAXIMUM_OBJECTS} objects that are enumerated")
    })
}

/// log R of every object of a target, in the order of [`Objects::numbered`].
pub fn log_rewards(target: &dyn Target) -> Result<Vec<f64>, String> {
    let mut log_rewards = vec![0.0; objects(target)?];
    for (chunk, log_rewards) in log_rewards.chunks_mut(CHUNK).enumerate() {
        let first = chunk * CHUNK;
        let objects = Objects::numbered(target.sites(), target.values(), first..first + log_rewards.len());
        target.log_reward(&objects, log_rewards);
    }
    Ok(log_rewards)
}

/// log sum_x R(x), by adding up every object.
pub fn log_z(target: &dyn Target) -> Result<f64, String> {
    Ok(log_sum_exp(&log_rewards(target)?))
=======
//! Every object of a tiny target, for exact answers.

use rayon::prelude::*;

use super::Target;
use crate::process::Objects;

/// Most objects that [`exact_log_z`] sums over.
pub const LARGEST: u64 = 1 << 24;

/// Objects a chunk of [`all_objects`].
const CHUNK: usize = 1 << 14;

/// All `values`^`sites` objects, in chunks of at most 16,384 rows. Object number n (counted through the chunks) is n
/// written in base `values`, site 0 the lowest digit. Nothing is computed before it is asked for.
///
/// # Panics
/// If there are no sites, or not 1 to 256 values.
pub fn all_objects(sites: usize, values: usize) -> impl Iterator<Item = Objects> {
    assert!(sites > 0 && (1..=256).contains(&values), "{sites} sites of {values} values cannot be enumerated");
    let highest = (values - 1) as u8;
    let mut next = Some(vec![0; sites]);
    std::iter::from_fn(move || {
        let mut digits = next.take()?;
        let mut rows = Vec::new();
        for _ in 0..CHUNK {
            rows.extend_from_slice(&digits);
            let Some(carried) = digits.iter().position(|&digit| digit < highest) else {
                return Some(Objects::new(sites, rows));
            };
            digits[..carried].fill(0);
            digits[carried] += 1;
        }
        next = Some(digits);
        Some(Objects::new(sites, rows))
    })
}

/// log sum_x R(x) by enumeration, an error if there are more than [`LARGEST`] objects.
///
/// Chunks are added in order, so the result does not depend on the number of threads.
pub fn exact_log_z(target: &dyn Target) -> Result<f64, String> {
    let (sites, values) = (target.sites(), target.values());
    let count = u32::try_from(sites).ok().and_then(|sites| (values as u64).checked_pow(sites));
    if count.is_none_or(|count| count > LARGEST) {
        return Err(format!(
            "{values}^{sites} objects are too many to enumerate; at most {LARGEST} are, which is 24 sites of 2 values"
        ));
    }
    let mut chunks = all_objects(sites, values);
    let mut sums = Vec::new();
    loop {
        let batch: Vec<_> = chunks.by_ref().take(rayon::current_num_threads()).collect();
        if batch.is_empty() {
            return Ok(log_sum_exp(&sums));
        }
        sums.par_extend(batch.par_iter().map(|objects| {
            let mut log_reward = vec![0.0; objects.count()];
            target.log_reward(objects, &mut log_reward);
            log_sum_exp(&log_reward)
        }));
    }
}

/// log sum_i exp(terms_i); minus infinity where every term is.
fn log_sum_exp(terms: &[f64]) -> f64 {
    let largest = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if largest == f64::NEG_INFINITY {
        return largest;
    }
    largest + terms.iter().map(|term| (term - largest).exp()).sum::<f64>().ln()
>>>>>>> ising
}

#[cfg(test)]
mod tests {
    use super::*;

<<<<<<< HEAD
    /// log R = log of the sum of (site + 1) * value, plus one.
    struct Weighted {
=======
    /// log R = sum of the site number times the value, which factorises over the sites.
    struct Product {
>>>>>>> ising
        sites: usize,
        values: usize,
    }

<<<<<<< HEAD
    impl Target for Weighted {
=======
    impl Target for Product {
>>>>>>> ising
        fn sites(&self) -> usize {
            self.sites
        }

        fn values(&self) -> usize {
            self.values
        }

        fn log_reward(&self, objects: &Objects, log_reward: &mut [f64]) {
<<<<<<< HEAD
            for (row, out) in objects.rows().zip(log_reward) {
                *out = (1.0 + (1..).zip(row).map(|(weight, &value)| f64::from(weight * u32::from(value))).sum::<f64>())
                    .ln();
=======
            for (row, log_reward) in objects.rows().zip(log_reward) {
                *log_reward = row.iter().zip(1..).map(|(&value, site)| 0.1 * f64::from(site) * f64::from(value)).sum();
>>>>>>> ising
            }
        }
    }

    #[test]
<<<<<<< HEAD
    fn objects_come_with_the_first_site_as_the_lowest_digit() {
        let log_rewards = log_rewards(&Weighted { sites: 2, values: 3 }).expect("nine objects");
        let rewards: Vec<f64> = log_rewards.iter().map(|log| log.exp().round()).collect();
        assert_eq!(rewards, [1.0, 2.0, 3.0, 3.0, 4.0, 5.0, 5.0, 6.0, 7.0]);
    }

    #[test]
    fn sums_over_many_chunks() {
        // Each of the 17 sites is set in half of the objects: Z = 2^17 (1 + (1 + ... + 17) / 2).
        let expected = (131_072.0_f64 * (1.0 + 153.0 / 2.0)).ln();
        let found = log_z(&Weighted { sites: 17, values: 2 }).expect("few enough objects");
        assert!((found - expected).abs() < 1e-12);
=======
    fn every_object_comes_once_and_in_order() {
        for (sites, values) in [(1, 2), (3, 4), (9, 3), (15, 2), (2, 256)] {
            let mut number = 0_usize;
            for objects in all_objects(sites, values) {
                for row in objects.rows() {
                    assert_eq!(row.iter().rev().fold(0, |n, &digit| n * values + usize::from(digit)), number);
                    number += 1;
                }
            }
            assert_eq!(number, values.pow(sites as u32));
        }
    }

    #[test]
    fn log_z_of_a_product_is_the_sum_over_its_sites() {
        for (sites, values) in [(1, 2), (5, 7), (17, 2)] {
            let site = |site: i32| (0..values).map(|v| (0.1 * f64::from(site) * v as f64).exp()).sum::<f64>().ln();
            let expected: f64 = (1..=sites as i32).map(site).sum();
            let found = exact_log_z(&Product { sites, values }).unwrap();
            // 131,072 positive terms lose at most some thousand units in the last place.
            assert!((found - expected).abs() < 1e-11, "{sites} {values}: {found} {expected}");
        }
>>>>>>> ising
    }

    #[test]
    fn too_many_objects_are_refused() {
<<<<<<< HEAD
        assert!(objects(&Weighted { sites: 20, values: 2 }).is_ok());
        for (sites, values) in [(21, 2), (13, 3), (1000, 256)] {
            let message = log_z(&Weighted { sites, values }).expect_err("too many objects");
            assert!(message.contains(&format!("{sites} sites of {values} values")), "{message}");
=======
        for (sites, values) in [(25, 2), (1 << 16, 256), (4, 256)] {
            assert!(exact_log_z(&Product { sites, values }).unwrap_err().contains("too many to enumerate"));
>>>>>>> ising
        }
    }
}
