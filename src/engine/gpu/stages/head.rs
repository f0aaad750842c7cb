//! Stage: gradient of the head (shaders/head_backward.wgsl, shaders/head_gradient.wgsl).

use crate::engine::gpu::context::Context;
use crate::engine::gpu::kernel::Kernel;
use crate::engine::gpu::network::Network;
use crate::engine::gpu::recorder::{Recorder, Work};
use crate::engine::gpu::source::{Sources, shader};
use crate::engine::{BLOCK, EngineError};

pub(in crate::engine::gpu) struct Head {
    backward: Kernel,
    gradient: Kernel,
}

impl Head {
    pub fn new(context: &Context, sources: &Sources) -> Result<Self, EngineError> {
        Ok(Self {
            backward: sources.kernel(context, "head_backward", &[shader!("head_backward.wgsl")])?,
            gradient: sources.kernel(context, "head_gradient", &[shader!("head_gradient.wgsl")])?,
        })
    }

    /// The last hidden layer's deltas, and the head's own gradient.
    pub fn record(&mut self, recorder: &mut Recorder, network: &Network, part: &Work) {
        let steps = network.process.steps() - part.scored_from as usize;
        let width = network.layers[network.layers.len() - 1].outputs as usize;
        let blocks = part.blocks as usize;
        let cost = (BLOCK * blocks * steps * network.process.values * 4 * width) as f64;
        let work = Work { first_step: part.scored_from, ..*part };
        recorder.dispatch(&mut self.backward, &work, [width, steps, blocks], cost);
        let groups = [(width + 1).div_ceil(BLOCK), network.process.actions(), 1];
        recorder.dispatch(&mut self.gradient, part, groups, cost);
    }
}
