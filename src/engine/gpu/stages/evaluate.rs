//! Stage: a network over finished objects (shaders/evaluate.wgsl or shaders/hardware/evaluate.wgsl).

use crate::engine::EngineError;
use crate::engine::gpu::context::Context;
use crate::engine::gpu::network::Network;
use crate::engine::gpu::recorder::{ITERATIONS, Recorder};
use crate::engine::gpu::shape::{Shape, Shapes};
use crate::engine::gpu::source::Sources;
use crate::engine::gpu::work::Work;

use super::forward::{Forward, ForwardKernels};
use super::rollout::{hidden_iterations, shared_iterations};

pub(in crate::engine::gpu) struct Evaluate(ForwardKernels);

impl Evaluate {
    /// # Errors
    /// `Limit` if an object is more than a driver may run.
    pub fn new(context: &Context, sources: &Sources, network: &Network) -> Result<Self, EngineError> {
        if iterations(network) > ITERATIONS {
            let message = "the network of log R is too large for one invocation: make hidden layers narrower";
            return Err(EngineError::Limit(message.into()));
        }
        Ok(Self(ForwardKernels::new(context, sources, network, Forward::Evaluate)?))
    }

    /// log R of the objects of a part.
    pub fn record(&mut self, recorder: &mut Recorder, network: &Network, part: &Work) {
        self.0.record(recorder, network, part, network.products() * f64::from(part.blocks));
    }
}

/// Loop iterations of an invocation.
fn iterations(network: &Network) -> usize {
    let (tiling, layers, sites) = (&network.tiling, &network.layers, network.process.sites());
    let first = layers[0].outputs as usize;
    let last = layers[layers.len() - 1].outputs as usize;
    match Shapes::of(network) {
        Some(shapes) => {
            let of = |(shape, _): (Shape, _)| {
                let shared = (shape.trajectories() * first).div_ceil(shape.group());
                shape.iterations(network, 1, 0) + shared * (sites + 1)
            };
            shapes.each().into_iter().map(of).max().unwrap_or(0)
        }
        None => {
            shared_iterations(tiling, tiling.trajectories * first, sites + 1)
                + hidden_iterations(network)
                + shared_iterations(tiling, tiling.trajectories, last + 1)
        }
    }
}
