//! Batches of finished objects and of trajectories.

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
    /// If a site has no or more than 256 values.
    pub fn numbered(sites: usize, values: usize, numbers: Range<usize>) -> Self {
        assert!((1..=256).contains(&values), "{values} values a site, where objects hold them as bytes");
        let mut digits = Vec::with_capacity(numbers.len() * sites);
        for mut number in numbers {
            for _ in 0..sites {
                digits.push((number % values) as u8);
                number /= values;
            }
        }
        Self::new(sites, digits)
    }

    pub fn sites(&self) -> usize {
        self.sites
    }

    pub fn count(&self) -> usize {
        self.values.len() / self.sites
    }

    pub fn row(&self, index: usize) -> &[u8] {
        &self.values[index * self.sites..][..self.sites]
    }

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

/// Complete trajectories: the action of each step, row-major [count, steps].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trajectories {
    steps: usize,
    actions: Vec<u32>,
}

impl Trajectories {
    /// # Panics
    /// If `actions` is not a whole number of rows.
    pub fn new(steps: usize, actions: Vec<u32>) -> Self {
        assert!(
            steps > 0 && actions.len().is_multiple_of(steps),
            "{} actions do not make rows of {steps}",
            actions.len()
        );
        Self { steps, actions }
    }

    pub fn steps(&self) -> usize {
        self.steps
    }

    pub fn count(&self) -> usize {
        self.actions.len() / self.steps
    }

    pub fn row(&self, index: usize) -> &[u32] {
        &self.actions[index * self.steps..][..self.steps]
    }

    /// All actions, row-major [count, steps].
    pub fn actions(&self) -> &[u32] {
        &self.actions
    }
}
