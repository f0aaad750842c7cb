//! Rank 0's engine: all ranks' engines together.

use std::ops::Range;
use std::sync::Arc;

use super::message::{Actions, Answer, Command, Found, Likeness, Share, bytes_of, pack, unpack};
use super::rank::Rank;
use super::{Ranks, rows_of};
use crate::engine::{
    Batch, Coefficients, Counts, Differentiate, Engine, EngineError, Moments, Roll, Rollout, StepCoefficients, check,
};
use crate::network::Arrangement;
use crate::process::{Objects, Process, Trajectories};
use crate::targets::Target;

/// An engine of which each rank rolls out and differentiates its own blocks.
pub struct Shared {
    rank: Rank,
    process: Arc<dyn Process>,
    /// The version of the target's network that the other ranks have.
    reward: Option<u64>,
}

impl Shared {
    /// Of this engine and those of all other ranks, which have to be serving.
    ///
    /// # Errors
    /// What kept a rank from having an engine; `Limit` if it has one of another kind, or another target.
    pub fn new(
        engine: Box<dyn Engine>,
        process: Arc<dyn Process>,
        target: Arc<dyn Target>,
        ranks: Ranks,
    ) -> Result<Self, EngineError> {
        let mut shared = Self { rank: Rank { engine, target, ranks, whole: 0 }, process, reward: None };
        let found = shared.ask(|_| Command::Compare, &[])?;
        let own = shared.rank.likeness();
        for (rank, found) in found.into_iter().enumerate() {
            let Found::Likeness(likeness) = found else { unreachable!("asked for its likeness") };
            agree(&own, &likeness, rank)?;
        }
        Ok(shared)
    }

    /// Has every rank carry out its command, of which the rank's number is given to `command`; what each found, in the
    /// order of ranks. An error of any is the outcome, once all have answered.
    fn ask(&mut self, command: impl Fn(usize) -> Command, list: &[f64]) -> Result<Vec<Found>, EngineError> {
        self.send(&command, list);
        let own = self.rank.carry_out(command(0), list);
        let mut found = Vec::new();
        let mut fault = None;
        for rank in self.rank.ranks.others() {
            let answer: Answer = unpack(&self.rank.ranks.communicator.receive(rank));
            if let Some(reason) = answer.stop {
                self.rank.ranks.stop.raise(reason);
            }
            match answer.found {
                Ok(answer) => found.push(answer),
                Err(other) => fault = fault.or(Some(other)),
            }
        }
        found.insert(0, own?);
        fault.map_or(Ok(found), |fault| Err(fault.error()))
    }

    /// The sum of what every rank's command is about; zeros, `length` of them, where there is nothing.
    fn sum(
        &mut self,
        command: impl Fn(usize) -> Command,
        list: &[f64],
        length: usize,
    ) -> Result<Vec<f64>, EngineError> {
        self.send(&command, list);
        let sum = self.rank.sum(&command(0), list)?;
        Ok(sum.unwrap_or_else(|| vec![0.0; length]))
    }

    fn send(&self, command: &impl Fn(usize) -> Command, list: &[f64]) {
        let ranks = &self.rank.ranks;
        ranks.others().for_each(|rank| ranks.communicator.send(rank, &pack(&command(rank))));
        if command(0).has_list() {
            ranks.communicator.broadcast(&mut bytes_of(list));
        }
    }

    /// Gives the other ranks the parameters of the target's network, where they have others.
    fn refresh(&mut self) -> Result<(), EngineError> {
        let Some(network) = self.rank.target.network() else { return Ok(()) };
        if self.reward == Some(network.version) {
            return Ok(());
        }
        if self.rank.target.energy_model().is_some() {
            self.send(&|_| Command::Reward, &network.parameters);
        } else if self.reward.is_some() {
            let message = "the target's network has other parameters now, which other ranks cannot be given: it needs \
                           an energy model (Target::energy_model) for that";
            return Err(EngineError::Limit(message.into()));
        }
        self.reward = Some(network.version);
        Ok(())
    }

    fn rows(&self, rank: usize, count: usize) -> Range<usize> {
        rows_of(rank, self.rank.ranks.count(), count)
    }

