//! Stage: what is added up over trajectories, parameter by parameter (shaders/head_gradient.wgsl,
//! shaders/first_gradient.wgsl, shaders/weight_gradient.wgsl, shaders/fold.wgsl).

use crate::engine::gpu::context::Context;
use crate::engine::gpu::kernel::Kernel;
use crate::engine::gpu::network::Network;
use crate::engine::gpu::recorder::{Recorder, Work};
use crate::engine::gpu::source::{CHUNK, SUM, Sources, TILE, shader};
use crate::engine::{BLOCK, EngineError};

/// Bytes of hidden layers' slices that are held at once, where there are several, and how many: `fold` loops over them.
const PARTIALS: u64 = 1 << 26;
const MOST_SLICES: u64 = 4096;

pub(in crate::engine::gpu) struct Sums {
    head: Kernel,
    /// Where there are several hidden layers.
    hidden: Option<Hidden>,
    first: Kernel,
}

/// What sums slices of a hidden layer, and what adds up the slices.
struct Hidden {
    slices: Kernel,
    fold: Kernel,
}

impl Sums {
    /// The gradient: sum c h.
    pub fn gradient(context: &Context, sources: &Sources, network: &Network) -> Result<Self, EngineError> {
        let head = [sources.outputs(), SUM, shader!("head_gradient.wgsl")];
        let hidden = || {
            Ok::<_, EngineError>(Hidden {
                slices: sources.kernel(context, "weight_gradient", &[TILE, shader!("weight_gradient.wgsl")])?,
                fold: sources.kernel(context, "fold", &[shader!("fold.wgsl")])?,
            })
        };
        Ok(Self {
            head: sources.kernel(context, "head_gradient", &head)?,
            hidden: if network.layers.len() > 1 { Some(hidden()?) } else { None },
            first: sources.kernel(context, "first_gradient", &[SUM, shader!("first_gradient.wgsl")])?,
        })
    }

    /// Slices of the hidden layers that `blocks` blocks are summed in.
    fn slices(&self, network: &Network, blocks: usize) -> usize {
        blocks * network.states().div_ceil(CHUNK)
    }

    /// Slices that are worked on at once in parts of `blocks` blocks, and bytes of `partials` that they need.
    pub fn slices_at_once(&self, network: &Network, blocks: usize) -> (usize, u64) {
        let bytes = (16 * u64::from(network.dense_size)).max(16);
        let count = self.slices(network, blocks).min((PARTIALS / bytes).clamp(1, MOST_SLICES) as usize);
        (count, count as u64 * bytes)
    }

    /// Adds a part, whose deltas are there, to `gradient`, which the first part starts. `at_once` slices fit `partials`.
    pub fn record(&mut self, recorder: &mut Recorder, network: &Network, part: &Work, at_once: usize) {
        if part.block == 0 {
            recorder.clear("gradient");
        }
        let blocks = part.blocks as usize;
        let last = network.layers[network.layers.len() - 1].outputs as usize;
        let states = network.states() - part.scored_from as usize;
        let cost = (BLOCK * blocks * states * network.outputs() * 4 * last) as f64;
        let groups = [(last + 1).div_ceil(BLOCK), network.head_rows(), 1];
        recorder.dispatch(&mut self.head, part, groups, cost);

        self.hidden(recorder, network, part, at_once);

        let width = network.layers[0].outputs as usize;
        let columns = network.process.columns();
        let groups = [width.div_ceil(BLOCK), columns + 1, 1];
        recorder.dispatch(&mut self.first, part, groups, (BLOCK * blocks * 4 * width * columns) as f64);
    }

    fn hidden(&mut self, recorder: &mut Recorder, network: &Network, part: &Work, at_once: usize) {
        let slices = self.slices(network, part.blocks as usize);
        let Some(hidden) = &mut self.hidden else { return };
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
                recorder.dispatch(&mut hidden.slices, &work, [tiles.div_ceil(BLOCK), count, 1], cost);
            }
            let work = Work { slices: count as u32, lists: 1, ..*part };
            let groups = (network.dense_size as usize).div_ceil(BLOCK);
            recorder.dispatch(&mut hidden.fold, &work, [groups, 1, 1], 0.0);
        }
    }
}
