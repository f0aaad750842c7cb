//! Stage: gradient of the hidden layers (shaders/dense_backward.wgsl, shaders/weight_gradient.wgsl, shaders/fold.wgsl).

use crate::engine::gpu::context::Context;
use crate::engine::gpu::kernel::Kernel;
use crate::engine::gpu::network::Network;
use crate::engine::gpu::recorder::{Recorder, Work};
use crate::engine::gpu::source::{CHUNK, Sources, TILE, shader};
use crate::engine::{BLOCK, EngineError};

pub(in crate::engine::gpu) struct Dense {
    backward: Kernel,
    gradient: Kernel,
    fold: Kernel,
}

/// Slices that the weight gradient of `blocks` blocks is summed in.
pub(in crate::engine::gpu) fn slices(network: &Network, blocks: usize) -> usize {
    blocks * network.process.steps().div_ceil(CHUNK)
}

impl Dense {
    pub fn new(context: &Context, sources: &Sources) -> Result<Self, EngineError> {
        Ok(Self {
            backward: sources.kernel(context, "dense_backward", &[TILE, shader!("dense_backward.wgsl")])?,
            gradient: sources.kernel(context, "weight_gradient", &[TILE, shader!("weight_gradient.wgsl")])?,
            fold: sources.kernel(context, "fold", &[shader!("fold.wgsl")])?,
        })
    }

    /// All hidden layers' deltas from those of the last one, and the gradient of all but the first layer. `at_once`
    /// slices of it fit their buffer.
    pub fn record(&mut self, recorder: &mut Recorder, network: &Network, part: &Work, at_once: usize) {
        if network.layers.len() == 1 {
            return;
        }
        for layer in (1..network.layers.len()).rev() {
            self.backward(recorder, network, part, layer);
        }
        let slices = slices(network, part.blocks as usize);
        let cost = network.products() * CHUNK as f64;
        let at_once = at_once.min(recorder.share(slices, cost));
        for first in (0..slices).step_by(at_once) {
            let count = at_once.min(slices - first);
            for (index, layer) in network.layers.iter().enumerate().skip(1) {
                let work = Work { layer: index as u32, first_slice: first as u32, slices: count as u32, ..*part };
                let (inputs, outputs) = (layer.inputs as usize, layer.outputs as usize);
                // One more invocation a quad of outputs, for the bias.
                let tiles = inputs / network.tiling.units * (outputs / network.tiling.rows) + outputs;
                let cost = layer.products() * (CHUNK * count) as f64;
                recorder.dispatch(&mut self.gradient, &work, [tiles.div_ceil(BLOCK), count, 1], cost);
            }
            let work = Work { slices: count as u32, ..*part };
            let groups = (network.dense_size as usize).div_ceil(BLOCK);
            recorder.dispatch(&mut self.fold, &work, [groups, 1, 1], 0.0);
        }
    }

    fn backward(&mut self, recorder: &mut Recorder, network: &Network, part: &Work, index: usize) {
        /// Workgroups in a row that every adapter takes.
        const MOST: usize = 65535;
        let layer = &network.layers[index];
        let tiling = &network.tiling;
        let tiles = BLOCK / (4 * tiling.rows) * (layer.inputs as usize / tiling.units);
        let (begin, end) = (part.scored_from as usize, network.process.steps());
        let cost = layer.products() * f64::from(part.blocks);
        let share = recorder.share(end - begin, cost).min((MOST * BLOCK / tiles).max(1));
        for first in (begin..end).step_by(share) {
            let last = (first + share).min(end);
            let work = Work { layer: index as u32, first_step: first as u32, last_step: last as u32, ..*part };
            let groups = [(tiles * (last - first)).div_ceil(BLOCK), part.blocks as usize, 1];
            recorder.dispatch(&mut self.backward, &work, groups, cost * (last - first) as f64);
        }
    }
}
