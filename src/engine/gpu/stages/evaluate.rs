//! Stage: a network over finished objects (shaders/evaluate.wgsl).

use crate::engine::gpu::context::Context;
use crate::engine::gpu::kernel::Kernel;
use crate::engine::gpu::network::Network;
use crate::engine::gpu::recorder::{ITERATIONS, Recorder};
use crate::engine::gpu::source::Sources;
use crate::engine::gpu::work::Work;
use crate::engine::{BLOCK, EngineError};

use super::rollout::{hidden_iterations, shared_iterations};

pub(in crate::engine::gpu) struct Evaluate(Kernel);

impl Evaluate {
    /// # Errors
    /// `Limit` if an object is more than a driver may run.
    pub fn new(context: &Context, sources: &Sources, network: &Network) -> Result<Self, EngineError> {
        let (tiling, layers) = (&network.tiling, &network.layers);
        let first = tiling.trajectories * layers[0].outputs as usize;
        let last = layers[layers.len() - 1].outputs as usize;
        let iterations = shared_iterations(tiling, first, network.process.sites() + 1)
            + hidden_iterations(network)
            + shared_iterations(tiling, tiling.trajectories, last + 1);
        if iterations > ITERATIONS {
            let message = "the network of log R is too large for one invocation: make hidden layers narrower";
            return Err(EngineError::Limit(message.into()));
        }
        Ok(Self(sources.kernel(context, "evaluate", &["FORWARD"])?))
    }

    /// log R of the objects of a part.
    pub fn record(&mut self, recorder: &mut Recorder, network: &Network, part: &Work) {
        let blocks = part.blocks as usize;
        let groups = [blocks * (BLOCK / network.tiling.trajectories), 1, 1];
        recorder.dispatch(&mut self.0, part, groups, network.products() * blocks as f64);
    }
}
