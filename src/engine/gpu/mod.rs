//! The GPU engine: WGSL kernels on any adapter that wgpu knows.
//!
//! A rollout is `order` (which site when), `rollout` (the policy along all steps, in one dispatch), `finish` and then
//! log R; a gradient is `deltas`, from the last layer back, and `sums` over trajectories. Every stage is a file of
//! `stages` beside its shaders in `shaders/`. The host sees a batch's log-probabilities, and a gradient, nothing
//! else. Activations stay on the device as far as the memory budget goes; blocks beyond are replayed for their gradient,
//! by the same kernel with the same order of operations, so the budget does not show in the result.

mod buffers;
mod ceiling;
mod context;
mod held;
mod kernel;
#[cfg(test)]
mod kernel_list;
mod kernel_set;
mod limits;
mod link;
mod memory;
mod network;
#[cfg(all(test, target_os = "linux"))]
mod offline;
mod parts;
mod passes;
mod pending;
mod recorder;
mod resident;
mod reward;
mod shape;
mod source;
#[cfg(test)]
mod spirv_rules;
mod stages;
mod supplied;
#[cfg(test)]
mod tests;
mod tiling;
mod told;
mod tune;
#[cfg(test)]
mod twins;
mod work;

pub use crate::engine::{AdapterDescription, AdapterKind};
pub use ceiling::{Ceiling, ceiling};
pub(crate) use context::description;
pub use context::{adapters, alike, has_hardware_adapter, kind};
pub use kernel_set::KernelSet;
pub use memory::need;
pub use passes::Pass;
pub use tiling::Tiling;
pub use tune::{Timing, Tuned, tune};

use std::sync::Arc;

use self::buffers::Buffers;
use self::context::Context;
use self::held::HeldBatch;
use self::limits::check_adapter;
use self::network::{Input, Network};
use self::recorder::Recorder;
use self::reward::{Reward, padded};
use self::source::Sources;
use self::stages::{Accumulator, Quantity, Spread, Stages};
use super::check::{self, Held};
use super::resident::Resident;
use super::{
    BLOCK, Batch, Coefficients, Counts, Differentiate, EngineError, Moments, Roll, Rollout, square_norms_by_definition,
};
use crate::network::{Activation, Arrangement, Layout};
use crate::process::{Objects, Process, Trajectories};
use crate::targets::Target;

/// Settings of a [`GpuEngine`].
#[derive(Clone, Debug)]
pub struct GpuOptions {
    /// Words that the adapter's name, backend or driver must contain ("gl" or "opengl" for OpenGL); the best adapter
    /// if none are given.
    pub adapter: Option<String>,
    /// Which of those that match, best first: they can be alike.
    pub adapter_index: usize,
    /// Bytes of activations kept between a rollout and its gradient. One block of 64 trajectories is always kept. A network
    /// that gives log R may take as many again.
    pub memory_budget: u64,
    /// Sizes of register tiles; what suits the adapter if none are given.
    pub tiling: Option<Tiling>,
    /// Which kernels run; those that suit the adapter if it is not said.
    pub kernels: Option<KernelSet>,
}

impl Default for GpuOptions {
    fn default() -> Self {
        Self { adapter: None, adapter_index: 0, memory_budget: 1 << 30, tiling: None, kernels: None }
    }
}

/// The engine on a GPU, in f32.
pub struct GpuEngine {
    context: Context,
    network: Network,
    stages: Stages,
    spread: Spread,
    buffers: Buffers,
    memory_budget: u64,
    reward: Reward,
    held: Held,
    batch: HeldBatch,
    /// What trains on the device, where a training is there.
    training: Option<Box<resident::Training>>,
}

/// Blocks of a part: kernels loop over them, see `ITERATIONS`.
const MOST_BLOCKS: usize = 512;

