//! What every rank does, rank 0 among them: its share of a command.

use std::sync::Arc;

use super::message::{Answer, Command, Fault, Found, Likeness, Share, numbers_of};
use super::reduce::reduce;
use super::{Ranks, blocks_of};
use crate::engine::{BLOCK, Engine, EngineError, Given, Moments, Rollout, Summand, Tree};
use crate::process::{Objects, Trajectories};
use crate::targets::Target;

/// A rank's engine, its target, and the others.
pub struct Rank {
    pub engine: Box<dyn Engine>,
    pub target: Arc<dyn Target>,
    pub ranks: Ranks,
    /// Trajectories of the batch held by all ranks together.
    pub whole: usize,
}

impl Command {
    /// Whether a list is broadcast right after it.
    pub fn has_list(&self) -> bool {
        matches!(self, Self::Load | Self::Reward | Self::LeftOut(_))
    }
}

impl Rank {
    /// Whether all ranks add up what comes of it, each calling [`Rank::sum`]; else each answers by itself.
    pub fn is_sum(command: &Command) -> bool {
        use Command::{Gradient, LeftOut, Moments, RewardGradient};
        matches!(command, Gradient(_) | Moments(_) | LeftOut(_) | RewardGradient { .. })
    }

    /// This rank's answer to a command, whose list came with it.
    pub fn answer(&mut self, command: Command, list: &[f64]) -> Answer {
        let found = self.carry_out(command, list);
        let found = found.map_err(|error| Fault::of(&error, self.number()));
        Answer { found, stop: self.ranks.stop.reason() }
    }

    /// What comes of a command that is no sum.
    pub fn carry_out(&mut self, command: Command, list: &[f64]) -> Result<Found, EngineError> {
        match command {
            Command::Compare => return Ok(Found::Likeness(self.likeness())),
            Command::Load => self.engine.load(list)?,
            Command::Rollout(share) => return self.rollout(&share).map(Found::Batch),
            Command::Actions => return Ok(Found::Actions(self.engine.trajectories()?.actions().to_vec())),
            Command::Objects => return Ok(Found::Values(self.engine.objects()?.values().to_vec())),
            Command::LogReward(values) => {
                return self.engine.log_reward(&Objects::new(self.target.sites(), values)).map(Found::Numbers);
            }
            Command::SquareNorms if self.engine.held() == 0 => return Ok(Found::Numbers(Vec::new())),
            Command::SquareNorms => return self.engine.square_norms().map(Found::Numbers),
            Command::End | Command::Begin(_) | Command::Reward => {}
            sum => unreachable!("{sum:?} is a sum"),
        }
        Ok(Found::Nothing)
    }

    /// The sum of all ranks' shares, which rank 0 gets, if there is anything to be summed.
    pub fn sum(&mut self, command: &Command, list: &[f64]) -> Result<Option<Vec<f64>>, EngineError> {
        let whole = if let Command::RewardGradient { count, .. } = command { *count } else { self.whole };
        let (ranks, blocks) = (self.ranks.count(), whole.div_ceil(BLOCK));
        let leaves = (0..ranks).map(|rank| self.engine.leaves(blocks_of(rank, ranks, blocks).len()));
        let mut firsts = vec![0];
        leaves.for_each(|leaves| firsts.push(firsts[firsts.len() - 1] + leaves));
        let mut tree = Tree::from(firsts[self.number()]);
        let own = self.add_leaves(command, list, &mut tree);
        // Rank 0's own error needs no words: it is there itself.
        let said = own.as_ref().map(|()| tree).map_err(|error| Fault::of(error, self.number()));
        let total = reduce(self.ranks.communicator.as_ref(), said, &firsts);
        own?;
        total.map_err(Fault::error)
    }

    /// Adds this rank's share of a sum, if it has any.
    fn add_leaves(&mut self, command: &Command, list: &[f64], tree: &mut Tree) -> Result<(), EngineError> {
        let engine = self.engine.as_mut();
        if let Command::RewardGradient { values, coefficients, .. } = command {
            if coefficients.is_empty() {
                return Ok(());
            }
            let objects = Objects::new(self.target.sites(), values.clone());
            return engine.add_reward_leaves(&objects, coefficients, tree);
        }
        if engine.held() == 0 {
            return Ok(());
        }
        match command {
            Command::Gradient(coefficients) => engine.add_leaves(Summand::Gradient(coefficients), tree),
            Command::Moments(coefficients) => engine.add_leaves(Summand::Moments(coefficients), tree),
            Command::LeftOut(coefficients) => {
                let (squares, weighted_squares) = list.split_at(list.len() / 2);
                let (squares, weighted_squares) = (squares.to_vec(), weighted_squares.to_vec());
                let moments = Moments { squares, weighted_squares, ..Moments::default() };
                engine.add_leaves(Summand::LeftOut(coefficients, &moments), tree)
            }
            other => unreachable!("{other:?} is no sum"),
        }
    }

    /// The list that rank 0 broadcasts, on the others.
    pub fn hear(&self) -> Vec<f64> {
        let mut bytes = Vec::new();
        self.ranks.communicator.broadcast(&mut bytes);
        numbers_of(&bytes)
    }

    /// Number of this rank.
    pub fn number(&self) -> usize {
        self.ranks.communicator.rank()
    }

    fn rollout(&mut self, share: &Share) -> Result<crate::engine::Batch, EngineError> {
        self.whole = share.whole;
        let trajectories = share.given.as_ref().map(|given| Trajectories::new(given.max_steps, given.actions.clone()));
        let given = share.given.as_ref().zip(trajectories.as_ref()).map(|(given, trajectories)| Given {
            trajectories,
            scored_from: given.scored_from,
            sampled_from: given.sampled_from,
        });
        let Share { draw, count, keep, stepwise, behaviour, .. } = *share;
        self.engine.rollout(&Rollout { draw, count, given, keep, stepwise, behaviour })
    }

    /// What kind of engine this rank has.
    pub fn likeness(&self) -> Likeness {
        let name = self.engine.name();
        let arrangement = self.engine.arrangement();
        let places: Vec<u8> = arrangement.places().iter().flat_map(|place| place.to_le_bytes()).collect();
        Likeness {
            // "native f32, 2 threads" or "gpu: NVIDIA H100 (Vulkan)".
            engine: name.split([',', ':']).next().unwrap_or_default().to_owned(),
            arrangement: crc32fast::hash(&places) ^ arrangement.length() as u32,
            target: self.target.checksum(),
        }
    }
}
