//! The stages of a rollout and of a gradient: which kernels, on what, in how many workgroups. Each file stands beside
//! the shaders it names.

mod deltas;
mod evaluate;
mod finish;
mod order;
mod rollout;
mod sums;

pub(super) use deltas::Deltas;
pub(super) use evaluate::Evaluate;
pub(super) use finish::Finish;
pub(super) use order::OrderSites;
pub(super) use rollout::Steps;
pub(super) use sums::Sums;

use super::context::Context;
use super::network::Network;
use super::source::Sources;
use crate::engine::EngineError;

/// The stages of one engine's policy.
pub(super) struct Stages {
    pub order: OrderSites,
    pub steps: Steps,
    pub finish: Finish,
    pub deltas: Deltas,
    pub gradient: Sums,
}

impl Stages {
    pub fn new(context: &Context, sources: &Sources, network: &Network) -> Result<Self, EngineError> {
        Ok(Self {
            order: OrderSites::new(context, sources)?,
            steps: Steps::new(context, sources, network)?,
            finish: Finish::new(context, sources)?,
            deltas: Deltas::new(context, sources)?,
            gradient: Sums::gradient(context, sources, network)?,
        })
    }
}
