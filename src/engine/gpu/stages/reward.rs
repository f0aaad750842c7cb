//! Stage: log R (shaders/reward.wgsl and the target's own source), or the host's where the target brings no WGSL.

use crate::engine::EngineError;
use crate::engine::gpu::context::Context;
use crate::engine::gpu::kernel::Kernel;
use crate::engine::gpu::recorder::{Recorder, Work};
use crate::engine::gpu::source::{Sources, shader};
use crate::target::Target;

pub(in crate::engine::gpu) enum Reward {
    /// On the device, with the parameters to upload.
    Device(Kernel, Vec<f32>),
    /// On the host, which needs the objects.
    Host,
}

impl Reward {
    /// # Errors
    /// `Kernel` if the target's source does not compile.
    pub fn new(context: &Context, sources: &Sources, target: &dyn Target) -> Result<Self, EngineError> {
        match target.kernel() {
            Some(kernel) => {
                let parts = [shader!("reward.wgsl"), kernel.source.as_str()];
                Ok(Self::Device(sources.kernel(context, "reward", &parts)?, kernel.parameters))
            }
            None => Ok(Self::Host),
        }
    }

    /// What `parameter` reads.
    pub fn parameters(&self) -> &[f32] {
        match self {
            Self::Device(_, parameters) => parameters,
            Self::Host => &[],
        }
    }

    /// log R of all blocks of `work`, if the device can tell.
    pub fn record(&mut self, recorder: &mut Recorder, work: &Work) {
        if let Self::Device(kernel, _) = self {
            recorder.dispatch(kernel, work, [work.blocks as usize, 1, 1], 0.0);
        }
    }

    /// Whether it is the host that tells log R.
    pub fn is_on_host(&self) -> bool {
        matches!(self, Self::Host)
    }
}
