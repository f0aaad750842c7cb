//! What a run leaves behind: the files of its directory, and how they are written.

pub mod checkpoint;
#[cfg(feature = "cli")]
pub mod claim;
#[cfg(feature = "cli")]
pub mod directory;
pub mod error;
pub mod files;
#[cfg(feature = "cli")]
pub mod lock;
#[cfg(feature = "cli")]
pub mod log;
#[cfg(feature = "cli")]
pub mod samples;
#[cfg(feature = "cli")]
pub mod times;
