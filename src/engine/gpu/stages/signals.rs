//! Stage: h of hidden layers in the place of the z that is kept of them (shaders/activate_signals.wgsl).

use crate::engine::gpu::context::Context;
use crate::engine::gpu::kernel::Kernel;
use crate::engine::gpu::network::Network;
use crate::engine::gpu::recorder::Recorder;
use crate::engine::gpu::source::Sources;
use crate::engine::gpu::work::Work;
use crate::engine::{BLOCK, EngineError};

/// Multiply-adds that a nonlinearity is worth.
const ACTIVATED: f64 = 16.0;

pub(super) struct Signals(Kernel);

impl Signals {
    pub fn new(context: &Context, sources: &Sources) -> Result<Self, EngineError> {
        Ok(Self(sources.kernel(context, "activate_signals", &[])?))
    }

    /// All scored steps of a part.
    pub fn record(&mut self, recorder: &mut Recorder, network: &Network, part: &Work) {
        let states = network.states() - part.scored_from as usize;
        let work = Work { first_step: part.scored_from, ..*part };
        let groups = [(network.step as usize).div_ceil(BLOCK), states, part.blocks as usize];
        let quads = (network.step as usize * states * part.blocks as usize) as f64;
        recorder.dispatch(&mut self.0, &work, groups, 4.0 * ACTIVATED * quads);
    }
}
