//! Stage: what is added up over trajectories, parameter by parameter (shaders/head_gradient.wgsl,
//! shaders/first_gradient.wgsl, shaders/weight_gradient.wgsl or shaders/hardware/weight_gradient.wgsl or
//! shaders/hidden_scores.wgsl, shaders/fold.wgsl).

use crate::engine::gpu::context::Context;
use crate::engine::gpu::kernel::Kernel;
use crate::engine::gpu::kernel_set::{KernelSet, SLICE_ROWS};
use crate::engine::gpu::network::{Input, Layer, Network};
use crate::engine::gpu::recorder::{ITERATIONS, Recorder};
use crate::engine::gpu::source::{Sources, Weights};
use crate::engine::gpu::work::Work;
use crate::engine::{BLOCK, EngineError};

/// Bytes of hidden layers' slices that are held at once, where there are several, and how many: `fold` loops over them.
const PARTIALS: u64 = 1 << 26;
const MOST_SLICES: u64 = 4096;

/// Slices of the head's and of the first layer's sums that a block is cut in.
const SLICES_OF_BLOCK: usize = BLOCK / SLICE_ROWS;

/// What is made of the gradients h of single trajectories, and of their coefficients c.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine::gpu) enum Accumulator {
    /// sum c h. No h is ever formed by itself: hidden layers are products over all trajectories.
    Gradient,
    /// sum h, sum c h, sum h^2 and sum c h^2.
    Moments,
    /// sum h (c - k), k from the moments of all other trajectories, which `totals` holds.
    LeftOut,
}

impl Accumulator {
    /// Lists of the length of a gradient.
    pub fn lists(self) -> usize {
        if self == Self::Moments { 4 } else { 1 }
    }

    /// What kernels know it by.
    pub fn definition(self) -> &'static str {
        match self {
            Self::Gradient => "SUM",
            Self::Moments => "MOMENTS",
            Self::LeftOut => "LEFT_OUT",
        }
    }
}

pub(in crate::engine::gpu) struct Sums {
    accumulator: Accumulator,
    head: End,
    /// Where there are several hidden layers.
    hidden: Option<Hidden>,
    first: End,
}

/// What sums the head, or the first layer; and what adds up its slices, where there are some.
struct End {
    sum: Kernel,
    fold: Option<Kernel>,
    /// Quads of its part of a gradient.
    quads: usize,
}

/// What sums slices of a hidden layer, and what adds up the slices.
struct Hidden {
    slices: Kernel,
    fold: Kernel,
}

impl Sums {
    /// # Errors
    /// `Limit` if trajectories are longer than a driver may loop over.
    pub fn new(
        context: &Context,
        sources: &Sources,
        network: &Network,
        accumulator: Accumulator,
        weights: Weights,
    ) -> Result<Self, EngineError> {
        if blocks_at_once(network) == 0 {
            let steps = network.process.max_steps();
            let message = format!("trajectories of {steps} steps are too long for gradients on a GPU");
            return Err(EngineError::Limit(message));
        }
        // Four states an iteration, all trajectories of a block. Invocations run side by side: where some have a tile and some a
        // bias, each goes through the loops of both.
        let iterations = 2 * BLOCK * (network.states().div_ceil(4) + 2);
        if accumulator != Accumulator::Gradient && iterations > ITERATIONS {
            let states = network.states();
            let message =
                format!("trajectories of {states} steps are too long for moments of their gradients on a GPU");
            return Err(EngineError::Limit(message));
        }
        let slices = network.set.slices();
        let end = |name, more: &[&'static str], part: usize, quads: u32| {
            let sliced = slices.map_or(vec![], |holding| vec![holding[0], holding[part]]);
            let fold = slices.map(|holding| sources.kernel(context, "fold", &[holding[part]]));
            Ok::<_, EngineError>(End {
                sum: sources.kernel(context, name, &[&[accumulator.definition()], more, &sliced].concat())?,
                fold: fold.transpose()?,
                quads: quads as usize,
            })
        };
        let hidden = || {
            let slices = match accumulator {
                Accumulator::Gradient => {
                    let (name, holding) = network.set.weight_gradient();
                    sources.kernel(context, name, holding)
                }
                _ => sources.kernel(context, "hidden_scores", &[accumulator.definition(), "SCORES"]),
            };
            Ok::<_, EngineError>(Hidden { slices: slices?, fold: sources.kernel(context, "fold", &[])? })
        };
        Ok(Self {
            accumulator,
            head: end("head_gradient", weights.definitions(), 1, network.gradient - network.head_gradient)?,
            hidden: if network.layers.len() > 1 { Some(hidden()?) } else { None },
            first: end("first_gradient", &[], 2, network.dense)?,
        })
    }

    /// Slices of the hidden layers that `blocks` blocks are summed in.
    fn slices(&self, network: &Network, blocks: usize) -> usize {
        blocks
            * if self.accumulator == Accumulator::Gradient { network.states().div_ceil(network.set.chunk()) } else { 1 }
    }

