//! Stage: gradient of the first layer (shaders/first_backward.wgsl, shaders/first_gradient.wgsl).

use crate::engine::gpu::context::Context;
use crate::engine::gpu::kernel::Kernel;
use crate::engine::gpu::network::Network;
use crate::engine::gpu::recorder::{Recorder, Work};
use crate::engine::gpu::source::{Sources, shader};
use crate::engine::{BLOCK, EngineError};

pub(in crate::engine::gpu) struct First {
    backward: Kernel,
    gradient: Kernel,
}

impl First {
    pub fn new(context: &Context, sources: &Sources) -> Result<Self, EngineError> {
        Ok(Self {
            backward: sources.kernel(context, "first_backward", &[shader!("first_backward.wgsl")])?,
            gradient: sources.kernel(context, "first_gradient", &[shader!("first_gradient.wgsl")])?,
        })
    }

    /// From the first layer's deltas, which are overwritten, to the gradient of its columns and bias.
    pub fn record(&mut self, recorder: &mut Recorder, network: &Network, part: &Work) {
        let width = network.layers[0].outputs as usize;
        let (columns, blocks) = (network.process.columns(), part.blocks as usize);
        let row = (BLOCK * blocks * 4 * width) as f64;
        recorder.dispatch(&mut self.backward, part, [width, blocks, 1], row * network.process.steps() as f64);
        let groups = [width.div_ceil(BLOCK), columns + 1, 1];
        recorder.dispatch(&mut self.gradient, part, groups, row * columns as f64);
    }
}
