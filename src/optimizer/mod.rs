//! The optimizer: Adam on the host, for the policy's parameters and for zeta, the learned log Z.
//!
//! The policy's parameters are f64 numbers that are always exact in f32, so that engines of either precision see the same
//! policy and an f32 checkpoint of it is exact. zeta never meets an engine and keeps all of its f64.

mod adam;
mod settings;

pub use adam::{Adam, Hyperparameters};
pub use settings::{Schedule, Settings};

use crate::schedule::Progress;

/// Adam for the policy, and a second one for zeta with a learning rate of its own.
#[derive(Debug, PartialEq)]
pub struct Optimizer {
    settings: Settings,
    pub policy: Adam,
    /// Of one parameter.
    pub zeta: Adam,
}

impl Optimizer {
    /// A fresh optimizer of a policy with `parameters` parameters.
    pub fn new(settings: Settings, parameters: usize) -> Self {
        let hyperparameters = settings.hyperparameters();
        let undecayed = Hyperparameters { weight_decay: 0.0, ..hyperparameters };
        Self { policy: Adam::new(parameters, hyperparameters), zeta: Adam::new(1, undecayed), settings }
    }

    /// One step down the gradient. Scales `gradient` in place where clipping asks for it (the policy's alone: zeta's
    /// derivative is not clipped). Without a derivative by zeta, zeta and its moments stay as they are.
    ///
    /// # Panics
    /// If `parameters` and `gradient` are not as long as the optimizer was made for.
    pub fn step(
        &mut self,
        progress: Progress,
        parameters: &mut [f64],
        gradient: &mut [f64],
        zeta: &mut f64,
        zeta_gradient: Option<f64>,
    ) {
        if let Some(bound) = self.settings.clip_norm {
            clip(gradient, bound);
        }
        let factor = self.settings.factor(progress);
        self.policy.step(parameters, gradient, self.settings.learning_rate * factor);
        if let Some(derivative) = zeta_gradient {
            let rate = self.settings.zeta_learning_rate * factor;
            self.zeta.step_in_f64(std::slice::from_mut(zeta), &[derivative], rate);
        }
    }
}

impl Clone for Optimizer {
    fn clone(&self) -> Self {
        Self { settings: self.settings, policy: self.policy.clone(), zeta: self.zeta.clone() }
    }

    fn clone_from(&mut self, source: &Self) {
        self.settings = source.settings;
        self.policy.clone_from(&source.policy);
        self.zeta.clone_from(&source.zeta);
    }
}

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

/// Scales a gradient whose norm exceeds `bound` down to it.
fn clip(gradient: &mut [f64], bound: f64) {
    let norm = norm(gradient);
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
        clip(&mut gradient, 100.0);
        assert_eq!(gradient[18], 19.0);
        clip(&mut gradient, 2.0);
        assert!((norm(&gradient) - 2.0).abs() < 1e-14);
        assert!((gradient[18] / gradient[0] - 19.0).abs() < 1e-13);
        for bad in [f64::NAN, f64::INFINITY] {
            assert!(!norm(&[1.0, bad]).is_finite());
        }
        assert_eq!(norm(&[]), 0.0);
    }

    #[test]
    fn zeta_has_its_own_rate_and_rests_without_a_derivative() {
        let settings =
            Settings { learning_rate: 0.01, zeta_learning_rate: 0.5, weight_decay: 0.1, ..Settings::default() };
        let mut optimizer = Optimizer::new(settings, 1);
        let (mut parameters, mut zeta) = (vec![0.0], 2.0);
        let progress = Progress { iteration: 0, total: 10 };
        optimizer.step(progress, &mut parameters, &mut [3.0], &mut zeta, None);
        assert_eq!((zeta, optimizer.zeta.steps), (2.0, 0));
        // The first step of Adam is the learning rate, whatever the size of the gradient; zeta does not decay.
        optimizer.step(progress, &mut parameters, &mut [3.0], &mut zeta, Some(1e-3));
        assert!((zeta - 1.5).abs() < 1e-5 && (parameters[0] + 0.02).abs() < 1e-4, "{zeta} {parameters:?}");
    }

    #[test]
    fn clipping_and_the_schedule_reach_the_step() {
        // A large epsilon makes the first step proportional to the gradient: rate * g / (|g| + epsilon).
        let settings = Settings {
            learning_rate: 1.0,
            schedule: Schedule::Linear,
            final_fraction: 0.5,
            clip_norm: Some(1.0),
            epsilon: 1e6,
            ..Settings::default()
        };
        let mut optimizer = Optimizer::new(settings, 2);
        let mut parameters = [0.0; 2];
        let progress = Progress { iteration: 9, total: 10 };
        optimizer.step(progress, &mut parameters, &mut [30.0, 40.0], &mut 0.0, None);
        assert!((parameters[0] + 0.3e-6).abs() < 1e-11 && (parameters[1] + 0.4e-6).abs() < 1e-11, "{parameters:?}");
    }
}
