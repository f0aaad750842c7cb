//! Which modes of the target training has come upon.

use super::checkpoint::{Checkpoint, CheckpointError};
use crate::process::Objects;
use crate::targets::{Modes, Target};

/// Name of the marks in a checkpoint.
const FOUND: &str = "modes_found";

/// The target's modes, and which of them some trajectory of an iteration has ended in.
pub struct Found {
    modes: Modes,
    reached: Vec<bool>,
}

impl Found {
    /// None is found yet; none at all if the target does not know its modes.
    pub fn begin(target: &dyn Target) -> Option<Self> {
        let modes = target.modes()?;
        Some(Self { reached: vec![false; modes.count], modes })
    }

    /// Modes found so far.
    pub fn count(&self) -> usize {
        self.reached.iter().filter(|&&reached| reached).count()
    }

    /// Whether none is left to be found.
    pub fn is_complete(&self) -> bool {
        self.reached.iter().all(|&reached| reached)
    }

    /// Marks the modes that these objects belong to.
    pub fn visit(&mut self, objects: &Objects) {
        self.modes.mark(objects, &mut self.reached);
    }

    pub fn put(&self, checkpoint: &mut Checkpoint) {
        let marks: Vec<u8> = self.reached.iter().map(|&reached| reached.into()).collect();
        checkpoint.put_bytes(FOUND, &marks);
    }

    /// The marks that [`Found::put`] left.
    pub fn get(&self, checkpoint: &Checkpoint) -> Result<Vec<bool>, CheckpointError> {
        let (marks, count) = (checkpoint.bytes(FOUND)?, self.modes.count);
        if marks.len() != count || marks.iter().any(|&mark| mark > 1) {
            return Err(checkpoint.error(format!("tensor `{FOUND}` is no list of {count} marks of 0 or 1")));
        }
        Ok(marks.iter().map(|&mark| mark == 1).collect())
    }

    pub fn set(&mut self, reached: Vec<bool>) {
        self.reached = reached;
    }
}
