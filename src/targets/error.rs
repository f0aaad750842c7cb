//! What a target cannot do or be.

use crate::out_of_range::OutOfRange;

/// Why a target cannot be made, or does not say what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// A number that it is made of, or one of its sizes.
    #[error(transparent)]
    OutOfRange(#[from] OutOfRange),
    /// What is not known of it, or not in reasonable time: a sentence that says what and why.
    #[error("{0}")]
    Unknown(String),
    /// A sampler's state that is not one of this target's: what was found, and what it should be.
    #[error("{0}")]
    State(String),
}

impl TargetError {
    /// Something that is not known of it, and why.
    pub fn unknown(reason: impl Into<String>) -> Self {
        Self::Unknown(reason.into())
    }

    pub(crate) fn out_of_range(message: impl Into<String>) -> Self {
        Self::OutOfRange(OutOfRange::new(message))
    }
}
