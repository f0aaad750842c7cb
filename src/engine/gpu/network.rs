//! A network as the kernels see it, a policy or what gives log R: padded widths, places of tensors in buffers.
//!
//! Widths are padded with zero weights to whole tiles; as every activation is 0 at 0, padded units stay 0 and get no
//! gradient. All sizes and places count quads (`vec4<f32>`, 4 numbers).

use std::sync::Arc;

use bytemuck::{Pod, Zeroable};

use super::kernel_set::{KernelSet, ORDERED, SLICE_ROWS};
use super::shape::{CHAINS, HEAD_LANES, Shapes};
use super::tiling::Tiling;
use crate::engine::BLOCK;
use crate::network::{Arrangement, Layer as Tensor, Layout};
use crate::process::{Encoding, Flow, GuideKernel, Head, NO_ACTION, Process, SiteFilling};

/// The twin of `Layer` in shaders/lib/work.wgsl.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
pub(super) struct Layer {
    pub inputs: u32,
    pub outputs: u32,
    pub forward: u32,
    pub backward: u32,
    pub bias: u32,
    pub offset: u32,
    pub gradient: u32,
    pub gradient_bias: u32,
}

impl Layer {
    /// Multiply-adds of the layer for one step of a block.
    pub fn products(&self) -> f64 {
        16.0 * BLOCK as f64 * f64::from(self.inputs) * f64::from(self.outputs)
    }
}

/// What a network is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// The state before each step of a trajectory: a policy, with a logit for each value of the step's site.
    States,
    /// Finished objects, one output each.
    Objects,
}

/// Where everything lies, in quads.
pub(super) struct Network {
    pub process: Arc<dyn Process>,
    /// The process, where it chooses the sites and the policy their values; or where objects are finished.
    pub filling: Option<SiteFilling>,
    /// What is added to the logits of a policy that fills sites.
    pub guide: Option<GuideKernel>,
    pub input: Input,
    pub layout: Layout,
    /// Where parameters lie in a packed gradient, counted in numbers.
    pub arrangement: Arrangement,
    pub tiling: Tiling,
    /// Which kernels run, and bytes of workgroup memory that they may use.
    pub set: KernelSet,
    pub workgroup_memory: usize,
    /// Hidden layers.
    pub layers: Vec<Layer>,
    /// Hidden activations of one step of a block.
    pub step: u32,
    /// Length of the packed weights, and places in them.
    pub weights: u32,
    pub head: u32,
    pub head_bias: u32,
    pub changes: u32,
    pub initial: u32,
    pub guide_parameters: u32,
    /// Length of the packed gradient, and places in it.
    pub gradient: u32,
    pub dense: u32,
    pub dense_size: u32,
    pub head_gradient: u32,
    pub head_bias_gradient: u32,
}

