//! Stage: what is known of trajectories before their first sampled step: the order of the sites (shaders/order.wgsl or
//! shaders/hardware/order.wgsl), with when each is set (shaders/sites.wgsl), or where a process stands (shaders/walk.wgsl).

use crate::engine::gpu::context::Context;
use crate::engine::gpu::kernel::Kernel;
use crate::engine::gpu::network::Network;
use crate::engine::gpu::recorder::{ITERATIONS, Recorder};
use crate::engine::gpu::shape::Shapes;
use crate::engine::gpu::source::Sources;
use crate::engine::gpu::work::Work;
use crate::engine::{BLOCK, EngineError};

pub(in crate::engine::gpu) struct Begin {
    /// Chooses the sites, or follows the process.
    begin: Kernel,
    /// Where a guide asks when sites are set.
    sites: Option<Kernel>,
}

impl Begin {
    /// # Errors
    /// `Limit` if a trajectory takes longer to go through than a driver may loop.
    pub fn new(context: &Context, sources: &Sources, network: &Network) -> Result<Self, EngineError> {
        if network.filling.is_some() {
            // Workgroup memory holds what is filled, where it holds anything.
            let guided = network.guide.is_some() && Shapes::of(network).is_none();
            return Ok(Self {
                begin: sources.kernel(context, network.order().0, &[])?,
                sites: if guided { Some(sources.kernel(context, "sites", &[])?) } else { None },
            });
        }
        let process = &network.process;
        let iterations = (process.max_steps() + 1) * (process.outputs() + 3 * network.mask_words() + 3);
        if iterations + process.state_words() > ITERATIONS {
            let (steps, actions) = (process.max_steps(), process.actions());
            let message = format!("trajectories of {steps} steps with {actions} actions are too long for a GPU");
            return Err(EngineError::Limit(message));
        }
        Ok(Self { begin: sources.kernel(context, "walk", &[])?, sites: None })
    }

    /// Chooses the sites of all blocks of `work` unless they are `given`, or takes their processes through the steps that are.
    pub fn record(&mut self, recorder: &mut Recorder, network: &Network, work: &Work, given: bool) {
        let (blocks, steps) = (work.blocks as usize, network.process.max_steps());
        if !given || network.filling.is_none() {
            // Ten rounds of Philox a step.
            let trajectories = if network.filling.is_some() { network.order().1 } else { BLOCK };
            let groups = [BLOCK / trajectories * blocks, 1, 1];
            recorder.dispatch(&mut self.begin, work, groups, (BLOCK * blocks * 100 * steps) as f64);
        }
        if let Some(sites) = &mut self.sites {
            recorder.dispatch(sites, work, [blocks, 1, 1], (BLOCK * blocks * 4 * steps) as f64);
        }
    }
}
