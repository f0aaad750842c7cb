//! What a number or a combination of settings is refused with.

/// A setting out of its range, or one that does not go with the others: names the key, what was found and what is allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct OutOfRange(String);

impl OutOfRange {
    /// An error of this text.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}
