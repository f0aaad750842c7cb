//! A kernel that takes trajectories forward through all layers of a network, in the shape that suits their number: one of those of
//! the hardware set (shaders/lib/shape.wgsl), or the tiles of the other (shaders/lib/layers.wgsl), where it is that or where the network
//! does not fit workgroup memory.

use crate::engine::gpu::context::Context;
use crate::engine::gpu::kernel::Kernel;
use crate::engine::gpu::network::Network;
use crate::engine::gpu::recorder::Recorder;
use crate::engine::gpu::shape::Shapes;
use crate::engine::gpu::source::Sources;
use crate::engine::gpu::work::Work;
use crate::engine::{BLOCK, EngineError};

/// What is computed on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine::gpu) enum Forward {
    Rollout,
    Evaluate,
}

impl Forward {
    /// The kernels of a network that do it: names, what holds in them, trajectories of a workgroup.
    pub fn variants(self, network: &Network) -> Vec<(&'static str, &'static [&'static str], usize)> {
        let (software, hardware) = match self {
            Self::Rollout => ("rollout", "hardware_rollout"),
            Self::Evaluate => ("evaluate", "hardware_evaluate"),
        };
        match Shapes::of(network) {
            None => vec![(software, &["FORWARD"], network.tiling.trajectories)],
            Some(shapes) => {
                let each = shapes.each().into_iter();
                each.map(|(shape, holding)| (hardware, holding, shape.trajectories())).collect()
            }
        }
    }
}

/// Those kernels.
pub(super) struct ForwardKernels(Vec<(Kernel, usize)>);

impl ForwardKernels {
    pub fn new(context: &Context, sources: &Sources, network: &Network, what: Forward) -> Result<Self, EngineError> {
        let variants = what.variants(network).into_iter();
        let kernels = variants.map(|(name, holding, rows)| Ok((sources.kernel(context, name, holding)?, rows)));
        kernels.collect::<Result<_, EngineError>>().map(Self)
    }

    /// All trajectories of `work`, of so many chains of steps each; `cost` is in multiply-adds.
    pub fn record(&mut self, recorder: &mut Recorder, network: &Network, work: &Work, cost: f64) {
        let (count, chains) = (BLOCK * work.blocks as usize, work.chains.max(1) as usize);
        let best = Shapes::of(network).map_or(0, |shapes| shapes.best(count * chains, network.tiling.large_from));
        let (kernel, rows) = &mut self.0[best];
        recorder.dispatch(kernel, work, [count / *rows, chains, 1], cost);
    }
}