impl Network {
    /// Lays out a network of at least one hidden layer for kernels of the given tiling.
    ///
    /// # Errors
    /// The number of quads, where it does not fit 32 bits.
    pub fn new(
        process: impl Into<Arc<dyn Process>>,
        input: Input,
        layout: Layout,
        tiling: Tiling,
    ) -> Result<Self, u64> {
        let process = process.into();
        let filling = process.as_site_filling().filter(|_| process.head() == Head::Site).cloned();
        let hidden = &layout.widths[1..layout.widths.len() - 1];
        let widths: Vec<u64> =
            hidden.iter().map(|width| (width.next_multiple_of(tiling.multiple()) / 4) as u64).collect();
        let (columns, rows) = (process.columns() as u64, *layout.widths.last().unwrap_or(&0) as u64);
        let block = BLOCK as u64;

        let mut weights = Places::default();
        let mut gradient = Places::default();
        let mut step = Places::default();
        let mut layers = Vec::new();
        let mut dense = 0;
        for (index, &outputs) in widths.iter().enumerate() {
            let inputs = if index == 0 { 0 } else { widths[index - 1] };
            let input_rows = if index == 0 { columns } else { 4 * inputs };
            let weight = if index == 0 { columns * outputs } else { 4 * outputs * inputs };
            layers.push(Layer {
                inputs: inputs as u32,
                outputs: outputs as u32,
                forward: weights.take(input_rows * outputs),
                bias: weights.take(outputs),
                backward: weights.take(4 * outputs * inputs),
                offset: step.take(block * outputs),
                gradient: gradient.take(weight),
                gradient_bias: gradient.take(outputs),
            });
            if index == 0 {
                dense = gradient.0;
            }
        }
        let dense_size = gradient.0 - dense;
        let last = widths[widths.len() - 1];
        let guided = process.guide().filter(|_| input == Input::States && filling.is_some());
        let guide = guided.and_then(|guide| guide.kernel());
        let parameters = guide.as_ref().map_or(0, |guide| guide.parameters.len());
        let mut network = Self {
            arrangement: Arrangement::new(Vec::new(), 0),
            head: weights.take(rows * last),
            head_bias: weights.take(rows.div_ceil(4)),
            changes: weights.take(process.values().div_ceil(4) as u64),
            initial: weights.take(process.columns().div_ceil(4) as u64),
            guide_parameters: weights.take(parameters.div_ceil(4) as u64),
            head_gradient: gradient.take(rows * last),
            head_bias_gradient: gradient.take(rows),
            weights: weights.0 as u32,
            gradient: gradient.0 as u32,
            dense: dense as u32,
            dense_size: dense_size as u32,
            step: step.0 as u32,
            layers,
            process,
            filling,
            guide,
            input,
            layout,
            tiling,
            set: KernelSet::Software,
            workgroup_memory: 0,
        };
        let most = weights.0.max(gradient.0).max(step.0);
        // Places are counted in numbers, four to a quad.
        if most > u64::from(u32::MAX / 4) {
            return Err(most);
        }
        network.arrangement = Arrangement::new(network.places(), 4 * network.gradient as usize);
        Ok(network)
    }

    /// The same for other kernels than those for software adapters.
    pub fn with(self, set: KernelSet, workgroup_memory: usize) -> Self {
        Self { set, workgroup_memory, ..self }
    }

    /// Whether z alone is kept of hidden layers, and h and f'(z) are made of it where they are read: where data goes through workgroup
    /// memory. Else h is kept for the layer above to read, and f'(z) beside it.
    pub fn keeps_z(&self) -> bool {
        Shapes::of(self).is_some()
    }

    /// The kernel that orders sites, and trajectories of a workgroup.
    pub fn order(&self) -> (&'static str, usize) {
        self.set.order(self.process.sites(), self.workgroup_memory)
    }

    /// Quads of the widest layer.
    pub fn widest(&self) -> usize {
        self.layers.iter().map(|layer| layer.outputs as usize).max().unwrap_or(0)
    }

    /// Lanes across a hardware kernel's tile of two quads each: as many as the widest of `sizes` fills, from `least` to `most`.
    fn lanes(sizes: impl Iterator<Item = u32>, least: u32, most: u32) -> u32 {
        sizes.max().unwrap_or(0).div_ceil(2).next_power_of_two().clamp(least, most)
    }

    /// Those of a tile of units in hardware/dense_backward.wgsl.
    pub fn backward_lanes(&self) -> u32 {
        Self::lanes(self.layers[1..].iter().map(|layer| layer.inputs), 16, 32)
    }

    /// Those of either side of a tile in hardware/weight_gradient.wgsl.
    pub fn gradient_lanes(&self) -> u32 {
        Self::lanes(
            self.layers[1..].iter().map(|layer| layer.inputs.max(layer.outputs)),
            8,
            self.tiling.gradient_tile as u32 / 8,
        )
    }

    /// States of a trajectory that the network sees.
    pub fn states(&self) -> usize {
        if self.input == Input::Objects { 1 } else { self.process.max_steps() }
    }

    /// Outputs that are needed of a state.
    pub fn outputs(&self) -> usize {
        match (self.input, &self.filling) {
            (Input::Objects, _) => 1,
            (Input::States, Some(filling)) => filling.values,
            (Input::States, None) => self.process.outputs(),
        }
    }

    /// Rows of the head.
    pub fn head_rows(&self) -> usize {
        self.layout.widths[self.layout.widths.len() - 1]
    }

    /// Register tiles of pairs of a trajectory's states.
    pub fn pair_tiles(&self) -> usize {
        let states = self.states();
        states.div_ceil(4 * self.tiling.rows) * states.div_ceil(4 * self.tiling.units)
    }

