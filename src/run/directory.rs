//! A run directory as those see it who only look: configuration, checkpoint, metrics, summary.
//!
//! Whatever moment a run is killed at, its directory resumes: the configuration is written before anything else, the
//! checkpoint is replaced whole and holds the configuration it belongs to, and the log is on the disk before the
//! checkpoint that counts its lines. Who writes needs a [`super::claim::Claim`].

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::checkpoint::Checkpoint;
use super::error::RunError;
use super::{files, log};
use crate::config::{Config, ConfigError, Difference, differences};

/// The files of one run.
#[derive(Clone, Debug)]
pub struct RunDirectory {
    path: PathBuf,
}

impl RunDirectory {
    /// The directory `path`, whatever is in it.
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// The directory of an earlier run, and its configuration with `changes` ("key.path=value") applied.
    pub fn open(path: &Path, changes: &[String]) -> Result<(Self, Config), RunError> {
        let run = Self::at(path);
        run.refuse_orphans()?;
        if files::look(&run.config_path())?.is_none() {
            let message = format!("{} is not the directory of a run: it has no config.toml", path.display());
            return Err(ConfigError::new(message).into());
        }
        let config = Config::read(&run.config_path(), changes)?;
        Ok((run, config))
    }

    /// Whether a run has begun here. If so, it must have this configuration.
    pub fn holds(&self, config: &Config) -> Result<bool, RunError> {
        if files::look(&self.config_path())?.is_none() {
            self.refuse_orphans()?;
            return Ok(false);
        }
        let (_, found) = Self::open(&self.path, &[])?;
        let differences = differences(&found.to_table(), &config.to_table());
        if differences.is_empty() {
            return Ok(true);
        }
        let list = differences.iter().map(|difference| format!("its {difference}")).collect::<Vec<_>>().join("; ");
        Err(ConfigError::new(format!("{} holds a run of another configuration: {list}", self.path.display())).into())
    }

    /// Refuses a directory in which a run has left one of its two halves behind.
    pub(super) fn refuse_orphans(&self) -> Result<(), RunError> {
        let there = |path: &Path| files::look(path).map(|found| found.is_some());
        let (config, checkpoint, summary) = (self.config_path(), self.checkpoint_path(), self.summary_path());
        // The log is there before the first checkpoint, but empty until a step is behind, which comes after that.
        let logged = files::look(&self.metrics_path())?.is_some_and(|log| log.len() > 0);
        let log = logged.then(|| self.metrics_path());
        let trained = log.or(there(&summary)?.then_some(summary));
        let message = match (there(&config)?, there(&checkpoint)?, trained) {
            (true, true, _) | (true, false, None) | (false, false, None) => return Ok(()),
            (true, false, Some(trace)) => format!(
                "{} shows that this run has trained, but its checkpoint.safetensors is gone: put it back, or begin anew in \
                 another directory",
                trace.display()
            ),
            (false, true, _) => format!(
                "{} is a checkpoint without the config.toml of its run: put that back, or move the checkpoint away",
                checkpoint.display()
            ),
            (false, false, Some(trace)) => format!(
                "{} is left of a run whose config.toml and checkpoint are gone: move it away, or choose another directory",
                trace.display()
            ),
        };
        Err(ConfigError::new(message).into())
    }