impl GpuEngine {
    /// # Errors
    /// `NoAdapter` if no adapter matches, `Limit` if the network does not fit the adapter or the process, `Kernel` if
    /// the target's WGSL does not compile, `Device` if the driver fails.
    pub fn new(
        process: impl Into<Arc<dyn Process>>,
        layout: Layout,
        activation: Activation,
        target: Arc<dyn Target>,
        options: GpuOptions,
    ) -> Result<Self, EngineError> {
        let process = process.into();
        check::shape(process.as_ref(), &layout)?;
        let context = Context::open(options.adapter.as_deref(), options.adapter_index)?;
        let widest = layout.widths[1..layout.widths.len() - 1].iter().copied().max().unwrap_or(1);
        let tiling = options.tiling.unwrap_or_else(|| Tiling::suggested(context.adapter.kind, widest));
        check_adapter(&context, process.as_ref(), &tiling)?;
        let network = Network::new(process, Input::States, layout, tiling).map_err(|quads| {
            EngineError::Limit(format!("the network needs buffers of {} bytes: make its layers narrower", 16 * quads))
        })?;
        let set = options.kernels.unwrap_or_else(|| KernelSet::suited(context.adapter.kind));
        let network = network.with(set, context.workgroup_memory());
        let sources = Sources::new(&network, activation);
        supplied::check_process(&sources, &network)?;
        supplied::check_guide(&sources, &network)?;
        let memory_budget = options.memory_budget;
        let reward = Reward::new(&context, &sources, target, options.tiling, set, memory_budget)?;
        let bytes = sources.uniform_bytes();
        let stages = Stages::new(&context, sources, &network)?;

        let mut buffers = Buffers::default();
        Recorder::prepare(&context, &mut buffers)?;
        buffers.uniform(&context, "network", bytes)?;
        buffers.write(&context, "network", &network.layers);
        let advice = "make the policy's layers narrower, or the object smaller";
        let spread = Spread::new(&context, stages.sources(), &network, &mut buffers, advice)?;
        Ok(Self {
            context,
            network,
            stages,
            spread,
            buffers,
            memory_budget,
            reward,
            held: Held::Nothing,
            batch: HeldBatch::default(),
            training: None,
        })
    }

    /// The lists of `accumulator` over the batch held, each in the engine's order of parameters.
    fn sums<const LISTS: usize>(
        &mut self,
        accumulator: Accumulator,
        coefficients: &[f64],
    ) -> Result<[Vec<f64>; LISTS], EngineError> {
        let count = self.batch.count;
        check::coefficients(coefficients, count, "trajectories")?;
        self.held.differentiable()?;
        if count == 0 {
            return Ok(std::array::from_fn(|_| vec![0.0; self.network.arrangement.length()]));
        }
        self.buffers.write(&self.context, "coefficients", &padded(coefficients));
        self.sweep(Quantity::Sums(accumulator))?;
        let length = 4 * self.network.gradient as usize;
        let [lists] = self.buffers.read::<f32, 1>(&self.context, ["gradient"], LISTS * length)?;
        Ok(std::array::from_fn(|list| lists[list * length..][..length].iter().map(|&value| f64::from(value)).collect()))
    }

    /// The gradient with coefficients for each step.
    fn sum_of_steps(&mut self, coefficients: [&[f64]; 3]) -> Result<Vec<f64>, EngineError> {
        self.held.differentiable()?;
        let (count, length) = (self.batch.count, self.network.arrangement.length());
        if count == 0 {
            return Ok(vec![0.0; length]);
        }
        // [trajectory][list][step], as log_probs.
        let (steps, lists) = (self.network.process.max_steps(), self.network.lists());
        let numbers = count.next_multiple_of(BLOCK) * lists * steps;
        self.buffers.reserve(&self.context, "step_coefficients", 4 * numbers as u64, "make the batch smaller")?;
        let mut weights = vec![0.0_f32; numbers];
        for (row, weights) in weights.chunks_exact_mut(lists * steps).enumerate().take(count) {
            for (weights, list) in weights.chunks_exact_mut(steps).zip(coefficients) {
                let given = list.get(row * steps..(row + 1) * steps).unwrap_or_default();
                weights.iter_mut().zip(given).for_each(|(weight, &c)| *weight = c as f32);
            }
        }
        self.buffers.write(&self.context, "step_coefficients", &weights);
        self.buffers.write(&self.context, "coefficients", &padded(&vec![1.0; count]));
        self.batch.forget_deltas(self.network.keeps_z());
        self.sweep(Quantity::Steps)?;
        // These deltas are of no use for anything else.
        self.batch.forget_deltas(self.network.keeps_z());
        let [gradient] = self.buffers.read::<f32, 1>(&self.context, ["gradient"], length)?;
        Ok(gradient.into_iter().map(f64::from).collect())
    }
}

impl Roll for GpuEngine {
    fn name(&self) -> String {
        format!("gpu: {} ({})", self.context.adapter.name, self.context.adapter.backend)
    }

    fn adapter(&self) -> String {
        self.context.adapter.name.clone()
    }

    fn counts(&self) -> Option<Counts> {
        Some(self.context.pending.counts())
    }

    fn resident(&mut self) -> Option<&mut dyn Resident> {
        Some(self)
    }

