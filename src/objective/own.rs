//! Estimators that a user of the library brings.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::Contribution;
use crate::engine::Batch;
use crate::process::Flow;

/// A gradient estimator of one's own: log-probabilities of a batch in, coefficients out.
///
/// Coefficients may be one number a trajectory or one a step; nothing else of an engine, a trainer or a shader knows the
/// difference.
pub trait OwnEstimator: fmt::Debug + Send + Sync {
    /// What `weight` times the estimator makes of a batch; `log_z` is the learned log Z (0 if none is learned, or none has
    /// started).
    fn contribution(&self, weight: f64, batch: &Batch, log_z: f64) -> Contribution;

    /// Whether log Z is learned along, by the derivative that a contribution has.
    fn learns_log_z(&self) -> bool {
        false
    }

    /// Whether it looks at single steps: [`Batch::steps`] is there only if it does.
    fn needs_steps(&self) -> bool {
        false
    }

    /// What the policy has to say of the flow through a state ([`crate::engine::Steps::log_flow`]).
    fn needs_flow(&self) -> Flow {
        Flow::Unsaid
    }

    /// Whether it depends on log R.
    fn needs_reward(&self) -> bool {
        true
    }

    /// Why a batch of one cannot be used, where it cannot.
    fn refuses_one(&self) -> Option<&'static str> {
        None
    }
}

/// A shared [`OwnEstimator`], equal to itself alone.
#[derive(Clone, Debug)]
pub struct Own(Arc<dyn OwnEstimator>);

impl Own {
    /// Shares an estimator.
    pub fn new(estimator: impl OwnEstimator + 'static) -> Self {
        Self(Arc::new(estimator))
    }
}

impl Deref for Own {
    type Target = dyn OwnEstimator;

    fn deref(&self) -> &Self::Target {
        self.0.as_ref()
    }
}

impl PartialEq for Own {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
