//! `target.kind = "own"`: log R is a function of whoever trains, in another program or language than this one.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::ConfigError;
use crate::out_of_range::OutOfRange;
use crate::targets::{SITES, Target, VALUES};

/// The sizes of a target that the file does not describe: it is handed to the session (`Session::with_target`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnConfig {
    /// Sites of an object, 1 to 2^24 - 1.
    pub sites: usize,
    /// Values of a site, 2 to 256.
    pub values: usize,
}

impl OwnConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        for (key, found, allowed) in [("sites", self.sites, SITES), ("values", self.values, VALUES)] {
            if !allowed.contains(&found) {
                let (first, last) = (allowed.start(), allowed.end());
                return Err(OutOfRange::new(format!("target.{key} = {found}: must be {first} to {last}")).into());
            }
        }
        Ok(())
    }

    /// There is nothing to build it of.
    pub(super) fn build(&self) -> Result<Arc<dyn Target>, ConfigError> {
        Err(ConfigError::new(
            "target.kind = \"own\": log R is a function that is in no file, and has to be given along: in \
             Python by target=... of wgflow.train or wgflow.Run.open",
        ))
    }
}
