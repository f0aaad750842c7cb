//! The batch that an engine holds: rolled out and, for what is asked of it, gone through part by part.

use super::parts::{Parts, Sizes};
use super::recorder::Recorder;
use super::stages::Quantity;
use super::work::Work;
use super::{GpuEngine, MOST_BLOCKS, quads};
use crate::engine::check::Held;
use crate::engine::{BLOCK, EngineError, Rollout};
use crate::process::Trajectories;

/// The batch held.
#[derive(Clone, Copy, Default)]
pub(super) struct HeldBatch {
    pub count: usize,
    /// The draw of the batch and its first scored step.
    pub work: Work,
    parts: Parts,
    /// Parts, from the first on, whose activations are on the device.
    resident: usize,
    /// Whether their deltas are there too.
    differentiated: bool,
    /// Whether their activations are h, where z was kept.
    activated: bool,
}

/// What to do where buffers cannot be as large as they need to be.
const POLICY: &str = "make the policy's hidden layers narrower, or the object smaller";

impl HeldBatch {
    /// Deltas of one kind are of no use for another one. What they are made from is replayed, unless it is z and is there still.
    pub fn forget_deltas(&mut self, keeps_z: bool) {
        if self.differentiated {
            let resident = if keeps_z && !self.activated { self.resident } else { 0 };
            (self.resident, self.differentiated, self.activated) = (resident, false, false);
        }
    }
}

impl GpuEngine {
    /// What is kept of one step of a block: the buffers that it is in, and its bytes in each. Deltas come in the place of slopes;
    /// beside z they are those of one part at a time, and none of these.
    fn slot(&self) -> Vec<(&'static str, u64)> {
        let activations = quads(self.network.step);
        let mut slot =
            vec![("activations", activations), ("probabilities", (4 * BLOCK * self.network.outputs()) as u64)];
        if !self.network.keeps_z() {
            slot.push(("deltas", activations));
        }
        slot
    }

    /// Bytes of a slot, and slots that every buffer has room for on this adapter.
    fn slot_sizes(&self) -> (u64, u64) {
        let bytes = self.slot().into_iter().map(|(_, bytes)| bytes);
        (bytes.clone().sum(), self.context.largest_buffer() / bytes.max().unwrap_or(1))
    }

    /// What a block takes whose activations of all steps stay.
    fn sizes(&self) -> Sizes {
        let steps = self.network.process.max_steps() as u64;
        let (bytes, most) = self.slot_sizes();
        Sizes {
            kept: steps * bytes,
            shared: if self.network.keeps_z() { steps * quads(self.network.step) } else { 0 },
            most: (most / steps).clamp(1, MOST_BLOCKS as u64) as usize,
        }
    }

    /// Blocks of a rollout whose activations do not stay, beside so many slots that there are for those that do.
    fn loose_blocks(&self, slots: usize) -> usize {
        let (bytes, most) = self.slot_sizes();
        let most = most.min(self.memory_budget / bytes) as usize;
        if slots > 0 { slots } else { most }.clamp(1, MOST_BLOCKS)
    }

    /// Makes room for parts that stay, with all of their steps, and for the given number of chains of a block.
    fn reserve_banks(&mut self, parts: Parts, chains: usize) -> Result<(), EngineError> {
        let slots = (parts.blocks * self.network.process.max_steps()) as u64;
        for (name, bytes) in self.slot() {
            self.buffers.reserve_banks(&self.context, name, parts.banks, slots * bytes, POLICY)?;
        }
        self.reserve_states(parts.blocks * chains)
    }

    /// Makes room for `blocks` blocks of which no step stays.
    fn reserve_loose(&mut self, blocks: usize) -> Result<(), EngineError> {
        for (name, bytes) in self.slot() {
            self.buffers.reserve(&self.context, name, blocks as u64 * bytes, POLICY)?;
        }
        self.reserve_states(blocks)
    }

    /// Makes room for z_0 of so many chains of a block.
    fn reserve_states(&mut self, chains: usize) -> Result<(), EngineError> {
        let bytes = (chains * BLOCK) as u64 * quads(self.network.layers[0].outputs);
        self.buffers.reserve(&self.context, "state", bytes, POLICY)
    }

    /// Makes room for what is known of every trajectory.
    fn reserve_batch(&mut self, blocks: usize) -> Result<(), EngineError> {
        let trajectories = (blocks * BLOCK) as u64;
        let advice = "make the batch smaller";
        let (context, buffers) = (&self.context, &mut self.buffers);
        let process = &self.network.process;
        let steps = trajectories * process.max_steps() as u64;
        buffers.reserve(context, "actions", 4 * steps, advice)?;
        buffers.reserve(context, "log_probs", 4 * steps * self.network.lists() as u64, advice)?;
        buffers.reserve(context, "fills", 4 * trajectories * process.sites() as u64, advice)?;
        if self.network.filling.is_none() {
            buffers.reserve(context, "walks", 4 * trajectories * self.network.walk_size() as u64, advice)?;
        }
        for name in ["log_forward", "log_rewards", "coefficients"] {
            buffers.reserve(context, name, 4 * trajectories, advice)?;
        }
        Ok(())
    }