    /// Pieces that the square norm of a trajectory's gradient is the sum of: a state's, a quad of the first layer's, a
    /// tile's of each other layer.
    pub fn pieces(&self) -> usize {
        self.states() + self.layers[0].outputs as usize + (self.layers.len() - 1) * self.pair_tiles()
    }

    /// Multiply-adds of the hidden layers for one step of a block.
    pub fn products(&self) -> f64 {
        self.layers.iter().map(Layer::products).sum()
    }

    /// Words of the actions that a state allows, and of the backward actions that can have led to it, a bit each.
    pub fn mask_words(&self) -> usize {
        (self.process.actions() + self.process.backward_actions()).div_ceil(32)
    }

    /// Lists of numbers that there are for each step, in log_probs and among coefficients: those of log P_F alone, or of log P_F,
    /// log P_B and log F where the policy says more than the first.
    pub fn lists(&self) -> usize {
        let more = self.process.outputs() > self.process.actions() || self.process.flow() != Flow::Unsaid;
        if more { 3 } else { 1 }
    }

    /// Words of what is known of a trajectory whose process is not site filling (shaders/lib/walk.wgsl).
    pub fn walk_size(&self) -> usize {
        self.process.state_words() + self.process.max_steps() * (self.mask_words() + 4)
    }

    /// The parts of the weights that are the process's own, with their places in quads: what setting a site to each of its
    /// values adds to an input, the inputs before the first action, and a guide's parameters.
    pub fn own_weights(&self) -> [(u32, Vec<f32>); 3] {
        let changes = self
            .filling
            .as_ref()
            .map_or(Vec::new(), |filling| (0..filling.values).map(|value| filling.change(value).1 as f32).collect());
        let initial = self.process.initial_input().into_iter().map(|input| input as f32).collect();
        let guide = self.guide.as_ref().map_or(Vec::new(), |guide| guide.parameters.clone());
        [(self.changes, changes), (self.initial, initial), (self.guide_parameters, guide)]
    }

    /// The first layer's pre-activation before the first action, from parameters in the order of the arrangement: its bias, and
    /// its columns times the inputs then, added up in f64.
    pub fn start(&self, arranged: &[f64]) -> Vec<f32> {
        let first = &self.layers[0];
        let width = 4 * first.outputs as usize;
        let (weight, bias) = (4 * first.gradient as usize, 4 * first.gradient_bias as usize);
        let mut sums = vec![0.0; width];
        let initial = self.process.initial_input();
        let columns = arranged[weight..bias].chunks_exact(width).zip(&initial).filter(|(_, input)| **input != 0.0);
        for (column, input) in columns {
            sums.iter_mut().zip(column).for_each(|(sum, value)| *sum += input * value);
        }
        arranged[bias..][..width].iter().zip(sums).map(|(bias, sum)| (bias + sum) as f32).collect()
    }

    /// Quads of the largest layer's parameters.
    pub fn largest_layer(&self) -> usize {
        let first = (self.process.columns() + 1) * self.layers[0].outputs as usize;
        let hidden = self.layers[1..].iter().map(|layer| (4 * layer.inputs as usize + 1) * layer.outputs as usize);
        let last = self.layers[self.layers.len() - 1].outputs as usize;
        let head = self.head_rows() * last + self.head_rows().div_ceil(4);
        hidden.fold(first.max(head), usize::max)
    }

    /// The place in a gradient, counted in numbers, of each parameter in the order of [`Layout`].
    fn places(&self) -> Vec<u32> {
        let mut places = vec![0; self.layout.parameters()];
        let tensors = self.layout.layers();
        for (index, (layer, tensor)) in self.layers.iter().zip(&tensors).enumerate() {
            // The first layer has a row a column of inputs, the others one an output.
            let (inputs, outputs) = (4 * layer.inputs, 4 * layer.outputs);
            let (by_output, by_input) = if index == 0 { (1, outputs) } else { (inputs, 1) };
            let rows = places[tensor.weight.clone()].chunks_exact_mut(tensor.inputs);
            for (output, row) in (0..).zip(rows) {
                let first = 4 * layer.gradient + output * by_output;
                (0..).zip(row).for_each(|(input, place)| *place = first + input * by_input);
            }
            (0..).zip(&mut places[tensor.bias.clone()]).for_each(|(output, place)| {
                *place = 4 * layer.gradient_bias + output;
            });
        }
        let (head, last) = self.head_tensor(&tensors);
        for (output, row) in (0..).zip(places[head.weight.clone()].chunks_exact_mut(head.inputs)) {
            let first = 4 * self.head_gradient + output * last as u32;
            (0..).zip(row).for_each(|(input, place)| *place = first + input);
        }
        // A quad a bias, of which it has the first number.
        (0..).zip(&mut places[head.bias.clone()]).for_each(|(output, place)| {
            *place = 4 * (self.head_bias_gradient + output);
        });
        places
    }

