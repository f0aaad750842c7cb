//! Which states of a block the policy is asked about: those of trajectories that have not ended, step after step.

use std::ops::Range;

/// Entries of a block's tensors: step by step, the trajectories in order whose state before that step is seen. Where
/// all trajectories are equally long that is every one at every step.
#[derive(Clone, Debug, PartialEq)]
pub struct Entries {
    /// The trajectory of each entry, its row in the block.
    rows: Vec<u32>,
    /// The first entry of each step, and the end of the last one's.
    starts: Vec<usize>,
}

impl Default for Entries {
    fn default() -> Self {
        Self { rows: Vec::new(), starts: vec![0] }
    }
}

impl Entries {
    /// Forgets all steps.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.starts.truncate(1);
    }

    /// One more step, and its entries.
    pub fn add(&mut self, rows: impl Iterator<Item = usize>) -> Range<usize> {
        let start = self.rows.len();
        self.rows.extend(rows.map(|row| row as u32));
        self.starts.push(self.rows.len());
        start..self.rows.len()
    }

    /// Forgets the last step.
    pub fn drop_last(&mut self) {
        self.starts.pop();
        self.rows.truncate(self.starts[self.starts.len() - 1]);
    }

    /// Steps.
    pub fn steps(&self) -> usize {
        self.starts.len() - 1
    }

    /// Entries of some steps.
    pub fn of(&self, steps: Range<usize>) -> Range<usize> {
        self.starts[steps.start]..self.starts[steps.end]
    }

    /// Rows of some entries.
    pub fn rows(&self, entries: Range<usize>) -> impl Iterator<Item = usize> {
        self.rows[entries].iter().map(|&row| row as usize)
    }

    /// Row and step of the entries of some steps, in their order.
    pub fn iter(&self, steps: Range<usize>) -> impl Iterator<Item = (usize, usize)> {
        steps.flat_map(|step| self.rows[self.of(step..step + 1)].iter().map(move |&row| (row as usize, step)))
    }

    /// The first of the steps before `end` that have `most` entries together, or the last one before it if that has more.
    pub fn back(&self, end: usize, most: usize) -> usize {
        let first = self.starts[..end].partition_point(|&start| self.starts[end] - start > most);
        first.min(end - 1)
    }

    /// Whether all of `rows` rows have an entry at every step.
    pub fn is_full(&self, rows: usize) -> bool {
        self.rows.len() == rows * self.steps()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_have_the_rows_that_were_added() {
        let mut entries = Entries::default();
        assert_eq!(entries.add(0..3), 0..3);
        assert_eq!(entries.add([0, 2].into_iter()), 3..5);
        assert_eq!(entries.add([2].into_iter()), 5..6);
        assert_eq!(entries.iter(1..3).collect::<Vec<_>>(), [(0, 1), (2, 1), (2, 2)]);
        assert_eq!((entries.steps(), entries.of(0..2)), (3, 0..5));
        assert!(!entries.is_full(3));
        // From the end back: 1 entry, 3 and then all 6; never less than a step.
        assert_eq!([0, 1, 2, 3, 5, 6].map(|most| entries.back(3, most)), [2, 2, 2, 1, 1, 0]);
        entries.clear();
        assert_eq!(entries.add(0..2), 0..2);
        assert!(entries.is_full(2));
    }
}
