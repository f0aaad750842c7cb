//! The ranks other than rank 0.

use std::sync::Arc;

use super::Ranks;
#[cfg(feature = "cli")]
use super::message::Experiment;
use super::message::{Answer, Command, Fault, pack, unpack};
use super::rank::Rank;
use crate::engine::{Engine, EngineError};
use crate::targets::Target;

/// Carries out what rank 0 says, to the end, on the engine that `build` makes.
///
/// Errors are told to rank 0, whose they are then: that of `build` too.
pub fn serve(ranks: Ranks, target: Arc<dyn Target>, build: impl FnOnce() -> Result<Box<dyn Engine>, EngineError>) {
    match build() {
        Ok(engine) => obey(Rank { engine, target, ranks, whole: 0 }),
        Err(error) => refuse(&ranks, &error),
    }
}

fn obey(mut rank: Rank) {
    loop {
        let command: Command = unpack(&rank.ranks.communicator.receive(0));
        let list = if command.has_list() { rank.hear() } else { Vec::new() };
        match command {
            Command::End => return,
            Command::Reward => rank.target.energy_model().iter().for_each(|model| model.set_parameters(&list)),
            // What is wrong with a rank's share is passed on with the sum.
            sum if Rank::is_sum(&sum) => drop(rank.sum(&sum, &list)),
            other => {
                let answer = rank.answer(other, &list);
                rank.ranks.communicator.send(0, &pack(&answer));
            }
        }
    }
}

/// Tells rank 0, which asks for nothing else before it knows that all ranks have engines, why this one has none.
fn refuse(ranks: &Ranks, error: &EngineError) {
    let communicator = ranks.communicator.as_ref();
    while let Command::Compare = unpack(&communicator.receive(0)) {
        let fault = Fault::of(error, communicator.rank());
        communicator.send(0, &pack(&Answer { found: Err(fault), stop: None }));
    }
}

/// What a program does that hands its ranks an experiment, in place of building the same on each.
#[cfg(feature = "cli")]
impl Ranks {
    /// On rank 0: tells the others what is to be built.
    pub(crate) fn tell(&self, experiment: Experiment) {
        let message = pack(&Command::Begin(experiment));
        self.others().for_each(|rank| self.communicator.send(rank, &message));
    }

    /// On the others: what is to be built; none if rank 0 has ended before it knew.
    pub(crate) fn told(&self) -> Option<Experiment> {
        match unpack(&self.communicator.receive(0)) {
            Command::Begin(experiment) => Some(experiment),
            _ => None,
        }
    }

    /// On the others: lets rank 0 know why nothing can be built.
    pub(crate) fn refuse(&self, error: &EngineError) {
        refuse(self, error);
    }
}
