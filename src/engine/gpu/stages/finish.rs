//! Stage: finished objects and log P_F (shaders/finish.wgsl or shaders/hardware/finish.wgsl).

use crate::engine::gpu::context::Context;
use crate::engine::gpu::kernel::Kernel;
use crate::engine::gpu::network::Network;
use crate::engine::gpu::recorder::Recorder;
use crate::engine::gpu::source::Sources;
use crate::engine::gpu::work::Work;
use crate::engine::{BLOCK, EngineError};

pub(in crate::engine::gpu) struct Finish(Kernel);

impl Finish {
    pub fn new(context: &Context, sources: &Sources, network: &Network) -> Result<Self, EngineError> {
        Ok(Self(sources.kernel(context, network.set.finish().0, &[])?))
    }

    /// Finishes all blocks of `work`.
    pub fn record(&mut self, recorder: &mut Recorder, network: &Network, work: &Work) {
        let blocks = work.blocks as usize;
        let cost = (BLOCK * blocks * 4 * network.process.max_steps()) as f64;
        let groups = [BLOCK / network.set.finish().1 * blocks, 1, 1];
        recorder.dispatch(&mut self.0, work, groups, cost);
    }
}
