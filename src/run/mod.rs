//! What a run leaves behind: the files of its directory, and how they are written.

pub mod files;
pub mod samples;
