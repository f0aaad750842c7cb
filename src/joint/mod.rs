//! Training an energy model and the GFlowNet that samples from it together.
//!
//! Each iteration makes one update of the GFlowNet on the current energy, then one step of the energy model down the
//! [`contrastive_gradient`], whose fakes are data that the GFlowNet took apart and put together again (see [`Proposal`]).
//! After Zhang et al., "Generative flow networks for discrete probabilistic modeling", ICML 2022.

mod proposal;

pub use proposal::{Acceptance, Proposal, Settled};

use crate::engine::cpu::Real;
use crate::process::Objects;
use crate::target::energy_model::EnergyModel;

/// How many sites a proposal clears in `iteration` (from 0 on): J = max(1, min(D, floor(D (iteration + 1) / horizon))),
/// which grows from one to all D `sites` over `horizon` iterations, 1e5 in the paper.
pub fn cleared_sites(iteration: u64, sites: usize, horizon: u64) -> usize {
    let grown = sites as u128 * (u128::from(iteration) + 1) / u128::from(horizon.max(1));
    // The cast is exact: the result is at most `sites`.
    grown.min(sites as u128).max(1) as usize
}

/// Gradient of -(mean log R(data) - mean log R(fake)) with respect to the energy model's parameters, in the order of
/// their layout.
pub fn contrastive_gradient<T: Real>(model: &EnergyModel<T>, data: &Objects, fake: &Objects) -> Vec<f64> {
    let mut objects = data.clone();
    objects.extend(fake);
    let mut coefficients = vec![-1.0 / data.count() as f64; data.count()];
    coefficients.resize(objects.count(), 1.0 / fake.count() as f64);
    model.gradient(&objects, &coefficients)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Initialisation, initialise};
    use crate::random::Stream;
    use crate::target::{Target, energy_model};

    #[test]
    fn cleared_sites_grow_from_one_to_all() {
        let schedule = |iteration| cleared_sites(iteration, 32, 100_000);
        assert_eq!(
            [0, 3_123, 6_248, 6_249, 49_999, 99_998, 99_999, 5_000_000].map(schedule),
            [1, 1, 1, 2, 16, 31, 32, 32]
        );
        assert_eq!(cleared_sites(0, 6, 1), 6);
        assert_eq!(cleared_sites(u64::MAX, 6, 1), 6);
    }

    #[test]
    fn the_contrastive_gradient_raises_data_above_fakes() {
        let layout = energy_model::layout(6, &[8, 8]);
        let parameters = initialise(&layout, Initialisation::FanIn, 4, Stream::EnergyInitialisation);
        let model = EnergyModel::<f64>::new(layout, &parameters);
        let (data, fake) = (Objects::numbered(6, 2, 5..8), Objects::numbered(6, 2, 30..35));
        let loss = || {
            let mean = |objects: &Objects| {
                let mut log_reward = vec![0.0; objects.count()];
                model.log_reward(objects, &mut log_reward);
                log_reward.iter().sum::<f64>() / log_reward.len() as f64
            };
            mean(&fake) - mean(&data)
        };
        let gradient = contrastive_gradient(&model, &data, &fake);
        for index in (0..parameters.len()).step_by(7) {
            let value_at = |shift: f64| {
                let mut shifted = parameters.clone();
                shifted[index] += shift;
                model.set_parameters(&shifted);
                loss()
            };
            let difference = (value_at(1e-5) - value_at(-1e-5)) / 2e-5;
            // Third derivative times 1e-10, rounding 1e-15 / 1e-5.
            assert!((gradient[index] - difference).abs() < 1e-9, "{index}: {} {difference}", gradient[index]);
        }
    }
}
