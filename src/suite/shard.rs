//! Which part of a suite a process of several begins with.

use std::env;
use std::str::FromStr;

/// Part `number` of `of`, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    pub number: usize,
    pub of: usize,
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/').and_then(|(number, of)| Some((number.parse().ok()?, of.parse().ok()?)));
        match parts {
            Some((number, of)) if (1..=of).contains(&number) => Ok(Self { number, of }),
            _ => Err("must be a part and the number of parts, 1/4 to 4/4 for four of them".into()),
        }
    }
}

impl Shard {
    /// The one that this task of a SLURM job array is, if it is one.
    pub fn of_job_array() -> Option<Self> {
        Self::of_variables(|name| env::var(name).ok()?.parse().ok())
    }

    /// Tasks count from SLURM_ARRAY_TASK_MIN in steps of SLURM_ARRAY_TASK_STEP; where they are a list with gaps, two may have
    /// the same part, and another has none, which others then see to.
    fn of_variables(variable: impl Fn(&str) -> Option<usize>) -> Option<Self> {
        let (task, of) = (variable("SLURM_ARRAY_TASK_ID")?, variable("SLURM_ARRAY_TASK_COUNT")?.max(1));
        let least = variable("SLURM_ARRAY_TASK_MIN").unwrap_or(0);
        let step = variable("SLURM_ARRAY_TASK_STEP").unwrap_or(1).max(1);
        Some(Self { number: task.saturating_sub(least) / step % of + 1, of })
    }

    /// All runs in the order in which this part takes them: its own, then those of the next part, and so on.
    pub fn order(self, runs: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..runs).collect();
        order.sort_by_key(|run| (run % self.of + self.of + 1 - self.number) % self.of);
        order
    }

    /// How many of the runs are its own.
    pub fn owns(self, run: usize) -> bool {
        run % self.of + 1 == self.number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_begins_with_its_own_runs_and_goes_on_with_all_others() {
        let order = |text: &str| text.parse::<Shard>().unwrap().order(7);
        assert_eq!(order("1/1"), [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(order("1/3"), [0, 3, 6, 1, 4, 2, 5]);
        assert_eq!(order("3/3"), [2, 5, 0, 3, 6, 1, 4]);
        assert_eq!(order("9/9"), [0, 1, 2, 3, 4, 5, 6], "it has none of its own");
        assert!((0..7).all(|run| Shard { number: 3, of: 3 }.owns(run) == [2, 5].contains(&run)));
    }

    #[test]
    fn what_is_no_part_is_refused() {
        for text in ["", "1", "0/3", "4/3", "1/0", "-1/3", "1/3/3", "a/b", "1 / 3"] {
            assert!(text.parse::<Shard>().unwrap_err().contains("1/4"), "{text}");
        }
    }

    #[test]
    fn a_task_of_an_array_is_a_part() {
        let shard = |set: &[(&str, usize)]| {
            let value = |name: &str| set.iter().find(|(key, _)| name.ends_with(key)).map(|(_, value)| *value);
            Shard::of_variables(value).map(|shard| (shard.number, shard.of))
        };
        assert_eq!(shard(&[]), None);
        assert_eq!(shard(&[("_ID", 3)]), None);
        assert_eq!(shard(&[("_ID", 0), ("_COUNT", 4), ("_MIN", 0), ("_STEP", 1)]), Some((1, 4)));
        assert_eq!(shard(&[("_ID", 4), ("_COUNT", 4), ("_MIN", 1), ("_STEP", 1)]), Some((4, 4)));
        assert_eq!(shard(&[("_ID", 15), ("_COUNT", 4), ("_MIN", 0), ("_STEP", 5)]), Some((4, 4)));
        // --array=3: one task that was started again by itself; --array=1,7: gaps.
        assert_eq!(shard(&[("_ID", 3), ("_COUNT", 1), ("_MIN", 3), ("_STEP", 1)]), Some((1, 1)));
        assert_eq!(shard(&[("_ID", 7), ("_COUNT", 2), ("_MIN", 1), ("_STEP", 1)]), Some((1, 2)));
    }
}
