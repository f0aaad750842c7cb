//! Ranks that are threads of one process: for tests without MPI.

use std::sync::mpsc::{Receiver, Sender, channel};

use super::Communicator;

/// One of some threads, and its channels to and from all of them.
pub struct Thread {
    rank: usize,
    to: Vec<Sender<Vec<u8>>>,
    from: Vec<Receiver<Vec<u8>>>,
}

/// As many as asked for.
pub fn threads(count: usize) -> Vec<Thread> {
    let mut all: Vec<Thread> = (0..count).map(|rank| Thread { rank, to: Vec::new(), from: Vec::new() }).collect();
    for from in 0..count {
        for to in 0..count {
            let (sender, receiver) = channel();
            all[from].to.push(sender);
            all[to].from.push(receiver);
        }
    }
    all
}

impl Communicator for Thread {
    fn rank(&self) -> usize {
        self.rank
    }

    fn ranks(&self) -> usize {
        self.to.len()
    }

    fn local_rank(&self) -> usize {
        self.rank
    }

    fn local_ranks(&self) -> usize {
        self.to.len()
    }

    fn send(&self, to: usize, bytes: &[u8]) {
        // Rank 0 says goodbye to those that have gone as well.
        let _ = self.to[to].send(bytes.to_vec());
    }

    fn receive(&self, from: usize) -> Vec<u8> {
        self.from[from].recv().expect("the other rank is there")
    }

    fn broadcast(&self, bytes: &mut Vec<u8>) {
        match self.rank {
            0 => (1..self.ranks()).for_each(|rank| self.send(rank, bytes)),
            _ => *bytes = self.receive(0),
        }
    }
}
