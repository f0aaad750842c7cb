//! An energy model as the target: log R(x) is the output of an MLP with ELU on the bits of x.
//!
//! It is held fixed, or trained along with the GFlowNet that samples from it (the paper's second task, after Zhang et
//! al., "Generative flow networks for discrete probabilistic modeling", ICML 2022).

mod file;

#[cfg(test)]
pub(crate) use file::tests::save;
pub use file::{EnergyFileError, PREFIX, load};

use std::sync::{Arc, PoisonError, RwLock};

use super::{RewardNetwork, Target, TargetError, enumeration};
use crate::data::Coding;
use crate::network::{Activation, Layout, Mlp};
use crate::process::{Encoding, Objects};

/// Hidden widths of the paper's energy model.
pub const HIDDEN: [usize; 3] = [256; 3];

/// Objects whose inputs are spelt out as numbers at a time.
const AT_ONCE: usize = 1 << 14;

/// The layout of an energy model on objects of `bits` bits: one output, log R.
pub fn layout(bits: usize, hidden: &[usize]) -> Layout {
    Layout::new(bits, hidden, 1)
}

/// An energy model. Its parameters can change while others hold it as their target.
///
/// Asked directly it answers in f64; an engine takes [`Target::network`] and computes in its own precision.
pub struct EnergyModel {
    layout: Layout,
    state: RwLock<State>,
}

struct State {
    network: Mlp<f64>,
    parameters: Arc<[f64]>,
    version: u64,
}

impl EnergyModel {
    /// The model with `parameters` in the order of `layout` (see [`layout`](layout())).
    ///
    /// # Panics
    /// If there are not as many parameters as the layout has.
    pub fn new(layout: Layout, parameters: &[f64]) -> Self {
        let network = Mlp::new(layout.clone(), Activation::Elu, parameters);
        Self { layout, state: RwLock::new(State { network, parameters: parameters.into(), version: 0 }) }
    }

    /// Widths of the network, and where the parameters of a layer lie.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The current parameters, in the order of the layout.
    pub fn parameters(&self) -> Arc<[f64]> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).parameters.clone()
    }

    /// Takes other parameters of the same layout.
    ///
    /// # Panics
    /// If they are not as many.
    pub fn set_parameters(&self, parameters: &[f64]) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.network.set_parameters(parameters);
        state.parameters = parameters.into();
        state.version += 1;
    }
}

impl Target for EnergyModel {
    fn sites(&self) -> usize {
        self.layout.widths[0]
    }

    fn values(&self) -> usize {
        2
    }

    fn encoding(&self) -> Encoding {
        Coding::encoding()
    }

    fn log_reward(&self, objects: &Objects, log_reward: &mut [f64]) {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        for (bits, log_reward) in objects.values().chunks(AT_ONCE * self.sites()).zip(log_reward.chunks_mut(AT_ONCE)) {
            // The encoding of a bit that is set is the bit itself.
            let inputs: Vec<f64> = bits.iter().map(|&bit| f64::from(bit)).collect();
            state.network.outputs(&inputs, log_reward);
        }
    }

    /// By adding up every object, up to 20 bits. The value is that of the current parameters.
    fn log_z(&self) -> Result<f64, TargetError> {
        enumeration::log_z(self)
    }

    fn network(&self) -> Option<RewardNetwork> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let (layout, parameters, version) = (self.layout.clone(), state.parameters.clone(), state.version);
        Some(RewardNetwork { layout, activation: Activation::Elu, parameters, version })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::assert_close;
    use crate::network::{Initialisation, initialise};
    use crate::random::Stream;

    fn log_rewards(model: &EnergyModel, objects: &Objects) -> Vec<f64> {
        let mut log_rewards = vec![0.0; objects.count()];
        model.log_reward(objects, &mut log_rewards);
        log_rewards
    }

    #[test]
    fn a_small_model_by_hand() {
        // h = elu(2 x0 - 3 x1 + 0.5, -x0 + 1), log R = h0 - 2 h1 + 0.25.
        let model = EnergyModel::new(layout(2, &[2]), &[2.0, -3.0, -1.0, 0.0, 0.5, 1.0, 1.0, -2.0, 0.25]);
        let found = log_rewards(&model, &Objects::new(2, vec![0, 0, 1, 0, 0, 1, 1, 1]));
        let expected = [0.5 - 2.0 + 0.25, 2.5 + 0.25, (-2.5_f64).exp_m1() - 2.0 + 0.25, (-0.5_f64).exp_m1() + 0.25];
        // Logs of order one, two roundings each.
        assert_close(&found, &expected, 1e-15, "log R");
        let expected_log_z = expected.iter().map(|log| log.exp()).sum::<f64>().ln();
        assert!((model.log_z().expect("four objects") - expected_log_z).abs() < 1e-14);
    }

    #[test]
    fn other_parameters_are_another_version() {
        let layout = layout(4, &[8]);
        let initial = |seed| initialise(&layout, Initialisation::FanIn, seed, Stream::EnergyInitialisation);
        let model = EnergyModel::new(layout.clone(), &initial(1));
        let (before, objects) = (model.network().expect("a network"), Objects::numbered(4, 2, 0..16));
        model.set_parameters(&initial(2));
        let after = model.network().expect("a network");
        assert_ne!(before.version, after.version);
        assert_eq!((&before.parameters[..], &after.parameters[..]), (&initial(1)[..], &initial(2)[..]));
        assert_eq!(
            log_rewards(&model, &objects),
            log_rewards(&EnergyModel::new(layout.clone(), &initial(2)), &objects)
        );
    }

    #[test]
    fn more_bits_than_can_be_enumerated_have_no_log_z() {
        let layout = layout(22, &[4]);
        let model = EnergyModel::new(layout.clone(), &vec![0.1; layout.parameters()]);
        assert!(model.log_z().expect_err("too many").to_string().contains("22 sites"));
    }
}
