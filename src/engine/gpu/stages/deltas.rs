//! Stage: what a network's outputs hand back to every pre-activation (shaders/head_backward.wgsl,
//! shaders/dense_backward.wgsl or shaders/hardware/dense_backward.wgsl, shaders/first_backward.wgsl).
//!
//! For every trajectory by itself, whatever it weighs in a sum: the same deltas serve gradients with several lists of
//! coefficients, and what is made of single trajectories' gradients. Coefficients of single steps are in the deltas.

use crate::engine::gpu::context::Context;
use crate::engine::gpu::kernel::Kernel;
use crate::engine::gpu::kernel_set::KernelSet;
use crate::engine::gpu::network::Network;
use crate::engine::gpu::recorder::Recorder;
use crate::engine::gpu::source::{Sources, Weights};
use crate::engine::gpu::work::Work;
use crate::engine::{BLOCK, EngineError};

pub(in crate::engine::gpu) struct Deltas {
    head: Kernel,
    dense: Kernel,
    first: Kernel,
}

impl Deltas {
    pub fn new(context: &Context, sources: &Sources, set: KernelSet, weights: Weights) -> Result<Self, EngineError> {
        let (dense, holding) = set.dense_backward();
        Ok(Self {
            head: sources.kernel(context, "head_backward", weights.definitions())?,
            dense: sources.kernel(context, dense, holding)?,
            first: sources.kernel(context, "first_backward", &[])?,
        })
    }

    /// From a part's slopes, which are overwritten, to its deltas; those of the first layer summed over later states.
    pub fn record(&mut self, recorder: &mut Recorder, network: &Network, part: &Work) {
        self.head(recorder, network, part);
        for layer in (1..network.layers.len()).rev() {
            self.dense(recorder, network, part, layer);
        }
        let (width, blocks) = (network.layers[0].outputs as usize, part.blocks as usize);
        let cost = (BLOCK * blocks * 4 * width * network.states()) as f64;
        recorder.dispatch(&mut self.first, part, [width, blocks, 1], cost);
    }

    fn head(&mut self, recorder: &mut Recorder, network: &Network, part: &Work) {
        let steps = network.states() - part.scored_from as usize;
        let width = network.layers[network.layers.len() - 1].outputs as usize;
        let blocks = part.blocks as usize;
        let cost = (BLOCK * blocks * steps * network.outputs() * 4 * width) as f64;
        let work = Work { first_step: part.scored_from, ..*part };
        recorder.dispatch(&mut self.head, &work, [width, steps, blocks], cost);
    }

    fn dense(&mut self, recorder: &mut Recorder, network: &Network, part: &Work, index: usize) {
        let layer = &network.layers[index];
        let (begin, end) = (part.scored_from as usize, network.states());
        let work = Work { layer: index as u32, first_step: begin as u32, last_step: end as u32, ..*part };
        let (steps, tiling) = (end - begin, &network.tiling);
        let groups_of_block = match network.set {
            KernelSet::Software => {
                let tiles = BLOCK / (4 * tiling.rows) * (layer.inputs as usize / tiling.units);
                (tiles * steps).div_ceil(BLOCK)
            }
            KernelSet::Hardware => layer.inputs.div_ceil(2 * network.backward_lanes()) as usize * steps,
        };
        let groups = [groups_of_block, part.blocks as usize, 1];
        let cost = layer.products() * (part.blocks as usize * steps) as f64;
        recorder.dispatch(&mut self.dense, &work, groups, cost);
    }
}
