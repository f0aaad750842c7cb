//! How long a run has taken, over all the processes that carried it out.
//!
//! Beside the checkpoint, not in it: two runs with the same configuration have the same checkpoints to the byte.

use std::io::ErrorKind;
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

    /// Those in a file, none if there is no file. They change no result, so a file that cannot be made out counts as none
    /// as well: timing then begins anew, which the sentence says that comes along.
    pub fn read(path: &Path) -> (Self, Option<String>) {
        let text = match std::fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Default::default(),
            Err(error) => return (Self::default(), Some(lost(path, &error.to_string()))),
        };
        match serde_json::from_slice::<Self>(&text) {
            Ok(times) if times.are_possible() => (times, None),
            Ok(_) => (Self::default(), Some(lost(path, "no run takes such times"))),
            Err(error) => (Self::default(), Some(lost(path, &error.to_string()))),
        }
    }

    /// Whether a run can have taken so long: an edited file must not spoil what is added to it.
    fn are_possible(&self) -> bool {
        let Self { iterations, training_seconds, evaluation_seconds, saving_seconds } = self;
        let a_millennium = 0.0..=3.2e10;
        [training_seconds, evaluation_seconds, saving_seconds].into_iter().all(|time| a_millennium.contains(time))
            && *iterations < u32::MAX
    }

    /// As JSON, in place of what was there.
    pub fn write(&self, path: &Path) -> Result<(), FileError> {
        let text = serde_json::to_string_pretty(self).expect("numbers have a JSON form");
        files::write(path, format!("{text}\n").as_bytes())
    }
}

/// Says that the times of a run are lost, and why.
fn lost(path: &Path, why: &str) -> String {
    format!("{}: not the times of a run ({why}): they are counted from now on", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_back_and_a_rate_is_that_of_what_was_timed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("times.json");
        assert_eq!(Times::read(&path), (Times::default(), None));
        assert_eq!(Times::default().rate(), None);
        let times =
            Times { iterations: 30, training_seconds: 1.5, evaluation_seconds: 100.0, saving_seconds: 1.0 / 3.0 };
        times.write(&path).unwrap();
        assert_eq!(Times::read(&path), (times, None));
        assert_eq!(times.rate(), Some(20.0));
    }

    #[test]
    fn times_that_cannot_be_made_out_are_none_and_that_is_said() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("times.json");
        let with = |training_seconds: &str, iterations: &str| {
            let rest = "\"evaluation_seconds\": 1.0, \"saving_seconds\": 1.0";
            format!("{{\"iterations\": {iterations}, \"training_seconds\": {training_seconds}, {rest}}}")
        };
        std::fs::write(&path, with("1.0", "3")).unwrap();
        assert_eq!(Times::read(&path).0.iterations, 3);
        let texts = ["-1.0", "1e300", "1e999", "NaN", "null"].map(|seconds| with(seconds, "3"));
        for text in texts.into_iter().chain([with("1.0", "-3"), with("1.0", "4294967295"), "{\"iterations\":".into()]) {
            std::fs::write(&path, &text).unwrap();
            let (times, said) = Times::read(&path);
            assert_eq!(times, Times::default(), "{text}");
            assert!(said.is_some_and(|said| said.contains("times.json") && said.contains("from now on")), "{text}");
        }
        let (times, said) = Times::read(directory.path());
        assert!(times == Times::default() && said.is_some(), "a directory is no file of times");
    }
}
