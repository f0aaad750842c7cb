//! What sizes a target may have.

use super::{Target, TargetError};
use crate::process::Encoding;

/// Values a site may have: objects hold them as bytes.
pub const VALUES: std::ops::RangeInclusive<usize> = 2..=256;

/// Sites an object may have: a GPU notes the step and the value of each in one word of 32 bits.
pub const SITES: std::ops::RangeInclusive<usize> = 1..=(1 << 24) - 1;

/// Refuses a target of sizes that nothing here can represent.
///
/// # Errors
/// A sentence that says what was found and what is allowed: [`VALUES`], [`SITES`], and for a scalar encoding one finite
/// code a value and a finite number for an unset site.
pub fn check_shape(target: &dyn Target) -> Result<(), TargetError> {
    let (sites, values) = (target.sites(), target.values());
    if !VALUES.contains(&values) {
        return Err(TargetError::out_of_range(format!(
            "the target has {values} values a site: {} to {} are allowed",
            VALUES.start(),
            VALUES.end()
        )));
    }
    if !SITES.contains(&sites) {
        return Err(TargetError::out_of_range(format!(
            "the target has {sites} sites: {} to {} are allowed",
            SITES.start(),
            SITES.end()
        )));
    }
    let Encoding::Scalar { unset, codes } = target.encoding() else { return Ok(()) };
    if codes.len() != values {
        let found = codes.len();
        return Err(TargetError::out_of_range(format!(
            "the target's scalar encoding has {found} codes for {values} values: one a value is needed"
        )));
    }
    match codes.iter().chain([&unset]).find(|code| !code.is_finite()) {
        Some(code) => Err(TargetError::out_of_range(format!(
            "the target's scalar encoding has the code {code}: codes must be finite"
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Objects;

    struct Shape(usize, usize, Encoding);

    impl Target for Shape {
        fn sites(&self) -> usize {
            self.0
        }

        fn values(&self) -> usize {
            self.1
        }

        fn encoding(&self) -> Encoding {
            self.2.clone()
        }

        fn log_reward(&self, _: &Objects, log_reward: &mut [f64]) {
            log_reward.fill(0.0);
        }
    }

    #[test]
    fn sizes_at_the_bounds_pass_and_those_beyond_are_named() {
        let scalar = |unset, codes: &[f64]| Encoding::Scalar { unset, codes: codes.to_vec() };
        for (sites, values, encoding) in
            [(1, 2, Encoding::OneHot), (3, 256, Encoding::OneHot), (4, 2, scalar(0.0, &[-1.0, 1.0]))]
        {
            assert_eq!(check_shape(&Shape(sites, values, encoding)), Ok(()));
        }
        let cases = [
            (3, 257, Encoding::OneHot, ["257 values", "2 to 256"]),
            (3, 300, Encoding::OneHot, ["300 values", "2 to 256"]),
            (3, 1, Encoding::OneHot, ["1 values", "2 to 256"]),
            (3, 0, Encoding::OneHot, ["0 values", "2 to 256"]),
            (0, 2, Encoding::OneHot, ["0 sites", "1 to 16777215"]),
            (1 << 24, 2, Encoding::OneHot, ["16777216 sites", "1 to 16777215"]),
            (3, 2, scalar(0.0, &[1.0]), ["1 codes for 2 values", "one a value"]),
            (3, 2, scalar(0.0, &[1.0, 2.0, 3.0]), ["3 codes for 2 values", "one a value"]),
            (3, 2, scalar(0.0, &[1.0, f64::NAN]), ["the code NaN", "finite"]),
            (3, 2, scalar(f64::INFINITY, &[0.0, 1.0]), ["the code inf", "finite"]),
        ];
        for (sites, values, encoding, words) in cases {
            let message = check_shape(&Shape(sites, values, encoding)).expect_err("a bad shape").to_string();
            assert!(words.iter().all(|word| message.contains(word)), "{message:?} does not say {words:?}");
        }
    }
}
