//! How long a run has taken, over all the processes that carried it out.
//!
//! Beside the checkpoint, not in it: two runs with the same configuration have the same checkpoints to the byte.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::files::{self, FileError};

/// Seconds by what they were spent on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Times {
    /// Iterations that were timed: those of a process that was killed before it saved are not.
    pub iterations: u32,
    /// In these iterations.
    pub training_seconds: f64,
    /// In evaluations, on the way and at the end.
    pub evaluation_seconds: f64,
    /// In saving.
    pub saving_seconds: f64,
}

impl Times {
    /// Iterations a second of training alone, if any was timed.
    pub fn rate(&self) -> Option<f64> {
        (self.iterations > 0).then(|| f64::from(self.iterations) / self.training_seconds.max(1e-9))
    }

    /// Those in a file. They change no result, so a file that cannot be read counts as none: timing then begins anew.
    pub fn read(path: &Path) -> Self {
        let text = std::fs::read(path).unwrap_or_default();
        serde_json::from_slice(&text).ok().filter(Self::are_possible).unwrap_or_default()
    }

    /// Whether a run can have taken so long: an edited file must not spoil what is added to it.
    fn are_possible(&self) -> bool {
        let Self { iterations, training_seconds, evaluation_seconds, saving_seconds } = self;
        let a_millennium = 0.0..=3.2e10;
        [training_seconds, evaluation_seconds, saving_seconds].into_iter().all(|time| a_millennium.contains(time))
            && *iterations < u32::MAX
    }

    pub fn write(&self, path: &Path) -> Result<(), FileError> {
        let text = serde_json::to_string_pretty(self).expect("numbers have a JSON form");
        files::write(path, format!("{text}\n").as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_back_and_a_rate_is_that_of_what_was_timed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("times.json");
        assert_eq!(Times::read(&path), Times::default());
        assert_eq!(Times::default().rate(), None);
        let times =
            Times { iterations: 30, training_seconds: 1.5, evaluation_seconds: 100.0, saving_seconds: 1.0 / 3.0 };
        times.write(&path).unwrap();
        assert_eq!(Times::read(&path), times);
        assert_eq!(times.rate(), Some(20.0));
        std::fs::write(&path, "{\"iterations\":").unwrap();
        assert_eq!(Times::read(&path), Times::default());
        for impossible in [-1.0, 1e300] {
            Times { training_seconds: impossible, ..times }.write(&path).unwrap();
            assert_eq!(Times::read(&path), Times::default(), "{impossible}");
        }
    }
}
