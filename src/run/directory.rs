//! A run directory: the resolved configuration, the metrics log, the checkpoint, the summary and the report.
//!
//! Whatever moment a run is killed at, its directory resumes: the configuration is written before anything else, the
//! checkpoint is replaced whole, and the log is cut back to the checkpoint when a run resumes.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;
use toml::Table;

use super::checkpoint::{Checkpoint, CheckpointError};
use super::files::{self, FileError};
use crate::config::{Config, ConfigError};

/// Why a run directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error(transparent)]
    File(#[from] FileError),
    #[error("cannot {action} {}: {cause}", path.display())]
    Io { action: &'static str, path: PathBuf, cause: std::io::Error },
}

/// The files of one run.
#[derive(Clone, Debug)]
pub struct RunDirectory {
    path: PathBuf,
}

impl RunDirectory {
    /// Makes a directory for a new run and writes its configuration. A directory that already holds a run is refused.
    pub fn create(path: &Path, config: &Config) -> Result<Self, RunError> {
        let run = Self { path: path.to_owned() };
        if run.config_path().exists() {
            let shown = path.display();
            let message =
                format!("{shown} already holds a run: continue it with --resume {shown}, or choose another --out");
            return Err(ConfigError::new(message).into());
        }
        files::create_directory(path)?;
        files::write(&run.config_path(), config.to_toml().as_bytes())?;
        Ok(run)
    }

    /// Opens the directory of an earlier run and reads its configuration.
    pub fn open(path: &Path) -> Result<(Self, Config), RunError> {
        let run = Self { path: path.to_owned() };
        if !run.config_path().exists() {
            let message = format!("{} is not the directory of a run: it has no config.toml", path.display());
            return Err(ConfigError::new(message).into());
        }
        let config = Config::read(&run.config_path(), &[])?;
        Ok((run, config))
    }

    /// The run at `path`, if there is one; it must have this configuration.
    pub fn find(path: &Path, config: &Config) -> Result<Option<Self>, RunError> {
        if !path.join("config.toml").exists() {
            return Ok(None);
        }
        let (run, found) = Self::open(path)?;
        match difference("", &found.to_table(), &config.to_table()) {
            None => Ok(Some(run)),
            Some(difference) => {
                let shown = path.display();
                let message = format!("{shown} holds a run of another configuration: {difference}");
                Err(ConfigError::new(message).into())
            }
        }
    }

    /// The first of `runs/NAME-1`, `runs/NAME-2`, ... that does not exist.
    pub fn unused(name: &str) -> PathBuf {
        let mut candidates = (1..).map(|number| Path::new("runs").join(format!("{name}-{number}")));
        candidates.find(|path| !path.exists()).expect("there are names without end")
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    fn config_path(&self) -> PathBuf {
        self.path.join("config.toml")
    }

    pub fn checkpoint_path(&self) -> PathBuf {
        self.path.join("checkpoint.safetensors")
    }

    pub fn metrics_path(&self) -> PathBuf {
        self.path.join("metrics.jsonl")
    }

    /// The checkpoint, or none if the run was stopped before its first.
    pub fn checkpoint(&self) -> Result<Option<Checkpoint>, RunError> {
        let path = self.checkpoint_path();
        Ok(if path.exists() { Some(Checkpoint::read(&path)?) } else { None })
    }

    /// Writes a file of the run whole or not at all.
    pub fn write(&self, name: &str, contents: &[u8]) -> Result<(), RunError> {
        Ok(files::write(&self.path.join(name), contents)?)
    }

    /// The lines of the metrics log below iteration `end`; a line cut off by a kill is dropped.
    pub fn metrics(&self, end: u32) -> Result<Vec<Value>, RunError> {
        let path = self.metrics_path();
        if !path.exists() {
            return Ok(Vec::new());
        }
        let failed = |cause| RunError::Io { action: "read", path: path.clone(), cause };
        let mut lines = Vec::new();
        for line in BufReader::new(File::open(&path).map_err(failed)?).split(b'\n') {
            let Ok(value) = serde_json::from_slice::<Value>(&line.map_err(failed)?) else { break };
            if value["iteration"].as_u64().is_none_or(|iteration| iteration >= u64::from(end)) {
                break;
            }
            lines.push(value);
        }
        Ok(lines)
    }

    /// The summary, or none if the run has not finished.
    pub fn summary(&self) -> Result<Option<Value>, RunError> {
        let path = self.path.join("summary.json");
        if !path.exists() {
            return Ok(None);
        }
        let text = std::fs::read(&path).map_err(|cause| RunError::Io { action: "read", path: path.clone(), cause })?;
        let damaged = |error| ConfigError::new(format!("{}: not a summary: {error}", path.display()));
        Ok(Some(serde_json::from_slice(&text).map_err(damaged)?))
    }

    /// Takes the directory over for a process that trains from iteration `start` on: removes what a killed one left
    /// half-written, cuts the metrics log back to the iterations before `start`, and opens it for appending.
    pub fn log(&self, start: u32) -> Result<MetricsLog, RunError> {
        files::sweep(&self.path)?;
        let kept = self.metrics(start)?;
        let path = self.metrics_path();
        let text: String = kept.iter().map(|line| format!("{line}\n")).collect();
        files::write(&path, text.as_bytes())?;
        let open = OpenOptions::new().append(true).open(&path);
        let file = open.map_err(|cause| RunError::Io { action: "append to", path: path.clone(), cause })?;
        Ok(MetricsLog { file: BufWriter::new(file), path })
    }
}

/// The first key below `path` in which two configurations differ, in words.
fn difference(path: &str, found: &Table, wanted: &Table) -> Option<String> {
    let keys: BTreeSet<&String> = found.keys().chain(wanted.keys()).collect();
    keys.into_iter().find_map(|key| match (found.get(key), wanted.get(key)) {
        (Some(toml::Value::Table(found)), Some(toml::Value::Table(wanted))) => {
            difference(&format!("{path}{key}."), found, wanted)
        }
        (found, wanted) if found == wanted => None,
        (found, wanted) => {
            let shown = |value: Option<&toml::Value>| value.map_or("unset".into(), |value| value.to_string());
            Some(format!("its {path}{key} is {}, not {}", shown(found), shown(wanted)))
        }
    })
}

/// The metrics log of a run in progress: one JSON object a line.
pub struct MetricsLog {
    file: BufWriter<File>,
    path: PathBuf,
}

impl MetricsLog {
    /// Appends a line and hands it to the operating system, so that a killed run keeps it.
    pub fn append(&mut self, line: &Value) -> Result<(), RunError> {
        let written = writeln!(self.file, "{line}").and_then(|()| self.file.flush());
        written.map_err(|cause| RunError::Io { action: "append to", path: self.path.clone(), cause })
    }
}
