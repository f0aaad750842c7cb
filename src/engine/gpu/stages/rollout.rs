//! Stage: the policy along trajectories (shaders/start.wgsl, shaders/rollout.wgsl or
//! shaders/hardware/rollout.wgsl).

use crate::engine::gpu::context::Context;
use crate::engine::gpu::kernel::Kernel;
use crate::engine::gpu::network::{Layer, Network};
use crate::engine::gpu::recorder::{ITERATIONS, LOOPED, Recorder};
use crate::engine::gpu::shape::{Shape, Shapes};
use crate::engine::gpu::source::Sources;
use crate::engine::gpu::tiling::Tiling;
use crate::engine::gpu::work::Work;
use crate::engine::{BLOCK, EngineError};
use crate::random::ROUNDS;

use super::forward::{Forward, ForwardKernels};

/// Steps that a workgroup takes of a replay, whose steps need not wait for each other.
const REPLAY_STEPS: usize = 16;

pub(in crate::engine::gpu) struct Steps {
    start: Kernel,
    rollout: ForwardKernels,
    /// Most steps of one chain.
    longest: usize,
}

impl Steps {
    /// # Errors
    /// `Limit` if a single step is more than a software adapter runs.
    pub fn new(context: &Context, sources: &Sources, network: &Network) -> Result<Self, EngineError> {
        let of_step = iterations(network);
        let longest = (ITERATIONS - entering(network).min(ITERATIONS)) / of_step;
        if longest == 0 && !context.adapter.kind.is_hardware() {
            let calls = (network.tiling.trajectories * network.outputs()).div_ceil(network.tiling.group);
            let (most, advice) = match 2 * calls * guide_iterations(network) > of_step {
                true => ("the guide's", "take engine.kind = \"cpu\", policy.guided = false or a GPU"),
                false => ("of hidden layers", "make hidden layers narrower"),
            };
            let adapter = &context.adapter.name;
            return Err(EngineError::Limit(format!(
                "a step of the rollout is {of_step} loop iterations, most of them {most}, and {adapter}, which is \
                 software, leaves loops after {ITERATIONS}: {advice}"
            )));
        }
        Ok(Self {
            start: sources.kernel(context, "start", &[])?,
            rollout: ForwardKernels::new(context, sources, network, Forward::Rollout)?,
            longest: longest.max(1),
        })
    }

    /// Steps of a chain in a replay.
    pub fn replay_steps(&self) -> usize {
        REPLAY_STEPS.min(self.longest)
    }

    /// The scored steps of a part: one after the other in `chained` workgroups, else dealt out over workgroups, which
    /// needs known actions and room for all steps.
    pub fn record(&mut self, recorder: &mut Recorder, network: &Network, part: &Work, chained: bool) {
        let (begin, end) = (part.scored_from as usize, network.process.max_steps());
        let blocks = part.blocks as usize;
        let looked_up = LOOPED * (BLOCK * network.outputs()) as f64 * guide_iterations(network) as f64;
        let cost = (network.products() + looked_up) * blocks as f64;
        // A replay's workgroups do not wait for each other, so it is for the recorder to split it.
        let share = if chained { recorder.share(end - begin, cost).min(self.longest) } else { end };
        let width = network.layers[0].outputs as usize;
        for first in (begin..end).step_by(share) {
            let last = (first + share).min(end);
            let group_steps = if chained { last - first } else { self.replay_steps() };
            let chains = (last - first).div_ceil(group_steps);
            let work = Work {
                first_step: first as u32,
                last_step: last as u32,
                group_steps: group_steps as u32,
                chains: chains as u32,
                ..*part
            };
            // All steps before the last chain are gone through.
            recorder.dispatch(&mut self.start, &work, [width, blocks, 1], (BLOCK * blocks * 4 * width * last) as f64);
            self.rollout.record(recorder, network, &work, cost * (last - first) as f64);
        }
    }
}

/// Loop iterations of an invocation of the rollout for one step: a loop of n counts as n + 1.
fn iterations(network: &Network) -> usize {
    let (tiling, layers) = (&network.tiling, &network.layers);
    let outputs = network.outputs();
    let width = |layer: usize| layers[layer].outputs as usize;
    // Masks are written on the way where sites are not filled, and more may be said of each state.
    let passes = if network.filling.is_some() { 5 } else { 7 };
    let more = if network.lists() > 1 { 5 + 4 * (1 + network.process.backward_actions()) } else { 0 };
    let choice = passes * (outputs + 1) + 3 * network.mask_words() + ROUNDS as usize + 4 + more;
    if let Some(shapes) = Shapes::of(network) {
        let of = |(shape, _): (Shape, _)| shape.iterations(network, outputs, guide_iterations(network));
        return shapes.each().into_iter().map(of).max().unwrap_or(0) + choice + 2;
    }
    shared_iterations(tiling, tiling.trajectories * width(0), 0)
        + hidden_iterations(network)
        + shared_iterations(
            tiling,
            tiling.trajectories * outputs,
            width(layers.len() - 1) + 1 + guide_iterations(network),
        )
        + shared_iterations(tiling, tiling.trajectories, choice)
        + 2
}

/// Those before the first step: a guide is told what is filled (lib/shared_sites.wgsl).
fn entering(network: &Network) -> usize {
    let told = network.guide.is_some() && Shapes::of(network).is_some();
    if told { network.process.max_steps() + network.process.sites().div_ceil(4) + 2 } else { 0 }
}

/// Those of one call of the guide, if there is one.
fn guide_iterations(network: &Network) -> usize {
    network.guide.as_ref().map_or(0, |guide| guide.iterations)
}

/// Those of lib/layers.wgsl. Loops over a register tile are unrolled, but where somebody else's rules or guide are part of the kernel:
/// checks of its loops stand in the way then.
pub(super) fn hidden_iterations(network: &Network) -> usize {
    let tiling = &network.tiling;
    let unrolled = network.filling.is_some() && network.guide.as_ref().is_none_or(|guide| guide.trusted);
    let quads = if unrolled { 0 } else { (tiling.rows + 1) + (tiling.units + 1) + tiling.units * (tiling.rows + 1) };
    let layer = |layer: &Layer| {
        let tiles = tiling.trajectories / (4 * tiling.rows) * (layer.outputs as usize / tiling.units);
        shared_iterations(tiling, tiles, (layer.inputs as usize + 1) * (1 + quads)) + 1
    };
    network.layers[1..].iter().map(layer).sum()
}

/// Those of a loop over `count` things that a workgroup shares, each of which takes `inner`.
pub(super) fn shared_iterations(tiling: &Tiling, count: usize, inner: usize) -> usize {
    count.div_ceil(tiling.group) * (1 + inner) + 1
}
