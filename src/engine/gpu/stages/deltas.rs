//! Stage: what a network's outputs hand back to every pre-activation: all layers in one kernel (shaders/hardware/backward.wgsl) where
//! a batch is small, else layer by layer (shaders/head_backward.wgsl, shaders/dense_backward.wgsl or
//! shaders/hardware/dense_backward.wgsl); and sums over later states (shaders/first_backward.wgsl).
//!
//! For every trajectory by itself, whatever it weighs in a sum: the same deltas serve gradients with several lists of
//! coefficients, and what is made of single trajectories' gradients. Coefficients of single steps are in the deltas.

use crate::engine::gpu::context::Context;
use crate::engine::gpu::kernel::Kernel;
use crate::engine::gpu::kernel_set::KernelSet;
use crate::engine::gpu::network::{Layer, Network};
use crate::engine::gpu::recorder::Recorder;
use crate::engine::gpu::shape::Shapes;
use crate::engine::gpu::source::{Sources, Weights};
use crate::engine::gpu::work::Work;
use crate::engine::{BLOCK, EngineError};

pub(in crate::engine::gpu) struct Deltas {
    /// All layers in one kernel, and trajectories of a workgroup.
    all: Option<(Kernel, usize)>,
    head: Kernel,
    dense: Kernel,
    first: Kernel,
}

impl Deltas {
    pub fn new(context: &Context, sources: &Sources, network: &Network, weights: Weights) -> Result<Self, EngineError> {
        let all = Self::all_layers(network, weights).map(|(name, holding, rows)| {
            let kernel = sources.kernel(context, name, &holding)?;
            Ok::<_, EngineError>((kernel, rows))
        });
        let (dense, holding) = network.set.dense_backward();
        Ok(Self {
            all: all.transpose()?,
            head: sources.kernel(context, "head_backward", weights.definitions())?,
            dense: sources.kernel(context, dense, holding)?,
            first: sources.kernel(context, "first_backward", &[])?,
        })
    }

    /// The kernel that goes back through all layers, if there is one for a network: its name, what holds in it, trajectories of a
    /// workgroup.
    pub fn all_layers(network: &Network, weights: Weights) -> Option<(&'static str, Vec<&'static str>, usize)> {
        let rows = Shapes::of(network)?.backward.trajectories();
        Some(("hardware_backward", [&["BACKWARD"], weights.definitions()].concat(), rows))
    }

    /// To the deltas of a part, in the place of its slopes if those were kept; those of the first layer summed over later states.
    pub fn record(&mut self, recorder: &mut Recorder, network: &Network, part: &Work) {
        let (begin, end) = (part.scored_from, network.states());
        let work = Work { first_step: begin, last_step: end as u32, ..*part };
        let steps = end - begin as usize;
        match &mut self.all {
            Some((kernel, rows)) if is_small(network, part.count as usize, steps) => {
                let groups = [BLOCK / *rows, steps, part.blocks as usize];
                let cost = head_cost(network) + network.products();
                recorder.dispatch(kernel, &work, groups, cost * (steps * part.blocks as usize) as f64);
            }
            _ => {
                self.head(recorder, network, &work, steps);
                for layer in (1..network.layers.len()).rev() {
                    self.dense(recorder, network, &Work { layer: layer as u32, ..work }, steps);
                }
            }
        }
        let (width, blocks) = (network.layers[0].outputs as usize, part.blocks as usize);
        let cost = (BLOCK * blocks * 4 * width * network.states()) as f64;
        recorder.dispatch(&mut self.first, part, [width, blocks, 1], cost);
    }

    fn head(&mut self, recorder: &mut Recorder, network: &Network, work: &Work, steps: usize) {
        let width = network.layers[network.layers.len() - 1].outputs as usize;
        let blocks = work.blocks as usize;
        let cost = head_cost(network) * (steps * blocks) as f64;
        recorder.dispatch(&mut self.head, work, [width, steps, blocks], cost);
    }

    fn dense(&mut self, recorder: &mut Recorder, network: &Network, work: &Work, steps: usize) {
        let (layer, tiling) = (&network.layers[work.layer as usize], &network.tiling);
        let groups_of_block = match network.set {
            KernelSet::Software => {
                let tiles = BLOCK / (4 * tiling.rows) * (layer.inputs as usize / tiling.units);
                (tiles * steps).div_ceil(BLOCK)
            }
            KernelSet::Hardware => across(network, layer) * steps,
        };
        let groups = [groups_of_block, work.blocks as usize, 1];
        let cost = layer.products() * (work.blocks as usize * steps) as f64;
        recorder.dispatch(&mut self.dense, work, groups, cost);
    }
}

/// Workgroups of hardware/dense_backward.wgsl for a step of a block.
fn across(network: &Network, layer: &Layer) -> usize {
    layer.inputs.div_ceil(2 * network.backward_lanes()) as usize
}

/// The workgroups that [`Tiling::fused_below`](crate::engine::gpu::Tiling::fused_below) counts, for so many trajectories and scored
/// steps of each.
pub(in crate::engine::gpu) fn workgroups(network: &Network, trajectories: usize, steps: usize) -> usize {
    let widest = network.layers[1..].iter().map(|layer| across(network, layer)).max().unwrap_or(1);
    widest * steps * trajectories.div_ceil(BLOCK)
}

/// Whether a batch of `trajectories` goes back through all layers in one kernel. It is for the whole batch, however many parts
/// memory makes of it.
fn is_small(network: &Network, trajectories: usize, steps: usize) -> bool {
    workgroups(network, trajectories, steps) < network.tiling.fused_below
}

/// Multiply-adds from the outputs to the last layer, for one step of a block.
fn head_cost(network: &Network) -> f64 {
    let width = network.layers[network.layers.len() - 1].outputs as usize;
    (BLOCK * network.outputs() * 4 * width) as f64
}
