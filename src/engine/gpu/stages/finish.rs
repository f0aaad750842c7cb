//! Stage: finished objects and log P_F (shaders/finish.wgsl).

use crate::engine::EngineError;
use crate::engine::gpu::context::Context;
use crate::engine::gpu::kernel::Kernel;
use crate::engine::gpu::recorder::{Recorder, Work};
use crate::engine::gpu::source::{Sources, shader};

pub(in crate::engine::gpu) struct Finish(Kernel);

impl Finish {
    pub fn new(context: &Context, sources: &Sources) -> Result<Self, EngineError> {
        Ok(Self(sources.kernel(context, "finish", &[shader!("finish.wgsl")])?))
    }

    /// Finishes all blocks of `work`.
    pub fn record(&mut self, recorder: &mut Recorder, work: &Work) {
        recorder.dispatch(&mut self.0, work, [work.blocks as usize, 1, 1], 0.0);
    }
}
