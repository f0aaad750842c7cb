//! Batches of finished objects.

use std::ops::Range;

/// Finished objects: the value of each site, row-major [count, sites].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Objects {
    sites: usize,
    values: Vec<u8>,
}

impl Objects {
    /// # Panics
    /// If `values` is not a whole number of rows.
    pub fn new(sites: usize, values: Vec<u8>) -> Self {
        assert!(sites > 0 && values.len().is_multiple_of(sites), "{} values do not make rows of {sites}", values.len());
        Self { sites, values }
    }

    /// The objects with these numbers among all those of `sites` sites with `values` values: the value of site s is
    /// digit s of the number in base `values`, the first site being the lowest digit.
    ///
    /// # Panics
    /// If there are no such objects: their numbers end at `values`^`sites`, and values at 256.
    pub fn numbered(sites: usize, values: usize, numbers: Range<usize>) -> Self {
        // More objects than a usize counts: every number is one of theirs.
        let end = u32::try_from(sites).ok().and_then(|sites| values.checked_pow(sites)).unwrap_or(usize::MAX);
        assert!(
            (1..=256).contains(&values) && numbers.end <= end,
            "objects {numbers:?} of {sites} sites of {values} values"
        );
        let mut digits = Vec::with_capacity(numbers.len() * sites);
        for mut number in numbers {
            for _ in 0..sites {
                digits.push((number % values) as u8);
                number /= values;
            }
        }
        Self::new(sites, digits)
    }

    /// Values of an object.
    pub fn sites(&self) -> usize {
        self.sites
    }

    /// Number of objects.
    pub fn count(&self) -> usize {
        self.values.len() / self.sites
    }

    /// One object's values, `[sites]`. Panics if there is none of this index.
    pub fn row(&self, index: usize) -> &[u8] {
        &self.values[index * self.sites..][..self.sites]
    }

    /// Each object's values, `[sites]`.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.values.chunks_exact(self.sites)
    }

    /// All values, row-major [count, sites].
    pub fn values(&self) -> &[u8] {
        &self.values
    }

    /// Adds the rows of `other`.
    pub fn extend(&mut self, other: &Objects) {
        assert_eq!(self.sites, other.sites, "objects of another number of sites");
        self.values.extend_from_slice(&other.values);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbered_objects_are_those_there_are_and_no_others() {
        assert_eq!(Objects::numbered(2, 3, 7..9).values(), [1, 2, 2, 2]);
        assert_eq!(Objects::numbered(1, 256, 255..256).values(), [255]);
        assert_eq!(Objects::numbered(200, 2, usize::MAX - 1..usize::MAX).count(), 1);
        for (sites, values, numbers) in [(2, 3, 8..10), (1, 300, 0..300), (1, 0, 0..0)] {
            let wrapped = std::panic::catch_unwind(|| Objects::numbered(sites, values, numbers));
            assert!(wrapped.is_err(), "{sites} sites of {values} values");
        }
    }
}
