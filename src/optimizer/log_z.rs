//! The learned log Z, zeta: a number with a learning rate of its own, which no engine meets.

use super::{Adam, Hyperparameters, Settings};
use crate::schedule::Progress;

/// zeta and its Adam, all in f64.
#[derive(Clone, Debug, PartialEq)]
pub struct LogZ {
    settings: Settings,
    /// None before it has started.
    pub value: Option<f64>,
    /// Of one parameter.
    pub adam: Adam,
}

impl LogZ {
    /// A zeta at this value; without one it starts later, from a batch.
    pub fn new(settings: Settings, value: Option<f64>) -> Self {
        let constants = Hyperparameters { weight_decay: 0.0, ..settings.hyperparameters() };
        Self { settings, value, adam: Adam::new(1, constants) }
    }

    /// One step down a derivative. Neither clipped nor decayed; without a derivative, or before it has started, zeta and its
    /// moments stay as they are.
    pub fn step(&mut self, progress: Progress, derivative: Option<f64>) {
        if let (Some(value), Some(derivative)) = (&mut self.value, derivative) {
            let rate = self.settings.zeta_learning_rate * self.settings.factor(progress);
            self.adam.step_in_f64(std::slice::from_mut(value), &[derivative], rate);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeta_has_its_own_rate_and_rests_without_a_derivative() {
        let settings =
            Settings { learning_rate: 0.01, zeta_learning_rate: 0.5, weight_decay: 0.1, ..Settings::default() };
        let mut log_z = LogZ::new(settings, Some(2.0));
        let progress = Progress { iteration: 0, total: 10 };
        log_z.step(progress, None);
        assert_eq!((log_z.value, log_z.adam.steps), (Some(2.0), 0));
        // The first step of Adam is the learning rate, whatever the size of the gradient; zeta does not decay.
        log_z.step(progress, Some(1e-3));
        let value = log_z.value.unwrap();
        assert!((value - 1.5).abs() < 1e-5, "{value}");
        let mut unborn = LogZ::new(settings, None);
        unborn.step(progress, Some(1.0));
        assert_eq!((unborn.value, unborn.adam.steps), (None, 0));
    }
}
