//! A request to stop, and why: raised by whoever may, looked at wherever work can be cut short without losing any.

use std::sync::{Arc, OnceLock};

/// Why work is to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Reason {
    /// Somebody wants it to end.
    Interrupt,
    /// The machine is about to be taken away: whoever started the work should start it again.
    Resubmit,
}

/// A request to stop, shared by its clones. Once raised it stays raised, for the first reason given.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<OnceLock<Reason>>);

/// Work was left off because a [`Stop`] was raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("asked to stop")]
pub struct Stopped(pub Reason);

impl Stop {
    /// Asks for a stop, unless it has been asked for already.
    pub fn raise(&self, reason: Reason) {
        self.0.get_or_init(|| reason);
    }

    /// Why to stop; none as long as nobody asks for it.
    pub fn reason(&self) -> Option<Reason> {
        self.0.get().copied()
    }

    /// An error once it is raised, for work that goes chunk by chunk.
    pub fn check(&self) -> Result<(), Stopped> {
        self.reason().map_or(Ok(()), |reason| Err(Stopped(reason)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_stands_for_every_clone() {
        let stop = Stop::default();
        let clone = stop.clone();
        assert_eq!((stop.reason(), stop.check()), (None, Ok(())));
        clone.raise(Reason::Resubmit);
        stop.raise(Reason::Interrupt);
        assert_eq!((stop.reason(), clone.check()), (Some(Reason::Resubmit), Err(Stopped(Reason::Resubmit))));
    }
}