    /// What differentiating the batch held needs, beyond what each rank sees for itself.
    fn check(&self, coefficients: &Coefficients) -> Result<(), EngineError> {
        check::weights(coefficients, self.rank.whole, self.process.max_steps())
    }

    fn objects_of(&self, rank: usize, objects: &Objects) -> Vec<u8> {
        let (rows, sites) = (self.rows(rank, objects.count()), objects.sites());
        objects.values()[rows.start * sites..rows.end * sites].to_vec()
    }
}

impl Roll for Shared {
    fn name(&self) -> String {
        format!("{}, on {} ranks", self.rank.engine.name(), self.rank.ranks.count())
    }

    fn adapter(&self) -> String {
        self.rank.engine.adapter()
    }

    fn counts(&self) -> Option<Counts> {
        self.rank.engine.counts()
    }

    fn rollout(&mut self, request: &Rollout) -> Result<Batch, EngineError> {
        check::request(self.process.as_ref(), request)?;
        self.refresh()?;
        let shares: Vec<Range<usize>> =
            (0..self.rank.ranks.count()).map(|rank| self.rows(rank, request.count)).collect();
        let share = |rank: usize| {
            let rows = &shares[rank];
            let mut draw = request.draw;
            draw.first_trajectory = draw.first_trajectory.wrapping_add(rows.start as u32);
            let given = request.given.map(|given| {
                let max_steps = given.trajectories.max_steps();
                let actions = given.trajectories.actions()[rows.start * max_steps..rows.end * max_steps].to_vec();
                Actions { max_steps, actions, scored_from: given.scored_from, sampled_from: given.sampled_from }
            });
            let Rollout { count: whole, keep, stepwise, behaviour, .. } = *request;
            Command::Rollout(Share { whole, draw, count: rows.len(), given, keep, stepwise, behaviour })
        };
        let found = self.ask(share, &[])?;
        let mut whole = Batch::default();
        for (found, rows) in found.into_iter().zip(shares) {
            let Found::Batch(batch) = found else { unreachable!("asked for a batch") };
            if rows.start == 0 || !rows.is_empty() {
                whole.extend(batch);
            }
        }
        Ok(whole)
    }

    fn trajectories(&mut self) -> Result<Trajectories, EngineError> {
        let found = self.ask(|_| Command::Actions, &[])?;
        let actions = found.into_iter().flat_map(|found| match found {
            Found::Actions(actions) => actions,
            _ => unreachable!("asked for actions"),
        });
        Ok(Trajectories::new(self.process.max_steps(), actions.collect()))
    }

    fn objects(&mut self) -> Result<Objects, EngineError> {
        let found = self.ask(|_| Command::Objects, &[])?;
        let values = found.into_iter().flat_map(|found| match found {
            Found::Values(values) => values,
            _ => unreachable!("asked for values"),
        });
        Ok(Objects::new(self.process.sites(), values.collect()))
    }

    fn log_reward(&mut self, objects: &Objects) -> Result<Vec<f64>, EngineError> {
        check::objects(self.rank.target.sites(), self.rank.target.values(), objects)?;
        self.refresh()?;
        let shares: Vec<_> = (0..self.rank.ranks.count()).map(|rank| self.objects_of(rank, objects)).collect();
        let found = self.ask(|rank| Command::LogReward(shares[rank].clone()), &[])?;
        Ok(numbers(found))
    }

    fn reward_gradient(&mut self, objects: &Objects, coefficients: &[f64]) -> Result<Vec<f64>, EngineError> {
        check::objects(self.rank.target.sites(), self.rank.target.values(), objects)?;
        check::coefficients(coefficients, objects.count(), "objects")?;
        let none = || EngineError::Limit("this target's log R is not a network: it has no parameters".into());
        let length = self.rank.target.network().ok_or_else(none)?.parameters.len();
        self.refresh()?;
        let count = objects.count();
        let shares: Vec<_> = (0..self.rank.ranks.count())
            .map(|rank| (self.objects_of(rank, objects), coefficients[self.rows(rank, count)].to_vec()))
            .collect();
        let share = |rank: usize| {
            let (values, coefficients) = shares[rank].clone();
            Command::RewardGradient { values, coefficients, count }
        };
        self.sum(share, &[], length)
    }
}

