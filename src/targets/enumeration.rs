//! Targets small enough that every object can be asked about.

use super::{Target, TargetError, check_shape};
use crate::logs::log_sum_exp;
use crate::process::Objects;

/// Most objects that are enumerated: 20 sites of two values.
pub const MAXIMUM_OBJECTS: usize = 1 << 20;

/// Objects asked about at a time.
const CHUNK: usize = 1 << 14;

/// Number of objects of a target, if it is at most [`MAXIMUM_OBJECTS`]; else a sentence that says so, or what is wrong with
/// its sizes ([`check_shape`]).
pub fn objects(target: &dyn Target) -> Result<usize, TargetError> {
    check_shape(target)?;
    let (sites, values) = (target.sites(), target.values());
    let count = u32::try_from(sites).ok().and_then(|sites| values.checked_pow(sites));
    count.filter(|&count| count <= MAXIMUM_OBJECTS).ok_or_else(|| {
        TargetError::Unknown(format!(
            "{sites} sites of {values} values make more than the {MAXIMUM_OBJECTS} objects that are enumerated"
        ))
    })
}

/// log R of every object of a target, in the order of [`Objects::numbered`].
pub fn log_rewards(target: &dyn Target) -> Result<Vec<f64>, TargetError> {
    let mut log_rewards = vec![0.0; objects(target)?];
    for (chunk, log_rewards) in log_rewards.chunks_mut(CHUNK).enumerate() {
        let first = chunk * CHUNK;
        let objects = Objects::numbered(target.sites(), target.values(), first..first + log_rewards.len());
        // Whatever the target forgets to write must not pass for a number.
        log_rewards.fill(f64::NAN);
        target.log_reward(&objects, log_rewards);
    }
    Ok(log_rewards)
}

/// log sum_x R(x), by adding up every object.
pub fn log_z(target: &dyn Target) -> Result<f64, TargetError> {
    Ok(log_sum_exp(&log_rewards(target)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// log R = log of the sum of (site + 1) * value, plus one.
    struct Weighted {
        sites: usize,
        values: usize,
    }

    impl Target for Weighted {
        fn sites(&self) -> usize {
            self.sites
        }

        fn values(&self) -> usize {
            self.values
        }

        fn log_reward(&self, objects: &Objects, log_reward: &mut [f64]) {
            for (row, out) in objects.rows().zip(log_reward) {
                *out = (1.0 + (1..).zip(row).map(|(weight, &value)| f64::from(weight * u32::from(value))).sum::<f64>())
                    .ln();
            }
        }
    }

    #[test]
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
    }

    #[test]
    fn values_that_no_byte_holds_are_refused() {
        assert!(log_z(&Weighted { sites: 1, values: 256 }).is_ok());
        for values in [257, 300] {
            let message = log_z(&Weighted { sites: 2, values }).expect_err("bytes would wrap").to_string();
            assert!(message.contains(&format!("{values} values")) && message.contains("2 to 256"), "{message}");
        }
    }

    #[test]
    fn too_many_objects_are_refused() {
        assert!(objects(&Weighted { sites: 20, values: 2 }).is_ok());
        for (sites, values) in [(21, 2), (13, 3), (1000, 256)] {
            let message = log_z(&Weighted { sites, values }).expect_err("too many objects").to_string();
            assert!(message.contains(&format!("{sites} sites of {values} values")), "{message}");
        }
    }
}
