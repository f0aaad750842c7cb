//! Stage: parameters to the weights that kernels read (shaders/spread.wgsl).

use crate::engine::gpu::buffers::Buffers;
use crate::engine::gpu::context::Context;
use crate::engine::gpu::kernel::Kernel;
use crate::engine::gpu::network::Network;
use crate::engine::gpu::recorder::Recorder;
use crate::engine::gpu::source::Sources;
use crate::engine::gpu::work::Work;
use crate::engine::{BLOCK, EngineError};

pub(in crate::engine::gpu) struct Spread(Kernel);

impl Spread {
    /// Compiles the kernel, and makes the buffers that it reads and writes; `advice` says what to do if they are too large.
    pub fn new(
        context: &Context,
        sources: &Sources,
        network: &Network,
        buffers: &mut Buffers,
        advice: &str,
    ) -> Result<Self, EngineError> {
        let bytes = |quads: u32| 16 * u64::from(quads);
        buffers.reserve(context, "weights", bytes(network.weights), advice)?;
        buffers.reserve(context, "parameters", bytes(network.gradient), advice)?;
        buffers.reserve(context, "start", bytes(network.layers[0].outputs), advice)?;
        for (place, numbers) in network.own_weights() {
            buffers.write_at(context, "weights", bytes(place), &numbers);
        }
        Ok(Self(sources.kernel(context, "spread", &[])?))
    }

    /// Uploads parameters in the order of the network's arrangement, and spreads them.
    pub fn upload(
        &mut self,
        context: &Context,
        buffers: &Buffers,
        network: &Network,
        arranged: &[f64],
    ) -> Result<(), EngineError> {
        let single: Vec<f32> = arranged.iter().map(|&value| value as f32).collect();
        buffers.write(context, "parameters", &single);
        buffers.write(context, "start", &network.start(arranged));
        let mut recorder = Recorder::new(context, buffers, &network.tiling);
        self.record(&mut recorder, network);
        recorder.finish()
    }

    /// Spreads the parameters, and the start, that are there.
    pub fn record(&mut self, recorder: &mut Recorder, network: &Network) {
        let quads = network.largest_layer();
        let groups = [quads.div_ceil(BLOCK), network.layers.len() + 1, 1];
        recorder.dispatch(&mut self.0, &Work::default(), groups, (4 * quads * groups[1]) as f64);
    }
}
