//! Why a run directory cannot be used.

use std::path::PathBuf;

use super::checkpoint::CheckpointError;
use super::files::FileError;
use crate::config::ConfigError;

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
    #[error("{} is in use by {holder}: wait for its end, or choose another directory", path.display())]
    Held { path: PathBuf, holder: String },
    #[error(
        "{} was moved or removed while it was being written to: nothing more is written there. Where it is now it has \
         everything up to the last checkpoint, and the work can go on from there",
        path.display()
    )]
    Moved { path: PathBuf },
    #[error(
        "{} has {found} whole lines, and the checkpoint beside it counts {expected}: put the log back as it was, or remove it \
         to go on without it",
        path.display()
    )]
    Log { path: PathBuf, found: u64, expected: u64 },
}

impl RunError {
    /// Whether what was asked for is wrong, not how it went.
    pub fn is_bad_usage(&self) -> bool {
        !matches!(self, Self::File(_) | Self::Io { .. } | Self::Moved { .. })
    }
}
