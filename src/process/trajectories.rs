//! Batches of trajectories.

/// In place of an action after the end of a trajectory.
pub const NO_ACTION: u32 = u32::MAX;

/// Complete trajectories: the action of each step, in rows of as many steps as the longest can have. What is left of a row
/// is [`NO_ACTION`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trajectories {
    max_steps: usize,
    actions: Vec<u32>,
}

impl Trajectories {
    /// # Panics
    /// If `actions` is not a whole number of rows of `max_steps`.
    pub fn new(max_steps: usize, actions: Vec<u32>) -> Self {
        assert!(
            max_steps > 0 && actions.len().is_multiple_of(max_steps),
            "{} actions do not make rows of {max_steps}",
            actions.len()
        );
        Self { max_steps, actions }
    }

    /// Trajectories of any lengths up to `max_steps`.
    ///
    /// # Panics
    /// If one is longer.
    pub fn from_rows(max_steps: usize, rows: impl IntoIterator<Item = Vec<u32>>) -> Self {
        let mut actions = Vec::new();
        for row in rows {
            assert!(row.len() <= max_steps, "a trajectory of {} steps, where {max_steps} are the most", row.len());
            let end = actions.len() + max_steps;
            actions.extend(row);
            actions.resize(end, NO_ACTION);
        }
        Self::new(max_steps, actions)
    }

    /// Length of a row.
    pub fn max_steps(&self) -> usize {
        self.max_steps
    }

    /// Number of trajectories.
    pub fn count(&self) -> usize {
        self.actions.len() / self.max_steps
    }

    /// The actions of one trajectory, to its end.
    pub fn row(&self, index: usize) -> &[u32] {
        let row = &self.actions[index * self.max_steps..][..self.max_steps];
        &row[..length(row)]
    }

    /// All actions, row-major [count, max_steps].
    pub fn actions(&self) -> &[u32] {
        &self.actions
    }
}

/// Steps of a row up to its end.
pub fn length(row: &[u32]) -> usize {
    row.iter().rposition(|&action| action != NO_ACTION).map_or(0, |last| last + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_end_where_their_actions_do() {
        let trajectories = Trajectories::from_rows(3, [vec![2], vec![], vec![0, 1, 4]]);
        assert_eq!(trajectories.count(), 3);
        assert_eq!([0, 1, 2].map(|row| trajectories.row(row).to_vec()), [vec![2], vec![], vec![0, 1, 4]]);
        assert_eq!(trajectories.actions(), [2, NO_ACTION, NO_ACTION, NO_ACTION, NO_ACTION, NO_ACTION, 0, 1, 4]);
        assert!(std::panic::catch_unwind(|| Trajectories::from_rows(2, [vec![1; 3]])).is_err());
    }
}
