//! What comes of a batch.

use crate::engine::Coefficients;

/// What an estimator makes of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Contribution {
    /// What grad log P_F weighs in the gradient of what is minimised: a number a trajectory, or a number a step.
    pub policy: Coefficients,
    /// The derivative by zeta, the learned log Z, where it is learned.
    pub zeta: Option<f64>,
    /// The value of what is minimised, for people to look at.
    pub loss: f64,
}

impl Contribution {
    /// Whether all numbers are finite. A NaN or an infinity among the log-weights always shows here, but for log w of
    /// minus infinity (an object with R = 0) in the estimators that give it no weight: SNIS, and Renyi and Tsallis with
    /// a < 1.
    pub fn is_finite(&self) -> bool {
        self.loss.is_finite() && self.zeta.is_none_or(f64::is_finite) && self.policy.are_finite()
    }
}