    /// As it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn config_path(&self) -> PathBuf {
        self.path.join("config.toml")
    }

    /// The last checkpoint, whether there is one or not.
    pub fn checkpoint_path(&self) -> PathBuf {
        self.path.join("checkpoint.safetensors")
    }

    /// The log of metrics, a JSON object a line.
    pub fn metrics_path(&self) -> PathBuf {
        self.path.join("metrics.jsonl")
    }

    /// What the run has taken so far.
    pub fn times_path(&self) -> PathBuf {
        self.path.join("times.json")
    }

    fn summary_path(&self) -> PathBuf {
        self.path.join("summary.json")
    }

    /// The checkpoint, or none if the run was stopped before its first.
    pub fn checkpoint(&self) -> Result<Option<Checkpoint>, RunError> {
        let path = self.checkpoint_path();
        Ok(if files::look(&path)?.is_some() { Some(Checkpoint::read(&path)?) } else { None })
    }

    /// The metrics log: its objects, and a sentence on each line that is none.
    pub fn metrics(&self) -> Result<(Vec<Value>, Vec<String>), RunError> {
        log::read(&self.metrics_path())
    }

    /// The summary, or none if the run has not finished its `iterations`. (One that was extended has a summary of fewer.)
    pub fn summary(&self, iterations: u32) -> Result<Option<Value>, RunError> {
        let path = self.summary_path();
        if files::look(&path)?.is_none() {
            return Ok(None);
        }
        let text = std::fs::read(&path).map_err(|cause| RunError::Io { action: "read", path: path.clone(), cause })?;
        let advice = "remove it, and --resume writes it again";
        let damaged = |error| ConfigError::new(format!("{}: not a whole summary ({error}): {advice}", path.display()));
        let summary: Value = serde_json::from_slice(&text).map_err(damaged)?;
        Ok(Some(summary).filter(|summary| summary["iterations"] == iterations))
    }
}

/// Keys that a run may change between two sessions: where and how it is computed, what is written down, how it is
/// evaluated; nothing that the trained policy depends on but for rounding.
const FREE: [&str; 11] = [
    "engine.kind",
    "engine.adapter",
    "engine.memory_mib",
    "engine.tune",
    "evaluation.every",
    "evaluation.mmd_samples",
    "evaluation.nll_points",
    "evaluation.nll_trajectories",
    "evaluation.samples",
    "training.checkpoint_seconds",
    "training.log_every",
];

/// The key that `--resume --iterations` changes.
pub const LENGTH: &str = "training.iterations";

/// The configuration that a run goes on with: `config`, to which its checkpoint must belong but for the keys that are free
/// and those in `changed`. Where the run was given another length and its config.toml could not be written any more, the
/// length is the checkpoint's. With it comes in what it differs from the checkpoint's.
///
/// # Errors
/// Names every other key in which they differ, with both values.
pub fn agree(
    checkpoint: &Checkpoint,
    mut config: Config,
    changed: &[&str],
) -> Result<(Config, Vec<Difference>), RunError> {
    let own = Config::parse(&checkpoint.text::<String>(Checkpoint::CONFIG)?, &[])
        .map_err(|error| checkpoint.error(format!("its configuration: {error}")))?;
    let left = checkpoint.text::<u32>(Checkpoint::LENGTH_BEFORE).ok();
    if !changed.contains(&LENGTH) && left == Some(config.settings.training.iterations) {
        config.settings.training.iterations = own.settings.training.iterations;
    }
    let free = |difference: &Difference| {
        let key = difference.key.as_str();
        changed.contains(&key) || FREE.contains(&key)
    };
    let found = differences(&config.to_table(), &own.to_table());
    let held: Vec<String> = found.iter().filter(|difference| !free(difference)).map(ToString::to_string).collect();
    if held.is_empty() {
        return Ok((config, found));
    }
    let list = held.join("; ");
    let advice = "the checkpoint was trained with the latter: put config.toml back, or begin another run \
                  (--resume DIR --iterations N changes the length of this one)";
    Err(checkpoint.error(format!("the run's config.toml has changed: {list}; {advice}")).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As with a directory without permissions, which root may enter all the same.
    #[test]
    fn a_directory_that_cannot_be_entered_is_not_one_without_a_run() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let run = RunDirectory::at(file.path());
        let config = Config::parse("target = { kind = 'ising', side = 4, coupling = 0.2 }", &[]).unwrap();
        let found = [
            RunDirectory::open(file.path(), &[]).map(drop),
            run.holds(&config).map(drop),
            run.checkpoint().map(drop),
            run.summary(1).map(drop),
        ];
        for found in found {
            let error = found.unwrap_err();
            assert!(error.to_string().starts_with("cannot look at") && !error.is_bad_usage(), "{error}");
        }
    }
}