impl Differentiate for Shared {
    fn arrangement(&self) -> &Arrangement {
        self.rank.engine.arrangement()
    }

    fn load(&mut self, arranged: &[f64]) -> Result<(), EngineError> {
        check::arranged(self.arrangement(), arranged)?;
        self.ask(|_| Command::Load, arranged).map(drop)
    }

    fn held(&self) -> usize {
        self.rank.whole
    }

    fn accumulate(&mut self, coefficients: &Coefficients, total: &mut [f64]) -> Result<(), EngineError> {
        self.check(coefficients)?;
        check::arranged(self.arrangement(), total)?;
        let (ranks, whole, steps) = (self.rank.ranks.count(), self.rank.whole, self.process.max_steps());
        let share = |rank| Command::Gradient(part(coefficients, rows_of(rank, ranks, whole), steps));
        let gradient = self.sum(share, &[], total.len())?;
        total.iter_mut().zip(gradient).for_each(|(total, part)| *total += part);
        Ok(())
    }

    fn square_norms(&mut self) -> Result<Vec<f64>, EngineError> {
        Ok(numbers(self.ask(|_| Command::SquareNorms, &[])?))
    }

    fn moments(&mut self, coefficients: &[f64]) -> Result<Moments, EngineError> {
        check::coefficients(coefficients, self.rank.whole, "trajectories")?;
        let (ranks, whole, length) = (self.rank.ranks.count(), self.rank.whole, 4 * self.arrangement().length());
        let share = |rank| Command::Moments(coefficients[rows_of(rank, ranks, whole)].to_vec());
        Ok(Moments::from_list(&self.sum(share, &[], length)?))
    }

    fn leave_one_out_gradient(&mut self, coefficients: &[f64], moments: &Moments) -> Result<Vec<f64>, EngineError> {
        check::coefficients(coefficients, self.rank.whole, "trajectories")?;
        check::moments(self.arrangement(), moments)?;
        let (ranks, whole, length) = (self.rank.ranks.count(), self.rank.whole, self.arrangement().length());
        let share = |rank| Command::LeftOut(coefficients[rows_of(rank, ranks, whole)].to_vec());
        self.sum(share, &[moments.squares.as_slice(), &moments.weighted_squares].concat(), length)
    }
}

/// The coefficients of some rows.
fn part(coefficients: &Coefficients, rows: Range<usize>, steps: usize) -> Coefficients {
    match coefficients {
        Coefficients::Trajectories(numbers) => Coefficients::Trajectories(numbers[rows].to_vec()),
        Coefficients::Steps(all) => {
            let of = |list: &[f64]| list.get(rows.start * steps..rows.end * steps).unwrap_or_default().to_vec();
            let [forward, backward, flow] = all.lists().map(of);
            Coefficients::Steps(StepCoefficients { forward, backward, flow })
        }
    }
}

/// All ranks' numbers, in the order of ranks.
fn numbers(found: Vec<Found>) -> Vec<f64> {
    let lists = found.into_iter().flat_map(|found| match found {
        Found::Numbers(numbers) => numbers,
        _ => unreachable!("asked for numbers"),
    });
    lists.collect()
}

/// Refuses ranks that do not fit together.
fn agree(own: &Likeness, other: &Likeness, rank: usize) -> Result<(), EngineError> {
    if own == other {
        return Ok(());
    }
    let (key, ours, theirs) = if own.target != other.target {
        ("the target's files", format!("{:08x?}", own.target), format!("{:08x?}", other.target))
    } else if own.engine != other.engine {
        ("engine.kind and engine.precision", own.engine.clone(), other.engine.clone())
    } else {
        ("engine.adapter", format!("{:08x}", own.arrangement), format!("{:08x}", other.arrangement))
    };
    Err(EngineError::Limit(format!(
        "rank 0 has {ours} and rank {rank} has {theirs}: {key} must give all ranks of a job the same (adapters may be \
         different ones of the same kind)"
    )))
}