    /// Takes the batch held, part by part, to its deltas and on to what is asked.
    pub(super) fn sweep(&mut self, quantity: Quantity) -> Result<(), EngineError> {
        let HeldBatch { count, work, parts, resident, differentiated, activated } = self.batch;
        let (steps, blocks) = (self.network.process.max_steps(), count.div_ceil(BLOCK));
        let all = parts.each(blocks).count();
        if resident < all {
            self.reserve_banks(parts, steps.div_ceil(self.stages.steps.replay_steps()))?;
        }
        if self.network.keeps_z() {
            let bytes = parts.blocks as u64 * self.sizes().shared;
            self.buffers.reserve(&self.context, "deltas", bytes, POLICY)?;
        }
        // What remains is known at the end.
        self.batch.resident = 0;
        let Self { context, network, stages, buffers, .. } = self;
        let activates = network.keeps_z() && quantity.rereads_signals();
        let at_once = stages.prepare(context, buffers, network, quantity, parts.blocks)?;
        let mut recorder = Recorder::new(context, buffers, &network.tiling);
        for (index, (first, count)) in parts.each(blocks).enumerate() {
            let here = index < resident;
            let mut part = Work { block: first as u32, blocks: count as u32, room: steps as u32, ..work };
            buffers.select(parts.bank(index));
            if !here {
                stages.steps.record(&mut recorder, network, &part, false);
            }
            if !here || !differentiated {
                stages.record_deltas(&mut recorder, network, quantity, &part);
            }
            part.activated = u32::from(here && activated);
            if activates && part.activated == 0 {
                stages.record_signals(&mut recorder, network, &part);
                part.activated = 1;
            }
            stages.record(&mut recorder, network, quantity, &part, at_once);
        }
        buffers.select(0);
        recorder.finish()?;
        // Parts beyond the banks have taken each other's place; where z is kept, all parts have that of the deltas.
        let deltas = !network.keeps_z() || all == 1;
        self.batch.resident = match (activates && !deltas, all > parts.banks) {
            (true, _) => 0,
            (false, true) => parts.banks - 1,
            (false, false) => all,
        };
        self.batch.differentiated = deltas;
        self.batch.activated = deltas && (activates || activated);
        Ok(())
    }

    /// Rolls out a batch and holds it, up to the log-probabilities and log-rewards that the device tells.
    pub(super) fn record_rollout(&mut self, request: &Rollout) -> Result<(), EngineError> {
        let (steps, count) = (self.network.process.max_steps(), request.count);
        let blocks = count.div_ceil(BLOCK);
        let scored_from = request.given.map_or(0, |given| given.scored_from);
        let sampled_from = request.given.map_or(0, |given| given.sampled_from);
        (self.held, self.batch) = (Held::Nothing, HeldBatch::default());
        if count == 0 {
            self.held = Held::after(request);
            return Ok(());
        }
        let parts = Parts::of(blocks, self.sizes(), self.memory_budget);
        let resident = if request.keep { parts.banks } else { 0 };
        let kept = if request.keep { parts.kept(blocks) } else { 0 };
        // What is not kept runs first, in parts as large as may be: then the kept blocks' activations stay.
        let loose = self.loose_blocks(if kept > 0 { parts.blocks * steps } else { 0 }).min(blocks - kept);
        self.reserve_batch(blocks)?;
        if kept > 0 {
            self.reserve_banks(parts, 1)?;
        }
        self.reserve_loose(loose)?;

        let draw = request.draw;
        let work = Work {
            key: draw.key(),
            iteration: draw.iteration,
            first_trajectory: draw.first_trajectory,
            stream: draw.stream as u32,
            scored_from: scored_from as u32,
            sampled_from: sampled_from as u32,
            epsilon: request.behaviour.epsilon as f32,
            sharpness: request.behaviour.sharpness() as f32,
            count: count as u32,
            ..Work::default()
        };
        let whole = Work { blocks: blocks as u32, ..work };
        if let Some(given) = request.given {
            self.upload(given.trajectories, count);
        }
        let Self { context, network, stages, buffers, .. } = self;
        let mut recorder = Recorder::new(context, buffers, &network.tiling);
        stages.begin.record(&mut recorder, network, &whole, request.given.is_some());
        for first in (kept..blocks).step_by(loose.max(1)) {
            let part = Work { block: first as u32, blocks: loose.min(blocks - first) as u32, room: 1, ..work };
            stages.steps.record(&mut recorder, network, &part, true);
        }
        for (index, (first, count)) in parts.each(blocks).enumerate().take(resident) {
            let part = Work { block: first as u32, blocks: count as u32, room: steps as u32, ..work };
            buffers.select(index);
            stages.steps.record(&mut recorder, network, &part, true);
        }
        buffers.select(0);
        stages.finish.record(&mut recorder, network, &whole);
        recorder.finish()?;
        let replay = Work { sampled_from: steps as u32, ..work };
        (self.held, self.batch) = (
            Held::after(request),
            HeldBatch { count, work: replay, parts, resident, differentiated: false, activated: false },
        );
        self.reward.of_batch(&self.context, &self.buffers, count)
    }

