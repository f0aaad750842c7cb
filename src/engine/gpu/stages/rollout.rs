//! Stage: the policy along trajectories (shaders/rollout.wgsl).

use crate::engine::gpu::context::Context;
use crate::engine::gpu::kernel::Kernel;
use crate::engine::gpu::network::Network;
use crate::engine::gpu::recorder::{Recorder, Work};
use crate::engine::gpu::source::{ACTIVATION, ELEMENTARY, PHILOX, Sources, TILE, shader};
use crate::engine::{BLOCK, EngineError};

/// Steps that a workgroup takes of a replay, whose steps need not wait for each other.
pub(in crate::engine::gpu) const REPLAY_STEPS: usize = 16;

pub(in crate::engine::gpu) struct Steps(Kernel);

impl Steps {
    pub fn new(context: &Context, sources: &Sources) -> Result<Self, EngineError> {
        let parts = [PHILOX, ELEMENTARY, ACTIVATION, TILE, shader!("rollout.wgsl")];
        Ok(Self(sources.kernel(context, "rollout", &parts)?))
    }

    /// The scored steps of a part: one after the other in `chained` workgroups, else dealt out over workgroups, which
    /// needs known actions and room for all steps.
    pub fn record(&mut self, recorder: &mut Recorder, network: &Network, part: &Work, chained: bool) {
        let (begin, end) = (part.scored_from as usize, network.process.steps());
        let cost = network.products() * f64::from(part.blocks);
        let share = recorder.share(end - begin, cost);
        for first in (begin..end).step_by(share) {
            let last = (first + share).min(end);
            let group_steps = if chained { last - first } else { REPLAY_STEPS };
            let work =
                Work { first_step: first as u32, last_step: last as u32, group_steps: group_steps as u32, ..*part };
            let tiles = part.blocks as usize * (BLOCK / network.tiling.trajectories);
            let groups = [tiles, (last - first).div_ceil(group_steps), 1];
            recorder.dispatch(&mut self.0, &work, groups, cost * (last - first) as f64);
        }
    }
}
