//! Stage: the policy along trajectories (shaders/start.wgsl, shaders/rollout.wgsl).

use crate::engine::gpu::context::Context;
use crate::engine::gpu::kernel::Kernel;
use crate::engine::gpu::network::Network;
use crate::engine::gpu::recorder::{ITERATIONS, Recorder, Work};
use crate::engine::gpu::source::{ACTIVATION, COLUMN, ELEMENTARY, PHILOX, Sources, TILE, shader};
use crate::engine::{BLOCK, EngineError};
use crate::random::ROUNDS;

/// Steps that a workgroup takes of a replay, whose steps need not wait for each other.
const REPLAY_STEPS: usize = 16;

pub(in crate::engine::gpu) struct Steps {
    start: Kernel,
    rollout: Kernel,
    /// Most steps of one chain.
    longest: usize,
}

impl Steps {
    /// # Errors
    /// `Limit` if a single step is more than a driver may run.
    pub fn new(context: &Context, sources: &Sources, network: &Network) -> Result<Self, EngineError> {
        let longest = ITERATIONS / iterations(network);
        if longest == 0 {
            let message = "a step of the rollout is too long for one invocation: make hidden layers narrower";
            return Err(EngineError::Limit(message.into()));
        }
        let parts = [PHILOX, ELEMENTARY, ACTIVATION, COLUMN, TILE, shader!("rollout.wgsl")];
        Ok(Self {
            start: sources.kernel(context, "start", &[COLUMN, shader!("start.wgsl")])?,
            rollout: sources.kernel(context, "rollout", &parts)?,
            longest,
        })
    }

    /// Steps of a chain in a replay.
    pub fn replay_steps(&self) -> usize {
        REPLAY_STEPS.min(self.longest)
    }

    /// The scored steps of a part: one after the other in `chained` workgroups, else dealt out over workgroups, which
    /// needs known actions and room for all steps.
    pub fn record(&mut self, recorder: &mut Recorder, network: &Network, part: &Work, chained: bool) {
        let (begin, end) = (part.scored_from as usize, network.process.steps());
        let blocks = part.blocks as usize;
        let cost = network.products() * blocks as f64;
        let most = if chained { self.longest } else { end };
        let share = recorder.share(end - begin, cost).min(most);
        let width = network.layers[0].outputs as usize;
        for first in (begin..end).step_by(share) {
            let last = (first + share).min(end);
            let group_steps = if chained { last - first } else { self.replay_steps() };
            let work =
                Work { first_step: first as u32, last_step: last as u32, group_steps: group_steps as u32, ..*part };
            recorder.dispatch(&mut self.start, &work, [width, blocks, 1], 0.0);
            let tiles = blocks * (BLOCK / network.tiling.trajectories);
            let groups = [tiles, (last - first).div_ceil(group_steps), 1];
            recorder.dispatch(&mut self.rollout, &work, groups, cost * (last - first) as f64);
        }
    }
}

/// Loop iterations of an invocation of the rollout for one step: a loop of n counts as n + 1.
fn iterations(network: &Network) -> usize {
    let tiling = &network.tiling;
    let values = network.process.values;
    // Iterations of a loop over `count` things that the workgroup shares, each of which takes `inner`.
    let shared = |count: usize, inner: usize| count.div_ceil(tiling.group) * (1 + inner) + 1;
    let width = |layer: usize| network.layers[layer].outputs as usize;
    let last = network.layers.len() - 1;
    let tiles = |layer| tiling.trajectories / (4 * tiling.rows) * (width(layer) / tiling.units);
    let dense: usize = (1..=last).map(|layer| shared(tiles(layer), width(layer - 1) + 1) + 1).sum();
    let choice = 4 * (values + 1) + ROUNDS as usize + 1;
    shared(tiling.trajectories * width(0), 0)
        + dense
        + shared(tiling.trajectories * values, width(last) + 1)
        + shared(tiling.trajectories, choice)
        + 2
}