    /// Uploads given actions; trajectories that fill up the last block are like the first one.
    fn upload(&self, trajectories: &Trajectories, count: usize) {
        let steps = self.network.process.max_steps();
        let mut actions = trajectories.actions()[..count * steps].to_vec();
        let first = actions[..steps].to_vec();
        let rest = count.next_multiple_of(BLOCK) - count;
        actions.extend(first.iter().cycle().take(rest * steps));
        self.buffers.write(&self.context, "actions", &actions);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::engine::gpu::tests::everything;
    use crate::engine::gpu::{GpuOptions, KernelSet};
    use crate::engine::{Coefficients, Differentiate, Roll, StepCoefficients};
    use crate::network::{Activation, Initialisation, Layout, initialise};
    use crate::process::{Order, SiteFilling};
    use crate::random::{Draw, Stream};
    use crate::targets::Target;
    use crate::targets::ising::Ising;

    use super::*;

    /// All that an engine computes of five blocks, and its gradient by steps before and after one by trajectories.
    fn all_of(engine: &mut GpuEngine) -> Vec<f64> {
        let count = 4 * BLOCK + 9;
        let steps: Vec<f64> = (0..9 * count).map(|i| (0.37 * i as f64).cos()).collect();
        let lists = StepCoefficients { forward: steps, ..StepCoefficients::default() };
        let by_steps = |engine: &mut GpuEngine| {
            let mut total = vec![0.0; engine.arrangement().length()];
            engine.accumulate(&Coefficients::Steps(lists.clone()), &mut total).unwrap();
            total
        };
        engine.rollout(&Rollout::sample(Draw::new(3, 0, Stream::Training), count).kept()).unwrap();
        let first = by_steps(engine);
        let gradient = engine.gradient(&vec![0.5; count]).unwrap();
        let second = by_steps(engine);
        assert_eq!(first, second, "the same once more");
        [first, gradient, everything(engine, count)].concat()
    }

    #[test]
    fn parts_that_stay_or_are_replayed_change_no_bit() {
        let target: Arc<dyn Target> = Arc::new(Ising::new(3, 0.4).unwrap());
        let process = SiteFilling { sites: 9, values: 2, order: Order::Uniform, encoding: target.encoding() };
        let layout = Layout::new(9, &[24, 16], 18);
        let parameters = initialise(&layout, Initialisation::FanIn, 7, Stream::Initialisation);
        for set in [KernelSet::Software, KernelSet::Hardware] {
            let run = |blocks: Option<(usize, usize)>| {
                let options = GpuOptions { kernels: Some(set), ..GpuOptions::default() };
                let (process, layout, target) = (process.clone(), layout.clone(), target.clone());
                let mut engine = GpuEngine::new(process, layout, Activation::Swish, target, options).unwrap();
                engine.set_parameters(&parameters).unwrap();
                if let Some((most, banks)) = blocks {
                    // Buffers of so many blocks, and memory for so many of them.
                    let activations = quads(engine.network.step);
                    engine.context.limits.max_storage_buffer_binding_size = 9 * activations * most as u64;
                    let sizes = engine.sizes();
                    assert_eq!(sizes.most, most);
                    engine.memory_budget = most as u64 * (banks as u64 * sizes.kept + sizes.shared);
                }
                let found = all_of(&mut engine);
                (found, engine.batch.parts)
            };
            let (expected, parts) = run(None);
            assert_eq!((parts.blocks, parts.banks), (5, 1));
            assert!(expected.iter().all(|number| number.is_finite()) && expected.iter().any(|&number| number != 0.0));
            let (found, parts) = run(Some((2, 3)));
            assert_eq!((parts.blocks, parts.banks), (2, 3), "all in three buffers");
            assert!(found == expected, "other bits in three parts that stay, with {set:?}");
            let (found, parts) = run(Some((2, 1)));
            assert_eq!((parts.blocks, parts.banks), (1, 2), "two of five");
            assert!(found == expected, "other bits where parts are replayed, with {set:?}");
        }
    }
}
