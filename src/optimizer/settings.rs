//! The experiment file's table `[optimizer]`.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use super::Hyperparameters;
use crate::out_of_range::OutOfRange;
use crate::schedule::Progress;

/// Keys of the table `[optimizer]`, all of them with defaults.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where gradients become steps: "host" if not given, or "device", where the GPU engine keeps the optimizer and goes through
    /// several iterations by itself.
    pub location: Location,
    /// Adam's learning rate for the policy. 1e-3 if not given.
    pub learning_rate: f64,
    /// Adam's learning rate for zeta, the learned log Z. 1 if not given (the paper's); 0 holds zeta where it is.
    pub zeta_learning_rate: f64,
    /// How both learning rates go over the run.
    pub schedule: Schedule,
    /// Iterations over which both learning rates first rise linearly; the schedule starts after them. 0 if not given.
    pub warmup: u32,
    /// Where `linear` and `cosine` end, as a fraction of the learning rate. 0 if not given.
    pub final_fraction: f64,
    /// Decay of the running mean of the gradient. 0.9 if not given.
    pub beta1: f64,
    /// Decay of the running mean of its square. 0.999 if not given.
    pub beta2: f64,
    /// Added to the root of the mean square. 1e-8 if not given.
    pub epsilon: f64,
    /// Decoupled weight decay (AdamW) of the policy's parameters. 0 if not given.
    pub weight_decay: f64,
    /// Largest Euclidean norm of the policy's gradient; larger ones are scaled down to it. No clipping if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
}

/// Where the optimizer is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Location {
    /// On the host, for every engine and objective.
    #[default]
    Host,
    /// On the GPU engine's device, for objectives whose coefficients are a closed form of log-weights.
    Device,
}

/// How learning rates go over a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// 1 at every iteration.
    Constant,
    /// A line from 1 at the first iteration to `final_fraction` at the last.
    Linear,
    /// Half a cosine from 1 at the first iteration to `final_fraction` at the last.
    Cosine,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            location: Location::Host,
            learning_rate: 1e-3,
            zeta_learning_rate: 1.0,
            schedule: Schedule::Constant,
            warmup: 0,
            final_fraction: 0.0,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.0,
            clip_norm: None,
        }
    }
}

impl Settings {
    /// What both learning rates are multiplied by in one iteration.
    pub fn factor(&self, progress: Progress) -> f64 {
        if progress.iteration < self.warmup {
            return f64::from(progress.iteration + 1) / f64::from(self.warmup);
        }
        let after =
            Progress { iteration: progress.iteration - self.warmup, total: progress.total.saturating_sub(self.warmup) };
        let left = match self.schedule {
            Schedule::Constant => 1.0,
            Schedule::Linear => 1.0 - after.fraction(),
            Schedule::Cosine => 0.5 * (1.0 + (PI * after.fraction()).cos()),
        };
        self.final_fraction + (1.0 - self.final_fraction) * left
    }

    /// The constants of Adam for the policy.
    pub fn hyperparameters(&self) -> Hyperparameters {
        let Self { beta1, beta2, epsilon, weight_decay, .. } = *self;
        Hyperparameters { beta1, beta2, epsilon, weight_decay }
    }

