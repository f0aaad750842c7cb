//! A run directory in the hands of the process that writes to it, and of no other.

use std::ops::Deref;
use std::path::{Path, PathBuf};

use super::checkpoint::Checkpoint;
use super::directory::RunDirectory;
use super::error::RunError;
use super::events;
use super::files;
use super::lock::Lock;
use super::log::MetricsLog;
use super::times::Times;
use crate::config::{Config, ConfigError};

/// A run directory, locked. What can be read of it is [`RunDirectory`]'s.
#[derive(Debug)]
pub struct Claim {
    run: RunDirectory,
    lock: Lock,
}

impl Deref for Claim {
    type Target = RunDirectory;

    fn deref(&self) -> &RunDirectory {
        &self.run
    }
}

impl Claim {
    /// Makes the directory of a new run, unless it is there, and writes its configuration.
    ///
    /// # Errors
    /// If it holds a run already, or what is left of one, or somebody is making one there.
    pub fn create(path: &Path, config: &Config) -> Result<Self, RunError> {
        // Looked at before it is locked as well, so that a directory that is refused stays as it is.
        let run = RunDirectory::at(path);
        refuse_occupied(&run)?;
        files::create_directory(path)?;
        let claim = Self { lock: Lock::take(path)?, run };
        refuse_occupied(&claim)?;
        claim.configure(config)?;
        Ok(claim)
    }

    /// The same in the first of `runs/NAME-1`, `runs/NAME-2`, ... that nobody has made yet.
    pub fn create_unused(name: &str, config: &Config) -> Result<Self, RunError> {
        let runs = Path::new("runs");
        files::create_directory(runs)?;
        for number in 1.. {
            let path = runs.join(format!("{name}-{number}"));
            match std::fs::create_dir(&path) {
                // Making a directory is one step: of several processes, one has made it.
                Ok(()) => return Self::create(&path, config),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(cause) => return Err(RunError::Io { action: "create the directory", path, cause }),
            }
        }
        unreachable!("there are names without end")
    }

    /// Takes over the directory of an earlier run, to go on with it. Its configuration comes with `changes`
    /// ("key.path=value") applied.
    pub fn take(path: &Path, changes: &[String]) -> Result<(Self, Config), RunError> {
        // As above.
        RunDirectory::open(path, changes)?;
        let lock = Lock::take(path)?;
        let (run, config) = RunDirectory::open(path, changes)?;
        Ok((Self { run, lock }, config))
    }

    /// Writes the run's configuration.
    pub fn configure(&self, config: &Config) -> Result<(), RunError> {
        self.write("config.toml", config.to_toml().as_bytes())
    }

    /// Writes the run's checkpoint whole or not at all.
    pub fn save(&self, checkpoint: &Checkpoint) -> Result<(), RunError> {
        self.lock.within(|| checkpoint.write(&self.checkpoint_path()))
    }

    /// Writes how long the run has taken so far.
    pub fn time(&self, times: &Times) -> Result<(), RunError> {
        self.lock.within(|| times.write(&self.times_path()))
    }

    /// Writes a file of the run whole or not at all.
    pub fn write(&self, name: &str, contents: &[u8]) -> Result<(), RunError> {
        self.lock.within(|| files::write(&self.path().join(name), contents))
    }

    /// How long the run has taken so far, and a sentence where that is lost.
    pub fn times(&self) -> (Times, Option<String>) {
        Times::read(&self.times_path())
    }

    /// Removes what a killed process left half-written, and opens the metrics log after its first `lines` lines.
    pub fn log(&self, lines: u64) -> Result<MetricsLog, RunError> {
        files::sweep(self.path())?;
        MetricsLog::open(&self.metrics_path(), lines)
    }
}

fn refuse_occupied(run: &RunDirectory) -> Result<(), RunError> {
    if files::look(&run.config_path())?.is_some() {
        let shown = run.path().display();
        let message =
            format!("{shown} already holds a run: continue it with --resume {shown}, or choose another --out");
        return Err(ConfigError::new(message).into());
    }
    run.refuse_orphans()?;
    // What is not there yet has nothing to lose; what cannot be read says so when it is written to.
    let Ok(entries) = std::fs::read_dir(run.path()) else { return Ok(()) };
    let replaced = |path: &PathBuf| {
        path.ends_with("report.html")
            || path.ends_with("times.json")
            || path.extension().is_some_and(|end| end == "png")
            || path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(events::PREFIX))
    };
    match entries.flatten().map(|entry| entry.path()).find(replaced) {
        Some(path) => {
            let shown = path.display();
            let message =
                format!("{shown} is no run's, and one could replace it: move it away, or choose another --out");
            Err(ConfigError::new(message).into())
        }
        None => Ok(()),
    }
}

/// A directory of other results, those of a suite or of `variance`, locked as a whole.
#[derive(Debug)]
pub struct Shelf {
    path: PathBuf,
    lock: Lock,
}

impl Shelf {
    /// Makes the directory, unless it is there, and claims it.
    pub fn claim(path: &Path) -> Result<Self, RunError> {
        files::create_directory(path)?;
        let shelf = Self { path: path.to_owned(), lock: Lock::take(path)? };
        files::sweep(path)?;
        Ok(shelf)
    }

    /// Makes the directory, unless it is there, and claims it together with others who share it: against those who
    /// [`claim`](Self::claim) it.
    pub fn share(path: &Path) -> Result<Self, RunError> {
        files::create_directory(path)?;
        Ok(Self { path: path.to_owned(), lock: Lock::share(path)? })
    }

    /// The directory, if it is still where it was claimed.
    pub fn path(&self) -> Result<&Path, RunError> {
        self.lock.check()?;
        Ok(&self.path)
    }

    /// Writes a file of it whole or not at all.
    pub fn write(&self, name: &str, contents: &[u8]) -> Result<(), RunError> {
        Ok(files::write(&self.path()?.join(name), contents)?)
    }
}
