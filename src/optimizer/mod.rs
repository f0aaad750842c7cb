//! The optimizer: what becomes of a gradient.
//!
//! [`Learn`] is the half of a training that holds the policy's parameters and moves them; [`HostLearner`] does it with Adam
//! on the host, in the engine's own order of parameters. zeta, the learned log Z, has an Adam of its own. The policy's parameters are f64 numbers that are always exact in f32, so that engines of either precision see the same
//! policy and an f32 checkpoint of it is exact; where the optimizer is on a device (`Location::Device`) they have all bits of f64. Their average (`evaluation.average`) is
//! rounded by the engine that is given it. zeta never meets an engine and keeps all of its f64.

mod adam;
mod estimate;
mod learner;
mod log_z;
mod settings;

pub use crate::out_of_range::OutOfRange;
pub use adam::{Adam, Hyperparameters};
pub use estimate::estimate;
pub use learner::{HostLearner, Learn, LearnerState, Weights};
pub use log_z::LogZ;
pub use settings::{Location, Schedule, Settings};

/// Euclidean norm; not finite if any entry is not. Summed in a fixed order.
pub fn norm(gradient: &[f64]) -> f64 {
    // Eight running sums, which one vector unit can hold: a single one would wait for itself.
    let mut sums = [0.0; 8];
    let chunks = gradient.chunks_exact(sums.len());
    let rest: f64 = chunks.remainder().iter().map(|value| value * value).sum();
    for chunk in chunks {
        sums.iter_mut().zip(chunk).for_each(|(sum, value)| *sum += value * value);
    }
    (sums.iter().sum::<f64>() + rest).sqrt()
}

/// Scales a gradient of this norm down to `bound` if it exceeds that.
fn clip(gradient: &mut [f64], norm: f64, bound: f64) {
    if norm > bound {
        gradient.iter_mut().for_each(|value| *value *= bound / norm);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn norms_and_clipping() {
        let mut gradient: Vec<f64> = (1..=19).map(f64::from).collect();
        let expected = (19.0 * 20.0 * 39.0 / 6.0f64).sqrt();
        assert!((norm(&gradient) - expected).abs() < 1e-13);
        clip(&mut gradient, expected, 100.0);
        assert_eq!(gradient[18], 19.0);
        clip(&mut gradient, expected, 2.0);
        assert!((norm(&gradient) - 2.0).abs() < 1e-14);
        assert!((gradient[18] / gradient[0] - 19.0).abs() < 1e-13);
        for bad in [f64::NAN, f64::INFINITY] {
            assert!(!norm(&[1.0, bad]).is_finite());
        }
        assert_eq!(norm(&[]), 0.0);
    }
}
