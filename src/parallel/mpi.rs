//! Ranks that are processes of an MPI job.

use mpi::Threading;
use mpi::environment::Universe;
use mpi::topology::{Communicator as _, SimpleCommunicator};
use mpi::traits::{Destination, Root, Source};

use super::{Communicator, Ranks};

/// Bytes of a message at most: MPI counts in 32 bits with a sign.
const AT_ONCE: usize = 1 << 30;

/// MPI, begun. It ends with this, which has to outlive the job's [`Ranks`].
pub struct Job(Universe);

impl Job {
    /// Begins; none if MPI has been begun before in this process.
    ///
    /// From now on a panic ends the job, the other ranks too.
    pub fn begin() -> Option<Self> {
        // Only one thread at a time has the communicator: whichever has the trainer.
        let (universe, _) = mpi::initialize_with_threading(Threading::Serialized)?;
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            usual(panic);
            SimpleCommunicator::world().abort(101);
        }));
        Some(Self(universe))
    }

    /// The job's ranks; none if this process is alone.
    pub fn ranks(&self) -> Option<Ranks> {
        let world = self.0.world();
        if world.size() == 1 {
            return None;
        }
        let local = world.split_shared(world.rank());
        let number = |rank: i32| rank as usize;
        let local = (number(local.rank()), number(local.size()));
        Some(Ranks::new(World { rank: number(world.rank()), ranks: number(world.size()), local }))
    }
}

/// All processes of the job, seen from one of them. (MPI's own handle of them is the process's, and any thread may ask
/// for it.)
struct World {
    rank: usize,
    ranks: usize,
    local: (usize, usize),
}

impl Communicator for World {
    fn rank(&self) -> usize {
        self.rank
    }

    fn ranks(&self) -> usize {
        self.ranks
    }

    fn local_rank(&self) -> usize {
        self.local.0
    }

    fn local_ranks(&self) -> usize {
        self.local.1
    }

    fn send(&self, to: usize, bytes: &[u8]) {
        let world = SimpleCommunicator::world();
        let other = world.process_at_rank(to as i32);
        other.send(&(bytes.len() as u64));
        bytes.chunks(AT_ONCE).for_each(|part| other.send(part));
    }

    fn receive(&self, from: usize) -> Vec<u8> {
        let world = SimpleCommunicator::world();
        let other = world.process_at_rank(from as i32);
        let (length, _) = other.receive::<u64>();
        let mut bytes = vec![0; length as usize];
        bytes.chunks_mut(AT_ONCE).for_each(|part| {
            other.receive_into(part);
        });
        bytes
    }

    fn broadcast(&self, bytes: &mut Vec<u8>) {
        let world = SimpleCommunicator::world();
        let first = world.process_at_rank(0);
        let mut length = bytes.len() as u64;
        first.broadcast_into(&mut length);
        bytes.resize(length as usize, 0);
        bytes.chunks_mut(AT_ONCE).for_each(|part| first.broadcast_into(part));
    }
}
