//! What replicas of a training agree on.

use crate::engine::EngineError;

/// Sums over all replicas of a training, each of which has rolled out its own part of the batch.
pub trait Reduce: Send {
    /// Replaces every number by its sum over all replicas, in the same order for all of them.
    fn sum(&mut self, numbers: &mut [f64]) -> Result<(), EngineError>;

    /// Whether there is one replica, whose numbers stay as they are.
    fn is_alone(&self) -> bool {
        false
    }
}

/// The only replica there is.
pub struct Alone;

impl Reduce for Alone {
    fn sum(&mut self, _: &mut [f64]) -> Result<(), EngineError> {
        Ok(())
    }

    fn is_alone(&self) -> bool {
        true
    }
}