    /// Slices that are worked on at once in parts of `blocks` blocks, and bytes of `partials` that they need.
    pub fn slices_at_once(&self, network: &Network, blocks: usize) -> (usize, u64) {
        let bytes = (16 * self.accumulator.lists() as u64 * u64::from(network.dense_size)).max(16);
        let count = self.slices(network, blocks).min(most_slices(bytes));
        let ends = [&self.head, &self.first].into_iter().filter(|end| end.fold.is_some());
        let of_ends = ends.map(|end| {
            let bytes = 16 * (self.accumulator.lists() * end.quads) as u64;
            bytes * (blocks * SLICES_OF_BLOCK).min(most_slices(bytes)) as u64
        });
        (count, of_ends.fold(count as u64 * bytes, u64::max))
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
        let groups = [(last + 1).div_ceil(BLOCK), network.head_rows()];
        let (at_once_here, lists) = (blocks_at_once(network), self.accumulator.lists());
        self.head.record(recorder, part, groups, at_once_here, lists, cost / blocks as f64);

        self.hidden(recorder, network, part, at_once);

        let width = network.layers[0].outputs as usize;
        let columns = network.process.columns();
        let groups = [width.div_ceil(BLOCK), columns + 1];
        let cost = (BLOCK * 4 * width * columns) as f64;
        self.first.record(recorder, part, groups, at_once_here, lists, cost);
    }

    fn hidden(&mut self, recorder: &mut Recorder, network: &Network, part: &Work, at_once: usize) {
        let slices = self.slices(network, part.blocks as usize);
        let Some(hidden) = &mut self.hidden else { return };
        let summed = self.accumulator == Accumulator::Gradient;
        let states = if summed { network.set.chunk() } else { network.states() };
        let lists = self.accumulator.lists();
        for first in (0..slices).step_by(at_once) {
            let count = at_once.min(slices - first);
            let work = Work { first_slice: first as u32, slices: count as u32, lists: lists as u32, ..*part };
            if summed && network.set == KernelSet::Hardware {
                let groups = [weight_tiles(network), count, network.layers.len() - 1];
                recorder.dispatch(&mut hidden.slices, &work, groups, network.products() * (states * count) as f64);
            } else {
                for (index, layer) in network.layers.iter().enumerate().skip(1) {
                    let work = Work { layer: index as u32, ..work };
                    let (inputs, outputs) = (layer.inputs as usize, layer.outputs as usize);
                    // One more invocation a quad of outputs, for the bias.
                    let tiles = inputs / network.tiling.units * (outputs / network.tiling.rows) + outputs;
                    let cost = layer.products() * (states * count) as f64;
                    recorder.dispatch(&mut hidden.slices, &work, [tiles.div_ceil(BLOCK), count, 1], cost);
                }
            }
            let work = Work { slices: count as u32, lists: lists as u32, ..*part };
            let quads = lists * network.dense_size as usize;
            recorder.dispatch(&mut hidden.fold, &work, [quads.div_ceil(BLOCK), 1, 1], (4 * quads * count) as f64);
        }
    }
}

/// Slices of so many bytes each that are held at once.
fn most_slices(bytes: u64) -> usize {
    (PARTIALS / bytes).clamp(1, MOST_SLICES) as usize
}

impl End {
    /// `groups` workgroups a slice, or for so many `blocks` at once; `cost` is that of a block in multiply-adds.
    fn record(
        &mut self,
        recorder: &mut Recorder,
        part: &Work,
        groups: [usize; 2],
        blocks: usize,
        lists: usize,
        cost: f64,
    ) {
        let [x, y] = groups;
        let Some(fold) = &mut self.fold else {
            for part in ranges(part, blocks) {
                recorder.dispatch(&mut self.sum, &part, [x, y, 1], cost * f64::from(part.slices));
            }
            return;
        };
        let slices = part.blocks as usize * SLICES_OF_BLOCK;
        let quads = lists * self.quads;
        let at_once = most_slices(16 * quads as u64);
        for first in (0..slices).step_by(at_once) {
            let count = at_once.min(slices - first);
            let work = Work { first_slice: first as u32, slices: count as u32, lists: lists as u32, ..*part };
            recorder.dispatch(&mut self.sum, &work, [x, y, count], cost / SLICES_OF_BLOCK as f64 * count as f64);
            recorder.dispatch(fold, &work, [quads.div_ceil(BLOCK), 1, 1], (4 * quads * count) as f64);
        }
    }
}

/// Workgroups of hardware/weight_gradient.wgsl for the layer that has most: tiles, and quads of the bias.
fn weight_tiles(network: &Network) -> usize {
    let lanes = network.gradient_lanes();
    let tiles = |layer: &Layer| {
        layer.outputs.div_ceil(2 * lanes) * layer.inputs.div_ceil(2 * lanes) + layer.outputs.div_ceil(lanes * lanes / 4)
    };
    network.layers[1..].iter().map(tiles).max().unwrap_or(0) as usize
}

/// Blocks that one invocation may add up: where outputs and columns are used once a trajectory all of a part, else as many as a
/// driver may loop over.
fn blocks_at_once(network: &Network) -> usize {
    match (network.input, &network.filling) {
        (Input::States, None) => ITERATIONS / (BLOCK * (3 * network.process.max_steps() + 2) + 2),
        _ => usize::MAX,
    }
}

/// A part in ranges of at most so many blocks.
fn ranges(part: &Work, most: usize) -> impl Iterator<Item = Work> {
    let (part, most) = (*part, u32::try_from(most).unwrap_or(u32::MAX).min(part.blocks.max(1)));
    (0..part.blocks).step_by(most as usize).map(move |first| Work {
        first_slice: first,
        slices: most.min(part.blocks - first),
        ..part
    })
}
