//! What a run leaves behind: the files of its directory, and how they are written.

pub mod checkpoint;
pub mod claim;
pub mod directory;
pub mod error;
pub mod files;
pub mod lock;
pub mod log;
pub mod samples;
pub mod times;
