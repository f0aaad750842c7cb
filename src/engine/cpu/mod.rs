//! The native engine: plain Rust, f32 or f64, a thread a block.
//!
//! In f64 it is the oracle that every kernel is held against; in f32 it is what trains on a machine without a GPU. A
//! thread takes a block of trajectories through its whole rollout, and later through its gradient, with
//! single-threaded products; blocks are added in order. So nothing synchronises inside a rollout, and the bits of a
//! result do not depend on the number of threads.

mod gradient;
mod model;
mod network;
mod real;
mod reward;
mod rollout;

pub use network::Network;
pub use real::Real;
pub use reward::Reward;

use std::sync::Arc;

use rayon::prelude::*;

use self::gradient::Backward;
use self::model::{Model, Sums};
use self::rollout::{Block, Workspace};
use super::{BLOCK, Batch, Engine, EngineError, Rollout};
use crate::policy::{Activation, Layout};
use crate::process::{Objects, SiteFilling, Trajectories};
use crate::target::Target;

/// The native engine in precision `T`.
pub struct CpuEngine<T> {
    model: Model<T>,
    reward: Reward<T>,
    /// Bytes of activations that are kept between a rollout and its gradient; blocks beyond are replayed.
    memory_budget: u64,
    blocks: Vec<Block<T>>,
}

impl<T: Real> CpuEngine<T> {
    /// `memory_budget` bounds the bytes of activations kept between a rollout and its gradient.
    ///
    /// # Panics
    /// If the layout does not fit the process.
    pub fn new(
        process: SiteFilling,
        layout: Layout,
        activation: Activation,
        target: Arc<dyn Target>,
        memory_budget: u64,
    ) -> Self {
        let (model, reward) = (Model::new(process, layout, activation), Reward::new(target));
        Self { model, reward, memory_budget, blocks: Vec::new() }
    }
}

impl<T: Real> Engine for CpuEngine<T> {
    fn name(&self) -> String {
        format!("native {}, {} threads", T::NAME, rayon::current_num_threads())
    }

    fn adapter(&self) -> String {
        "none".into()
    }

    fn set_parameters(&mut self, parameters: &[f64]) -> Result<(), EngineError> {
        self.model.set(parameters);
        Ok(())
    }

    fn rollout(&mut self, request: &Rollout) -> Result<Batch, EngineError> {
        self.reward.refresh();
        let (model, reward) = (&self.model, &self.reward);
        let steps = model.process.steps();
        let sampled_from = request.given.map_or(0, |given| given.sampled_from);
        let scored_from = request.given.map_or(0, |given| given.scored_from);
        let block_bytes = (Block::stored(model, steps - scored_from) * size_of::<T>()) as u64;
        let kept = if request.keep { (self.memory_budget / block_bytes.max(1)) as usize } else { 0 };

        self.blocks.resize_with(request.count.div_ceil(BLOCK), Block::default);
        self.blocks.par_iter_mut().enumerate().for_each_init(Workspace::default, |work, (index, block)| {
            block.first = index * BLOCK;
            block.rows = BLOCK.min(request.count - block.first);
            block.begin(model, work, &request.draw, request.given);
            block.run(model, work, sampled_from, index < kept);
            let objects = model.process.finish(&Trajectories::new(steps, block.actions.clone()));
            block.log_reward.resize(block.rows, 0.0);
            reward.log_reward(&objects, &mut block.log_reward);
        });

        let log_order = model.process.log_order(scored_from);
        let values = self.blocks.iter().flat_map(|block| &block.log_values);
        Ok(Batch {
            log_forward: values.map(|sum| sum + log_order).collect(),
            log_backward: vec![model.process.log_backward(scored_from); request.count],
            log_reward: self.blocks.iter().flat_map(|block| &block.log_reward).copied().collect(),
        })
    }

    fn trajectories(&mut self) -> Result<Trajectories, EngineError> {
        let actions = self.blocks.iter().flat_map(|block| &block.actions).copied().collect();
        Ok(Trajectories::new(self.model.process.steps(), actions))
    }

    fn objects(&mut self) -> Result<Objects, EngineError> {
        let trajectories = self.trajectories()?;
        Ok(self.model.process.finish(&trajectories))
    }

    fn gradient(&mut self, coefficients: &[f64]) -> Result<Vec<f64>, EngineError> {
        let model = &self.model;
        let steps = model.process.steps();
        let mut total = Sums::<f64>::zeros(&model.layout);
        // As many blocks at a time as there are threads, always added in order.
        let mut wave: Vec<_> = (0..rayon::current_num_threads().min(self.blocks.len()))
            .map(|_| (Sums::zeros(&model.layout), Backward::default(), Workspace::default(), Block::default()))
            .collect();
        for blocks in self.blocks.chunks(wave.len().max(1)) {
            wave.par_iter_mut().zip(blocks).for_each(|((sums, backward, work, spare), block)| {
                sums.clear();
                let coefficients = &coefficients[block.first..][..block.rows];
                if block.kept {
                    backward.accumulate(model, block, coefficients, sums);
                } else {
                    // Dropped for want of memory: the same steps with the same actions give the same bits.
                    spare.repeat(block);
                    spare.run(model, work, steps, true);
                    backward.accumulate(model, spare, coefficients, sums);
                }
            });
            wave.iter().zip(blocks).for_each(|((sums, ..), _)| total.add(sums));
        }
        Ok(total.into_parameters(&model.layout, model.process.unset()))
    }

    fn log_reward(&mut self, objects: &Objects) -> Result<Vec<f64>, EngineError> {
        self.reward.refresh();
        let mut log_reward = vec![0.0; objects.count()];
        self.reward.log_reward(objects, &mut log_reward);
        Ok(log_reward)
    }

    fn reward_gradient(&mut self, objects: &Objects, coefficients: &[f64]) -> Result<Vec<f64>, EngineError> {
        self.reward.refresh();
        self.reward.gradient(objects, coefficients)
    }
}