    fn rollout(&mut self, request: &Rollout) -> Result<Batch, EngineError> {
        check::request(self.network.process.as_ref(), request)?;
        let count = request.count;
        self.record_rollout(request)?;
        if count == 0 {
            return Ok(Batch::default());
        }
        let [log_values, log_rewards] =
            self.buffers.read::<f32, 2>(&self.context, ["log_forward", "log_rewards"], count)?;
        let mut log_reward = self.reward.told(&log_rewards);
        if self.reward.is_on_host() {
            let objects = self.objects()?;
            log_reward = self.reward.log_reward(&self.context, &objects)?;
        }
        let log_forward = log_values.into_iter().map(f64::from).collect();
        let mut batch = Batch { log_forward, log_reward, ..Batch::default() };
        let scored_from = request.given.map_or(0, |given| given.scored_from);
        self.complete(scored_from, request.stepwise, &mut batch)?;
        Ok(batch)
    }

    fn trajectories(&mut self) -> Result<Trajectories, EngineError> {
        let steps = self.network.process.max_steps();
        if self.batch.count == 0 {
            return Ok(Trajectories::new(steps, Vec::new()));
        }
        let [actions] = self.buffers.read(&self.context, ["actions"], self.batch.count * steps)?;
        Ok(Trajectories::new(steps, actions))
    }

    fn objects(&mut self) -> Result<Objects, EngineError> {
        let trajectories = self.trajectories()?;
        Ok(self.network.process.finish(&trajectories))
    }

    fn log_reward(&mut self, objects: &Objects) -> Result<Vec<f64>, EngineError> {
        self.reward.log_reward(&self.context, objects)
    }

    fn reward_gradient(&mut self, objects: &Objects, coefficients: &[f64]) -> Result<Vec<f64>, EngineError> {
        self.reward.gradient(&self.context, objects, coefficients)
    }
}

impl Differentiate for GpuEngine {
    fn arrangement(&self) -> &Arrangement {
        &self.network.arrangement
    }

    fn load(&mut self, arranged: &[f64]) -> Result<(), EngineError> {
        check::arranged(&self.network.arrangement, arranged)?;
        self.held = self.held.outdated();
        self.spread.upload(&self.context, &self.buffers, &self.network, arranged)
    }

    fn held(&self) -> usize {
        self.batch.count
    }

    fn accumulate(&mut self, coefficients: &Coefficients, total: &mut [f64]) -> Result<(), EngineError> {
        check::weights(coefficients, self.batch.count, self.network.process.max_steps())?;
        check::arranged(&self.network.arrangement, total)?;
        let gradient = match coefficients {
            Coefficients::Trajectories(coefficients) => {
                let [gradient] = self.sums(Accumulator::Gradient, coefficients)?;
                gradient
            }
            Coefficients::Steps(coefficients) => self.sum_of_steps(coefficients.lists())?,
        };
        total.iter_mut().zip(gradient).for_each(|(total, part)| *total += part);
        Ok(())
    }

    fn square_norms(&mut self) -> Result<Vec<f64>, EngineError> {
        self.held.differentiable()?;
        let HeldBatch { count, work, .. } = self.batch;
        if self.network.filling.is_none() {
            return square_norms_by_definition(self);
        }
        if count == 0 || work.scored_from as usize == self.network.states() {
            return Ok(vec![0.0; count]);
        }
        let bytes = 4 * count.next_multiple_of(BLOCK) as u64;
        self.buffers.reserve(&self.context, "norms", bytes, "make the batch smaller")?;
        self.sweep(Quantity::Norms)?;
        let [norms] = self.buffers.read::<f32, 1>(&self.context, ["norms"], count)?;
        Ok(norms.into_iter().map(f64::from).collect())
    }

    fn moments(&mut self, coefficients: &[f64]) -> Result<Moments, EngineError> {
        let [sum, weighted_sum, squares, weighted_squares] = self.sums(Accumulator::Moments, coefficients)?;
        Ok(Moments { sum, weighted_sum, squares, weighted_squares })
    }

    fn leave_one_out_gradient(&mut self, coefficients: &[f64], moments: &Moments) -> Result<Vec<f64>, EngineError> {
        check::coefficients(coefficients, self.batch.count, "trajectories")?;
        check::moments(&self.network.arrangement, moments)?;
        self.held.differentiable()?;
        let lists = [&moments.squares, &moments.weighted_squares];
        let totals: Vec<f32> = lists.into_iter().flatten().map(|&value| value as f32).collect();
        let bytes = size_of_val(totals.as_slice()) as u64;
        self.buffers.reserve(&self.context, "totals", bytes, "make hidden layers narrower")?;
        self.buffers.write(&self.context, "totals", &totals);
        let [gradient] = self.sums(Accumulator::LeftOut, coefficients)?;
        Ok(gradient)
    }
}

/// Bytes of so many quads.
fn quads(count: u32) -> u64 {
    16 * u64::from(count)
}
