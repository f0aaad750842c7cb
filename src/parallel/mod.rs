//! One training on several processes, the ranks, each with an engine of its own and a share of every batch.
//!
//! Rank 0 leads: it alone runs the training, the program that a single process runs, on an engine (`Shared`) that is
//! all ranks' engines together; it alone reads the experiment, writes the run directory and decides when to stop. The
//! others (`serve`) carry out what it tells them:
//!
//! - a rollout: each rank rolls out the trajectories of its blocks, whose numbers, and so whose random numbers, are
//!   those of the whole batch; rank 0 gathers their log-probabilities and makes the coefficients of all of them;
//! - a sum over the batch, such as a gradient: each rank adds up its own blocks, and ranks add up the rest in the tree
//!   over all blocks that a single process adds them up in (`sums`), so that the native engine gives the same bits on
//!   any number of ranks;
//! - other parameters: broadcast.
//!
//! So there is nothing on which ranks would have to agree, nothing that they could come apart in, and nothing above the
//! engine that knows of them. What carries the messages is a [`Communicator`]: MPI (`mpi.rs`, with the feature `mpi`),
//! or whatever one has.

mod message;
#[cfg(feature = "mpi")]
mod mpi;
mod rank;
mod reduce;
mod serve;
mod shared;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod threads;

use std::ops::Range;

#[cfg(feature = "mpi")]
pub use self::mpi::Job;
#[cfg(feature = "cli")]
pub(crate) use message::Experiment;
pub(crate) use serve::serve;
pub(crate) use shared::Shared;

use crate::engine::BLOCK;
use crate::stop::Stop;

/// Carries bytes between the ranks of a job. What one rank sends another arrives whole and in order.
///
/// A rank that has gone ends the job: no method returns without having done its work.
pub trait Communicator: Send {
    /// Number of this rank, from 0.
    fn rank(&self) -> usize;

    /// How many there are.
    fn ranks(&self) -> usize;

    /// Number of this rank among those on the same machine, by which it takes one of that machine's GPUs.
    fn local_rank(&self) -> usize;

    /// How many there are on the same machine, which share its memory.
    fn local_ranks(&self) -> usize;

    /// Sends to another rank; may wait until that receives.
    fn send(&self, to: usize, bytes: &[u8]);

    /// The next that another rank sends.
    fn receive(&self, from: usize) -> Vec<u8>;

    /// Gives every rank the bytes of rank 0.
    fn broadcast(&self, bytes: &mut Vec<u8>);
}

/// The ranks of a job, as one of them sees them: for [`Builder::ranks`](crate::Builder::ranks).
pub struct Ranks {
    communicator: Box<dyn Communicator>,
    stop: Stop,
}

impl Ranks {
    /// Those that `communicator` reaches.
    pub fn new(communicator: impl Communicator + 'static) -> Self {
        Self { communicator: Box::new(communicator), stop: Stop::default() }
    }

    /// On rank 0, `stop` is raised as well when it is on any other rank; on the others, this one is told to rank 0.
    pub fn heeding(mut self, stop: &Stop) -> Self {
        self.stop = stop.clone();
        self
    }

    /// Whether this is rank 0.
    pub fn leads(&self) -> bool {
        self.communicator.rank() == 0
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.communicator.ranks()
    }

    /// Number of this rank among those on this machine, and how many these are.
    pub(crate) fn local(&self) -> (usize, usize) {
        (self.communicator.local_rank(), self.communicator.local_ranks())
    }

    /// The other ranks, seen from rank 0.
    fn others(&self) -> Range<usize> {
        1..self.count()
    }
}

impl Drop for Ranks {
    /// However rank 0 ends, the others end too.
    fn drop(&mut self) {
        if self.leads() && !std::thread::panicking() {
            let end = message::pack(&message::Command::End);
            self.others().for_each(|rank| self.communicator.send(rank, &end));
        }
    }
}

/// The blocks of rank number `rank` among all `blocks` of a batch: as many as the others have, or one more.
fn blocks_of(rank: usize, ranks: usize, blocks: usize) -> Range<usize> {
    (blocks * rank).div_ceil(ranks)..(blocks * (rank + 1)).div_ceil(ranks)
}

/// Its rows among `count`: whole blocks of [`BLOCK`], but for the last row of all.
fn rows_of(rank: usize, ranks: usize, count: usize) -> Range<usize> {
    let Range { start, end } = blocks_of(rank, ranks, count.div_ceil(BLOCK));
    count.min(start * BLOCK)..count.min(end * BLOCK)
}