    /// Checks the ranges.
    ///
    /// # Errors
    /// Names the key, what it was, and what is allowed.
    pub fn validate(&self) -> Result<(), OutOfRange> {
        let positive = |value: f64| value > 0.0 && value.is_finite();
        let not_negative = |value: f64| value >= 0.0 && value.is_finite();
        let decay = |value: f64| (0.0..1.0).contains(&value);
        let (above_zero, zero_or_above) = ("must be positive and finite", "must be 0 or positive, and finite");
        let checks = [
            ("learning_rate", self.learning_rate, positive(self.learning_rate), above_zero),
            ("zeta_learning_rate", self.zeta_learning_rate, not_negative(self.zeta_learning_rate), zero_or_above),
            ("final_fraction", self.final_fraction, (0.0..=1.0).contains(&self.final_fraction), "must be in [0, 1]"),
            ("beta1", self.beta1, decay(self.beta1), "must be at least 0 and less than 1"),
            ("beta2", self.beta2, decay(self.beta2), "must be at least 0 and less than 1"),
            ("epsilon", self.epsilon, positive(self.epsilon), above_zero),
            ("weight_decay", self.weight_decay, not_negative(self.weight_decay), zero_or_above),
            ("clip_norm", self.clip_norm.unwrap_or_default(), self.clip_norm.is_none_or(positive), above_zero),
        ];
        match checks.into_iter().find(|check| !check.2) {
            Some((key, found, _, allowed)) => Err(OutOfRange::new(format!("optimizer.{key} = {found}: {allowed}"))),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::assert_close;

    fn along(settings: Settings, total: u32) -> Vec<f64> {
        (0..total).map(|iteration| settings.factor(Progress { iteration, total })).collect()
    }

    #[test]
    fn schedules_start_at_one_and_end_at_the_final_fraction() {
        let with =
            |schedule, final_fraction, warmup| Settings { schedule, final_fraction, warmup, ..Settings::default() };
        assert_eq!(along(with(Schedule::Constant, 0.1, 0), 3), [1.0; 3]);
        assert_eq!(along(with(Schedule::Linear, 0.0, 0), 5), [1.0, 0.75, 0.5, 0.25, 0.0]);
        assert_eq!(along(with(Schedule::Linear, 0.5, 0), 3), [1.0, 0.75, 0.5]);
        let cosine = along(with(Schedule::Cosine, 0.2, 0), 5);
        let expected = [1.0, 0.2 + 0.4 * (1.0 + 0.5f64.sqrt()), 0.6, 0.2 + 0.4 * (1.0 - 0.5f64.sqrt()), 0.2];
        assert_close(&cosine, &expected, 1e-15, "cosine");
        assert_eq!(along(with(Schedule::Linear, 0.0, 4), 7), [0.25, 0.5, 0.75, 1.0, 1.0, 0.5, 0.0]);
        // A run no longer than its warm-up only rises; one iteration is taken at the full rate.
        assert_eq!(along(with(Schedule::Cosine, 0.0, 4), 3), [0.25, 0.5, 0.75]);
        assert_eq!(along(with(Schedule::Cosine, 0.0, 0), 1), [1.0]);
    }

    #[test]
    fn ranges_are_checked_by_name() {
        let cases = [
            ("learning_rate = 0", "optimizer.learning_rate = 0: must be positive and finite"),
            ("learning_rate = nan", "optimizer.learning_rate = NaN"),
            ("zeta_learning_rate = -1", "optimizer.zeta_learning_rate = -1"),
            ("final_fraction = 1.5", "optimizer.final_fraction = 1.5: must be in [0, 1]"),
            ("beta1 = 1", "optimizer.beta1 = 1: must be at least 0 and less than 1"),
            ("beta2 = -0.1", "optimizer.beta2 = -0.1"),
            ("epsilon = 0", "optimizer.epsilon = 0"),
            ("weight_decay = inf", "optimizer.weight_decay = inf"),
            ("clip_norm = 0", "optimizer.clip_norm = 0: must be positive and finite"),
        ];
        for (text, expected) in cases {
            let message = toml::from_str::<Settings>(text).unwrap().validate().unwrap_err().to_string();
            assert!(message.starts_with(expected), "{text}: {message}");
        }
        let text = "schedule = 'cosine'\nwarmup = 10\nzeta_learning_rate = 0\nclip_norm = 1";
        let settings: Settings = toml::from_str(text).unwrap();
        assert!(settings.validate().is_ok());
        assert_eq!(toml::from_str::<Settings>(&toml::to_string(&settings).unwrap()).unwrap(), settings);
        for (text, word) in [("rate = 1", "rate"), ("schedule = 'step'", "step"), ("warmup = -1", "-1")] {
            let message = toml::from_str::<Settings>(text).unwrap_err().to_string();
            assert!(message.contains(word), "{text}: {message}");
        }
    }
}
