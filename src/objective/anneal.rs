//! Annealing: training on R^beta, beta rising to 1.
//!
//! A policy that starts on R itself may settle in one of its modes before it has seen the others; at a small beta they are close
//! to each other. After Wu, Wang and Zhang, "Solving statistical mechanics using variational autoregressive networks", PRL 122,
//! 2019 (arXiv:1809.10606).

use serde::{Deserialize, Serialize};

use super::OutOfRange;
use crate::schedule::Progress;

/// `[anneal]`: what training multiplies log R by. Evaluations take log R as it is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Anneal {
    /// beta of the first iteration, 0 to 1; 1, the default, is no annealing.
    pub start: f64,
    /// The fraction of the run over which beta rises to 1, above 0 and at most 1.
    pub fraction: f64,
    /// "linear", or "geometric", which needs a start above 0.
    pub shape: Shape,
}

/// How beta rises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// By as much in every iteration.
    Linear,
    /// By as large a factor in every iteration.
    Geometric,
}

impl Default for Anneal {
    fn default() -> Self {
        Self { start: 1.0, fraction: 0.5, shape: Shape::Linear }
    }
}

impl Anneal {
    /// beta of an iteration.
    pub fn beta(&self, progress: Progress) -> f64 {
        let along = progress.fraction() / self.fraction;
        if along >= 1.0 || self.start == 1.0 {
            return 1.0;
        }
        match self.shape {
            Shape::Linear => self.start + (1.0 - self.start) * along,
            Shape::Geometric => self.start.powf(1.0 - along),
        }
    }

    /// Checks the ranges.
    ///
    /// # Errors
    /// Names the key, what it was, and what is allowed.
    pub fn check(&self) -> Result<(), OutOfRange> {
        let Self { start, fraction, shape } = *self;
        if !(0.0..=1.0).contains(&start) {
            return Err(OutOfRange::new(format!("anneal.start = {start}: must be 0 to 1")));
        }
        if shape == Shape::Geometric && start == 0.0 {
            let message = "anneal.start = 0: must be above 0 with anneal.shape = \"geometric\"";
            return Err(OutOfRange::new(message));
        }
        if !(fraction > 0.0 && fraction <= 1.0) {
            return Err(OutOfRange::new(format!("anneal.fraction = {fraction}: must be above 0 and at most 1")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn along(anneal: Anneal) -> Vec<f64> {
        (0..5).map(|iteration| anneal.beta(Progress { iteration, total: 5 })).collect()
    }

    #[test]
    fn beta_rises_to_one_and_stays_there() {
        assert_eq!(along(Anneal::default()), [1.0; 5]);
        let linear = Anneal { start: 0.0, fraction: 0.5, shape: Shape::Linear };
        assert_eq!(along(linear), [0.0, 0.5, 1.0, 1.0, 1.0]);
        let geometric = Anneal { start: 0.0625, fraction: 1.0, shape: Shape::Geometric };
        assert_eq!(along(geometric), [0.0625, 0.125, 0.25, 0.5, 1.0]);
    }

    #[test]
    fn what_is_out_of_range_is_named() {
        let message = |text: &str| toml::from_str::<Anneal>(text).unwrap().check().unwrap_err().to_string();
        assert!(message("start = -0.1").contains("anneal.start = -0.1: must be 0 to 1"));
        assert!(message("start = nan").contains("anneal.start = NaN"));
        assert!(message("start = 0\nshape = 'geometric'").contains("above 0 with anneal.shape"));
        assert!(message("fraction = 0").contains("anneal.fraction = 0"));
        assert!(message("fraction = 1.5").contains("at most 1"));
        assert!(toml::from_str::<Anneal>("shape = 'sudden'").is_err());
    }
}
