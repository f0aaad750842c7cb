//! Why a run directory cannot be used.

use std::path::PathBuf;

use super::checkpoint::CheckpointError;
use super::files::FileError;
use crate::config::ConfigError;

/// Why a run directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// Its configuration is at fault.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Its checkpoint is.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A file could not be written or read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The system refused something else.
    #[error("cannot {action} {}: {cause}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system says.
        cause: std::io::Error,
    },
    /// Another process works in it.
    #[error("{} is in use by {holder}: wait for its end, or choose another directory", path.display())]
    Held {
        /// The directory.
        path: PathBuf,
        /// Who works in it, for people.
        holder: String,
    },
    /// It is no longer where it was.
    #[error(
        "{} was moved or removed while it was being written to: nothing more is written there. Where it is now it has \
         everything up to the last checkpoint, and the work can go on from there",
        path.display()
    )]
    Moved {
        /// Where the directory was.
        path: PathBuf,
    },
    /// Its log and its checkpoint contradict each other.
    #[error(
        "{} has {found} whole lines, and the checkpoint beside it counts {expected}: put the log back as it was, or remove it \
         to go on without it",
        path.display()
    )]
    Log {
        /// The log.
        path: PathBuf,
        /// Whole lines in it.
        found: u64,
        /// Lines that the checkpoint counts.
        expected: u64,
    },
}

impl RunError {
    /// Whether what was asked for is wrong, not how it went.
    pub fn is_bad_usage(&self) -> bool {
        !matches!(self, Self::File(_) | Self::Io { .. } | Self::Moved { .. })
    }
}