    /// The head's place among the parameters, and its padded width.
    fn head_tensor<'a>(&self, tensors: &'a [Tensor]) -> (&'a Tensor, usize) {
        (&tensors[self.layers.len()], 4 * self.layers[self.layers.len() - 1].outputs as usize)
    }

    /// The constants that kernels know this network and process by.
    pub fn constants(&self) -> Vec<(&'static str, u32)> {
        let process = &self.process;
        let shapes = Shapes::of(self).unwrap_or_default();
        let columns_a_site = match &self.filling {
            Some(SiteFilling { encoding: Encoding::OneHot, values, .. }) => *values,
            _ => 1,
        };
        vec![
            ("SITES", process.sites() as u32),
            ("VALUES", process.values() as u32),
            ("MAX_STEPS", process.max_steps() as u32),
            ("ACTIONS", process.actions() as u32),
            ("BACKWARD_ACTIONS", process.backward_actions() as u32),
            ("STEP_LISTS", self.lists() as u32),
            ("STOP", process.stop().unwrap_or(NO_ACTION)),
            ("STATE_WORDS", process.state_words() as u32),
            ("MASK_WORDS", self.mask_words() as u32),
            ("WALK_SIZE", self.walk_size() as u32),
            ("COLUMNS", process.columns() as u32),
            ("COLUMNS_A_SITE", columns_a_site as u32),
            ("LAYERS", self.layers.len() as u32),
            ("STATES", self.states() as u32),
            ("OUTPUTS", self.outputs() as u32),
            ("PAIR_TILES", self.pair_tiles() as u32),
            ("PIECES", self.pieces() as u32),
            ("STEP_SIZE", self.step),
            ("HEAD", self.head),
            ("HEAD_ROWS", self.head_rows() as u32),
            ("HEAD_BIAS", self.head_bias),
            ("CHANGES", self.changes),
            ("INITIAL", self.initial),
            ("GUIDE", self.guide_parameters),
            ("GRADIENT", self.gradient),
            ("DENSE", self.dense),
            ("DENSE_SIZE", self.dense_size),
            ("HEAD_GRADIENT", self.head_gradient),
            ("HEAD_BIAS_GRADIENT", self.head_bias_gradient),
            ("CHUNK", self.set.chunk() as u32),
            ("SLICE_ROWS", SLICE_ROWS as u32),
            ("BACKWARD_LANES", self.backward_lanes()),
            ("GRADIENT_LANES", self.gradient_lanes()),
            ("LANES", shapes.small.lanes as u32),
            ("SMALL_SPLITS", shapes.small.splits as u32),
            ("SMALL_TEAMS", shapes.small.teams as u32),
            ("SMALL_QUADS", shapes.small.quads as u32),
            ("LARGE_SPLITS", shapes.large.splits as u32),
            ("LARGE_TEAMS", shapes.large.teams as u32),
            ("LARGE_QUADS", shapes.large.quads as u32),
            ("BACKWARD_TEAMS", shapes.backward.teams as u32),
            ("WIDEST", self.widest() as u32),
            ("ORDERED", ORDERED as u32),
            ("CHAINS", CHAINS as u32),
            ("HEAD_LANES", HEAD_LANES as u32),
        ]
    }
}

/// Hands out consecutive places.
#[derive(Default)]
struct Places(u64);

impl Places {
    /// The place of the next `size` quads. (Places that do not fit 32 bits are refused by the caller as a whole.)
    fn take(&mut self, size: u64) -> u32 {
        self.0 += size;
        (self.0 - size) as u32
    }
}
