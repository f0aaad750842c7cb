//! A request to stop, and why: raised by whoever may, looked at wherever work can be cut short without losing any.

use std::fmt;
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
#[derive(Clone, Default)]
pub struct Stop(Arc<Request>);

#[derive(Default)]
struct Request {
    raised: OnceLock<Reason>,
    /// Who may have a reason that nobody raises.
    watch: Option<Box<dyn Fn() -> Option<Reason> + Send + Sync>>,
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_tuple("Stop").field(&self.0.raised.get()).finish()
    }
}

/// Work was left off because a [`Stop`] was raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("asked to stop")]
pub struct Stopped(pub Reason);

impl Stop {
    /// A request that `watch` raises as well: it is asked wherever work looks at the request, by the thread that looks. For
    /// signals that a host of this library notes, and tells when asked.
    pub fn watching(watch: impl Fn() -> Option<Reason> + Send + Sync + 'static) -> Self {
        Self(Arc::new(Request { raised: OnceLock::new(), watch: Some(Box::new(watch)) }))
    }

    /// Asks for a stop, unless it has been asked for already.
    pub fn raise(&self, reason: Reason) {
        self.0.raised.get_or_init(|| reason);
    }

    /// Why to stop; none as long as nobody asks for it.
    pub fn reason(&self) -> Option<Reason> {
        let raised = || self.0.raised.get().copied();
        if raised().is_none()
            && let Some(reason) = self.0.watch.as_ref().and_then(|watch| watch())
        {
            self.raise(reason);
        }
        raised()
    }

    /// An error once it is raised, for work that goes chunk by chunk.
    pub fn check(&self) -> Result<(), Stopped> {
        self.reason().map_or(Ok(()), |reason| Err(Stopped(reason)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::sync::atomic::Ordering::Relaxed;

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

    #[test]
    fn who_watches_is_asked_until_there_is_a_reason() {
        let asked = Arc::new(AtomicUsize::new(0));
        let seen = asked.clone();
        let stop = Stop::watching(move || (seen.fetch_add(1, Relaxed) >= 2).then_some(Reason::Interrupt));
        let found: Vec<_> = (0..5).map(|_| stop.clone().reason()).collect();
        assert_eq!(found, [None, None, Some(Reason::Interrupt), Some(Reason::Interrupt), Some(Reason::Interrupt)]);
        assert_eq!(asked.load(Relaxed), 3);
        let raised = Stop::watching(|| panic!("asked though it is raised"));
        raised.raise(Reason::Resubmit);
        assert_eq!(raised.reason(), Some(Reason::Resubmit));
    }
}
