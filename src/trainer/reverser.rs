//! Sampling a learned P_B.

use std::sync::Arc;

use crate::config::{Precision, Settings};
use crate::engine::cpu::CpuEngine;
use crate::engine::{Engine, EngineError, Given, Rollout};
use crate::network::Layout;
use crate::process::{Objects, Process, Reversed, Trajectories};
use crate::random::Draw;
use crate::targets::Target;

/// An engine of its own that takes objects apart with the policy's backward actions: the native one, whichever trains.
pub(super) struct Reverser {
    process: Reversed,
    engine: Box<dyn Engine>,
}

/// What comes out where objects are taken apart, which nobody asks for.
struct Nothing(usize, usize);

impl Target for Nothing {
    fn sites(&self) -> usize {
        self.0
    }

    fn values(&self) -> usize {
        self.1
    }

    fn log_reward(&self, _: &Objects, log_reward: &mut [f64]) {
        log_reward.fill(0.0);
    }
}

impl Reverser {
    /// For a process with backward actions, and a policy of this layout.
    pub fn new(process: &Arc<dyn Process>, layout: &Layout, settings: &Settings) -> Result<Self, EngineError> {
        let target: Arc<dyn Target> = Arc::new(Nothing(process.sites(), process.values()));
        let reversed = Reversed::new(process.clone());
        let (shared, layout): (Arc<dyn Process>, _) = (Arc::new(reversed.clone()), layout.clone());
        let activation = settings.policy.activation;
        let engine: Box<dyn Engine> = match settings.engine.precision {
            Precision::F32 => Box::new(CpuEngine::<f32>::new(shared, layout, activation, target, 0)?),
            Precision::F64 => Box::new(CpuEngine::<f64>::new(shared, layout, activation, target, 0)?),
        };
        Ok(Self { process: reversed, engine })
    }

    /// One trajectory to each object under the P_B of a policy with these parameters, in the order of its layout, written in forward
    /// order.
    pub fn backward(
        &mut self,
        objects: &Objects,
        draw: &Draw,
        parameters: &[f64],
    ) -> Result<Trajectories, EngineError> {
        self.engine.set_parameters(parameters)?;
        let given = self.process.given(objects, draw);
        let built = self.process.building();
        let given = Given { trajectories: &given, scored_from: built, sampled_from: built };
        self.engine.rollout(&Rollout { given: Some(given), ..Rollout::sample(*draw, objects.count()) })?;
        Ok(self.process.read(&self.engine.trajectories()?))
    }
}
