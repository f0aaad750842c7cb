//! An energy model as the target: log R(x) is the output of an MLP with ELU on the bits of x.
//!
//! It is held fixed, or trained along with the GFlowNet that samples from it (the paper's second task, after Zhang et
//! al., "Generative flow networks for discrete probabilistic modeling", ICML 2022).

mod file;

pub use file::{load, save};

use std::sync::{PoisonError, RwLock};

use super::{Target, enumeration};
use crate::data::Coding;
use crate::engine::cpu::{Network, Real};
use crate::policy::{Activation, Layout};
use crate::process::{Encoding, Objects};

/// Hidden widths of the paper's energy model.
pub const HIDDEN: [usize; 3] = [256; 3];

/// The layout of an energy model on objects of `bits` bits: one output, log R.
pub fn layout(bits: usize, hidden: &[usize]) -> Layout {
    Layout::new(bits, hidden, 1)
}

/// An energy model in precision `T`. Its parameters can change while others hold it as their target.
pub struct EnergyModel<T> {
    bits: usize,
    network: RwLock<Network<T>>,
}

impl<T: Real> EnergyModel<T> {
    /// The model with `parameters` in the order of `layout` (see [`layout`](layout())).
    ///
    /// # Panics
    /// If there are not as many parameters as the layout has.
    pub fn new(layout: Layout, parameters: &[f64]) -> Self {
        Self { bits: layout.widths[0], network: RwLock::new(Network::new(layout, Activation::Elu, parameters)) }
    }

    /// Takes other parameters of the same layout.
    pub fn set_parameters(&self, parameters: &[f64]) {
        self.network.write().unwrap_or_else(PoisonError::into_inner).set_parameters(parameters);
    }

    /// sum_i coefficients_i * grad log R(x_i), in the order of the layout.
    pub fn gradient(&self, objects: &Objects, coefficients: &[f64]) -> Vec<f64> {
        self.network.read().unwrap_or_else(PoisonError::into_inner).gradient(&inputs(objects), coefficients)
    }
}

/// The bits as they are.
fn inputs(objects: &Objects) -> Vec<f64> {
    objects.values().iter().map(|&bit| f64::from(bit)).collect()
}

impl<T: Real> Target for EnergyModel<T> {
    fn sites(&self) -> usize {
        self.bits
    }

    fn values(&self) -> usize {
        2
    }

    fn encoding(&self) -> Encoding {
        Coding::encoding()
    }

    fn log_reward(&self, objects: &Objects, log_reward: &mut [f64]) {
        self.network.read().unwrap_or_else(PoisonError::into_inner).outputs(&inputs(objects), log_reward);
    }

    /// By adding up every object, up to 20 bits. The value is that of the current parameters.
    fn log_z(&self) -> Result<f64, String> {
        enumeration::log_z(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Initialisation, initialise};
    use crate::random::Stream;

    fn parameters(layout: &Layout, seed: u64) -> Vec<f64> {
        initialise(layout, Initialisation::FanIn, seed, Stream::EnergyInitialisation)
    }

    fn log_rewards<T: Real>(model: &EnergyModel<T>, objects: &Objects) -> Vec<f64> {
        let mut log_rewards = vec![0.0; objects.count()];
        model.log_reward(objects, &mut log_rewards);
        log_rewards
    }

    #[test]
    fn a_small_model_by_hand() {
        // h = elu(2 x0 - 3 x1 + 0.5, -x0 + 1), log R = h0 - 2 h1 + 0.25.
        let model = EnergyModel::<f64>::new(layout(2, &[2]), &[2.0, -3.0, -1.0, 0.0, 0.5, 1.0, 1.0, -2.0, 0.25]);
        let found = log_rewards(&model, &Objects::new(2, vec![0, 0, 1, 0, 0, 1, 1, 1]));
        let expected = [0.5 - 2.0 + 0.25, 2.5 + 0.25, (-2.5_f64).exp_m1() - 2.0 + 0.25, (-0.5_f64).exp_m1() + 0.25];
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-15);
        }
        let expected_log_z = expected.iter().map(|log| log.exp()).sum::<f64>().ln();
        assert!((model.log_z().expect("four objects") - expected_log_z).abs() < 1e-14);
    }

    #[test]
    fn the_gradient_is_the_central_difference() {
        let layout = layout(10, &[16, 24, 8]);
        let parameters = parameters(&layout, 1);
        let model = EnergyModel::<f64>::new(layout, &parameters);
        let objects = Objects::numbered(10, 2, 300..500);
        let coefficients: Vec<f64> = (0..200).map(|i| (1.7 * f64::from(i)).sin()).collect();
        let gradient = model.gradient(&objects, &coefficients);
        for index in (0..parameters.len()).step_by(3) {
            let value_at = |shift: f64| {
                let mut shifted = parameters.clone();
                shifted[index] += shift;
                model.set_parameters(&shifted);
                log_rewards(&model, &objects).iter().zip(&coefficients).map(|(log, c)| log * c).sum::<f64>()
            };
            // Third derivative times 1e-10, rounding 1e-14 / 1e-5; no pre-activation crosses zero with this seed.
            let difference = (value_at(1e-5) - value_at(-1e-5)) / 2e-5;
            let tolerance = 1e-8 * gradient[index].abs().max(1.0);
            assert!((gradient[index] - difference).abs() < tolerance, "{index}: {} {difference}", gradient[index]);
        }
    }

    #[test]
    fn f32_follows_f64() {
        let layout = layout(32, &HIDDEN);
        let parameters = parameters(&layout, 2);
        let (single, double) =
            (EnergyModel::<f32>::new(layout.clone(), &parameters), EnergyModel::<f64>::new(layout, &parameters));
        let objects = Objects::numbered(32, 2, 1_000_000..1_000_130);
        // Sums of 256 terms below one.
        for (found, expected) in log_rewards(&single, &objects).iter().zip(log_rewards(&double, &objects)) {
            assert!((found - expected).abs() < 1e-6);
        }
        let coefficients = vec![1.0 / 130.0; 130];
        let pairs = single.gradient(&objects, &coefficients).into_iter().zip(double.gradient(&objects, &coefficients));
        assert!(pairs.fold(0.0_f64, |most, (found, expected)| most.max((found - expected).abs())) < 1e-6);
    }

    #[test]
    fn more_bits_than_can_be_enumerated_have_no_log_z() {
        let layout = layout(22, &[4]);
        let model = EnergyModel::<f64>::new(layout.clone(), &parameters(&layout, 3));
        assert!(model.log_z().expect_err("too many").contains("22 sites"));
    }
}
