//! Stage: the order of the sites (shaders/order.wgsl).

use crate::engine::EngineError;
use crate::engine::gpu::context::Context;
use crate::engine::gpu::kernel::Kernel;
use crate::engine::gpu::recorder::{Recorder, Work};
use crate::engine::gpu::source::{PHILOX, Sources, shader};

pub(in crate::engine::gpu) struct OrderSites(Kernel);

impl OrderSites {
    pub fn new(context: &Context, sources: &Sources) -> Result<Self, EngineError> {
        Ok(Self(sources.kernel(context, "order", &[PHILOX, shader!("order.wgsl")])?))
    }

    /// Chooses the sites of all blocks of `work`.
    pub fn record(&mut self, recorder: &mut Recorder, work: &Work) {
        recorder.dispatch(&mut self.0, work, [work.blocks as usize, 1, 1], 0.0);
    }
}
