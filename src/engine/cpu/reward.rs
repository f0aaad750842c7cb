//! log R on the native engine: the target's own function or, where log R is a network, that network in the engine's
//! precision.

use std::sync::Arc;

use crate::engine::{EngineError, Tree, check};
use crate::network::{Mlp, Real};
use crate::process::{Encoding, Objects, Order, SiteFilling};
use crate::targets::Target;

/// A target as an engine of precision `T` evaluates it.
pub struct Reward<T> {
    target: Arc<dyn Target>,
    /// For the encoding of finished objects; their order of sites does not matter.
    process: SiteFilling,
    /// The network, and the version of the parameters it has.
    network: Option<(u64, Mlp<T>)>,
}

impl<T: Real> Reward<T> {
    /// log R of this target.
    pub fn new(target: Arc<dyn Target>) -> Self {
        let (sites, values, encoding): (_, _, Encoding) = (target.sites(), target.values(), target.encoding());
        let process = SiteFilling { sites, values, order: Order::Fixed, encoding };
        let mut reward = Self { target, process, network: None };
        reward.refresh();
        reward
    }

    /// Takes up the target's current parameters. To be called before whatever follows.
    pub fn refresh(&mut self) {
        let Some(current) = self.target.network() else { return };
        match &mut self.network {
            Some((version, _)) if *version == current.version => {}
            Some((version, network)) => {
                network.set_parameters(&current.parameters);
                *version = current.version;
            }
            None => {
                let network = Mlp::new(current.layout, current.activation, &current.parameters);
                self.network = Some((current.version, network));
            }
        }
    }

    /// Whether the target has such objects.
    pub fn check(&self, objects: &Objects) -> Result<(), EngineError> {
        check::objects(self.process.sites, self.process.values, objects)
    }

    /// Whether it is asked for once a batch, where others are block by block.
    pub(super) fn is_told_at_once(&self) -> bool {
        self.network.is_none() && self.target.at_once()
    }

    /// log R of each object.
    pub fn log_reward(&self, objects: &Objects, log_reward: &mut [f64]) {
        match &self.network {
            Some((_, network)) => network.outputs(&self.process.encode(objects), log_reward),
            None => {
                // Whatever the target forgets to write must not pass for a number.
                log_reward.fill(f64::NAN);
                self.target.log_reward(objects, log_reward);
            }
        }
    }

    /// sum_i coefficients_i * grad log R(x_i), in the order of the network's layout.
    ///
    /// # Errors
    /// `Limit` if the target has no network, or there is not a coefficient for each object.
    pub fn gradient(&self, objects: &Objects, coefficients: &[f64]) -> Result<Vec<f64>, EngineError> {
        Ok(self.differentiable(objects, coefficients)?.gradient(&self.process.encode(objects), coefficients))
    }

    /// The same as leaves of a larger sum, one a block of objects.
    ///
    /// # Errors
    /// Those of the same.
    pub fn add_leaves(&self, objects: &Objects, coefficients: &[f64], tree: &mut Tree) -> Result<(), EngineError> {
        let network = self.differentiable(objects, coefficients)?;
        network.add_leaves(&self.process.encode(objects), coefficients, tree);
        Ok(())
    }

    /// The network, if it is one and the coefficients are as many as the objects.
    fn differentiable(&self, objects: &Objects, coefficients: &[f64]) -> Result<&Mlp<T>, EngineError> {
        check::coefficients(coefficients, objects.count(), "objects")?;
        let none = || EngineError::Limit("this target's log R is not a network: it has no parameters".into());
        self.network.as_ref().map(|(_, network)| network).ok_or_else(none)
    }
}
