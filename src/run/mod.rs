//! What a run leaves behind: the files of its directory, and how they are written.

pub mod checkpoint;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod claim;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod claims;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod directory;
pub mod error;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod events;
pub mod files;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod lock;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod log;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod samples;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod times;
