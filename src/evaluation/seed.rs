//! Which random numbers an evaluation is made of.

use crate::random::{Stream, derived};

/// The random numbers of an evaluation: forward samples, backward orders, samples of the target and the burn-in of their
/// chains, data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seed {
    /// Those of a run's own evaluations, on the way and at its end.
    Own,
    /// Others for each number, independent of the run's own and of each other's.
    Fresh(u64),
}

impl Seed {
    /// What takes the place of a run's seed in everything that the evaluation draws.
    pub fn of(self, run: u64) -> u64 {
        match self {
            Seed::Own => run,
            Seed::Fresh(number) => derived(run, Stream::EvaluationSeed, number),
        }
    }
}
