//! Where in a run an iteration stands. Everything that changes over a run is a function of this alone.

/// One of a run's iterations, numbered from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Which one.
    pub iteration: u32,
    /// Iterations of the whole run, however many of them this process carries out.
    pub total: u32,
}

impl Progress {
    /// 0 at the first iteration, 1 at the last, linear in between; 0 for a run of one iteration.
    pub fn fraction(&self) -> f64 {
        let last = self.total.saturating_sub(1).max(1);
        f64::from(self.iteration.min(last)) / f64::from(last)
    }
}
