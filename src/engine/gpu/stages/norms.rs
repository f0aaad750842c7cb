//! Stage: square norms of the gradients of single trajectories (shaders/head_norms.wgsl, shaders/hidden_norms.wgsl,
//! shaders/first_norms.wgsl, shaders/sum_norms.wgsl).

use crate::engine::gpu::context::Context;
use crate::engine::gpu::kernel::Kernel;
use crate::engine::gpu::network::{Layer, Network};
use crate::engine::gpu::recorder::{ITERATIONS, Recorder};
use crate::engine::gpu::source::Sources;
use crate::engine::gpu::work::Work;
use crate::engine::{BLOCK, EngineError};

/// Bytes of pieces that are held at once, where there are several blocks.
const PIECES: usize = 1 << 26;

pub(in crate::engine::gpu) struct Norms {
    head: Kernel,
    /// Where there are several hidden layers.
    hidden: Option<Kernel>,
    first: Kernel,
    sum: Kernel,
}

impl Norms {
    /// # Errors
    /// `Limit` if trajectories have more pairs of states than a driver may loop over.
    pub fn new(context: &Context, sources: &Sources, network: &Network) -> Result<Self, EngineError> {
        if network.pieces() > ITERATIONS {
            let states = network.states();
            let message = format!("trajectories of {states} steps are too long for norms of their gradients on a GPU");
            return Err(EngineError::Limit(message));
        }
        let hidden = || sources.kernel(context, "hidden_norms", &[]);
        Ok(Self {
            head: sources.kernel(context, "head_norms", &[])?,
            hidden: if network.layers.len() > 1 { Some(hidden()?) } else { None },
            first: sources.kernel(context, "first_norms", &[])?,
            sum: sources.kernel(context, "sum_norms", &[])?,
        })
    }

    /// Blocks that are worked on at once in parts of `blocks` blocks, and bytes of `pieces` that they need.
    pub fn blocks_at_once(network: &Network, blocks: usize) -> (usize, u64) {
        let block = 4 * BLOCK * network.pieces();
        let at_once = blocks.min((PIECES / block).max(1));
        (at_once, (at_once * block) as u64)
    }

    /// `norms` of the trajectories of a part, whose deltas are there and which has scored steps. `at_once` blocks fit
    /// `pieces`.
    pub fn record(&mut self, recorder: &mut Recorder, network: &Network, part: &Work, at_once: usize) {
        let (states, blocks) = (network.states(), part.blocks as usize);
        // Two products for half of all pairs.
        let pairs = (BLOCK * states * states / 2) as f64;
        let cost = |layer: &Layer| 4.0 * pairs * f64::from(layer.inputs + layer.outputs);
        let width = network.layers[0].outputs as usize;
        let last = network.layers[network.layers.len() - 1].outputs as usize;
        for first in (0..blocks).step_by(at_once) {
            let count = at_once.min(blocks - first);
            let work = Work { first_slice: first as u32, slices: count as u32, ..*part };
            let head = (BLOCK * states * count * (4 * last + network.outputs())) as f64;
            recorder.dispatch(&mut self.head, &work, [1, states, count], head);
            if let Some(hidden) = &mut self.hidden {
                for (index, layer) in network.layers.iter().enumerate().skip(1) {
                    let work = Work { layer: index as u32, ..work };
                    let groups = [1, network.pair_tiles(), count];
                    recorder.dispatch(hidden, &work, groups, cost(layer) * count as f64);
                }
            }
            let first = (BLOCK * states * count * 8 * width) as f64;
            recorder.dispatch(&mut self.first, &work, [width, count, 1], first);
            recorder.dispatch(&mut self.sum, &work, [count, 1, 1], (BLOCK * count * network.pieces()) as f64);
        }
    }
}
