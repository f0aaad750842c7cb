//! Stage: what is known of trajectories before their first sampled step: the order of the sites (shaders/order.wgsl), or where a
//! process stands (shaders/walk.wgsl).

use crate::engine::gpu::context::Context;
use crate::engine::gpu::kernel::Kernel;
use crate::engine::gpu::network::Network;
use crate::engine::gpu::recorder::{ITERATIONS, Recorder};
use crate::engine::gpu::source::Sources;
use crate::engine::gpu::work::Work;
use crate::engine::{BLOCK, EngineError};

pub(in crate::engine::gpu) struct Begin(Kernel);

impl Begin {
    /// # Errors
    /// `Limit` if a trajectory takes longer to go through than a driver may loop.
    pub fn new(context: &Context, sources: &Sources, network: &Network) -> Result<Self, EngineError> {
        if network.filling.is_some() {
            return Ok(Self(sources.kernel(context, "order", &[])?));
        }
        let process = &network.process;
        let iterations = (process.max_steps() + 1) * (process.actions() + 3 * network.mask_words() + 3);
        if iterations + process.state_words() > ITERATIONS {
            let (steps, actions) = (process.max_steps(), process.actions());
            let message = format!("trajectories of {steps} steps with {actions} actions are too long for a GPU");
            return Err(EngineError::Limit(message));
        }
        Ok(Self(sources.kernel(context, "walk", &[])?))
    }

    /// Chooses the sites of all blocks of `work`, or takes their processes through the steps that are given.
    pub fn record(&mut self, recorder: &mut Recorder, network: &Network, work: &Work) {
        let blocks = work.blocks as usize;
        // Ten rounds of Philox a step.
        let cost = (BLOCK * blocks * 100 * network.process.max_steps()) as f64;
        recorder.dispatch(&mut self.0, work, [blocks, 1, 1], cost);
    }
}
