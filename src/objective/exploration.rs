//! Forward trajectories that depart from the policy at first.

use serde::{Deserialize, Serialize};

use super::OutOfRange;
use crate::engine::Behaviour;
use crate::schedule::Progress;

/// `[exploration]`: how forward trajectories of training are drawn. Their log P_F is the policy's all the same, and evaluations are of
/// the policy itself.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Exploration {
    /// The probability, in the first iteration, that a choice is any of those allowed, all being as likely: 0 (the default) to 1.
    pub epsilon: f64,
    /// What the other choices' logits are divided by in the first iteration, 0.01 to 100; 1 by default.
    pub temperature: f64,
    /// The fraction of the run over which epsilon goes to 0 and the temperature to 1, linearly: above 0 and at most 1.
    pub fraction: f64,
}

impl Default for Exploration {
    fn default() -> Self {
        Self { epsilon: 0.0, temperature: 1.0, fraction: 0.5 }
    }
}

impl Exploration {
    /// Whether any iteration explores.
    pub fn is_on(&self) -> bool {
        self.epsilon != 0.0 || self.temperature != 1.0
    }

    /// How choices of an iteration are drawn.
    pub fn behaviour(&self, progress: Progress) -> Behaviour {
        let left = (1.0 - progress.fraction() / self.fraction).max(0.0);
        Behaviour { epsilon: left * self.epsilon, temperature: 1.0 + left * (self.temperature - 1.0) }
    }

    /// Checks the ranges.
    ///
    /// # Errors
    /// Names the key, what it was, and what is allowed.
    pub fn check(&self) -> Result<(), OutOfRange> {
        let Self { epsilon, temperature, fraction } = *self;
        if !(0.0..=1.0).contains(&epsilon) {
            return Err(OutOfRange::new(format!("exploration.epsilon = {epsilon}: must be 0 to 1")));
        }
        if !(0.01..=100.0).contains(&temperature) {
            return Err(OutOfRange::new(format!("exploration.temperature = {temperature}: must be 0.01 to 100")));
        }
        if !(fraction > 0.0 && fraction <= 1.0) {
            let message = format!("exploration.fraction = {fraction}: must be above 0 and at most 1");
            return Err(OutOfRange::new(message));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exploration_ends_where_it_says() {
        let along = |exploration: Exploration| -> Vec<Behaviour> {
            (0..5).map(|iteration| exploration.behaviour(Progress { iteration, total: 5 })).collect()
        };
        assert!(along(Exploration::default()).iter().all(Behaviour::is_plain));
        let found = along(Exploration { epsilon: 0.4, temperature: 3.0, fraction: 0.5 });
        assert_eq!(found.iter().map(|behaviour| behaviour.epsilon).collect::<Vec<_>>(), [0.4, 0.2, 0.0, 0.0, 0.0]);
        assert_eq!(found.iter().map(|behaviour| behaviour.temperature).collect::<Vec<_>>(), [3.0, 2.0, 1.0, 1.0, 1.0]);
    }

    #[test]
    fn what_is_out_of_range_is_named() {
        let message = |text: &str| toml::from_str::<Exploration>(text).unwrap().check().unwrap_err().to_string();
        assert!(message("epsilon = 1.5").contains("exploration.epsilon = 1.5: must be 0 to 1"));
        assert!(message("epsilon = nan").contains("exploration.epsilon = NaN"));
        assert!(message("temperature = 0").contains("exploration.temperature = 0"));
        assert!(message("temperature = inf").contains("0.01 to 100"));
        assert!(message("fraction = 0").contains("exploration.fraction = 0"));
    }
}
