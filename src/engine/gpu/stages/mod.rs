//! The stages of a rollout and of a gradient: which kernels, on what, in how many workgroups. Each file stands beside
//! the shaders it names.

mod dense;
mod finish;
mod first;
mod head;
mod order;
mod reward;
mod rollout;

pub(super) use dense::{Dense, slices};
pub(super) use finish::Finish;
pub(super) use first::First;
pub(super) use head::Head;
pub(super) use order::OrderSites;
pub(super) use reward::Reward;
pub(super) use rollout::Steps;

use super::context::Context;
use super::network::Network;
use super::source::Sources;
use crate::engine::EngineError;
use crate::target::Target;

/// All stages of one engine.
pub(super) struct Stages {
    pub order: OrderSites,
    pub steps: Steps,
    pub finish: Finish,
    pub reward: Reward,
    pub head: Head,
    pub dense: Dense,
    pub first: First,
}

impl Stages {
    pub fn new(
        context: &Context,
        sources: &Sources,
        network: &Network,
        target: &dyn Target,
    ) -> Result<Self, EngineError> {
        Ok(Self {
            order: OrderSites::new(context, sources)?,
            steps: Steps::new(context, sources, network)?,
            finish: Finish::new(context, sources)?,
            reward: Reward::new(context, sources, target)?,
            head: Head::new(context, sources)?,
            dense: Dense::new(context, sources)?,
            first: First::new(context, sources)?,
        })
    }
}
