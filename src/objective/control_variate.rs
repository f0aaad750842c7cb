//! Control variates of the score-function estimator of reverse KL.
//!
//! With h_i = grad log P_F(tau_i) and f_i = -log w(tau_i), the gradient of E_{P_F}[-log w] is estimated by
//! (1/B) sum_i (f_i + k_i) h_i. As E[h] = 0, any k_i that does not depend on trajectory i leaves the expectation as it
//! is; a good one takes most of the variance away. Source: arXiv:2210.07992, section 4.

use serde::{Deserialize, Serialize};

use super::optimal::{Extent, Form, Optimal};
use super::weights::leave_one_out_log_means;

/// The k_i of reverse KL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ControlVariate {
    /// 0.
    #[default]
    None,
    /// zeta, fitted to log w by mean (zeta - log w)^2 with a learning rate of its own. Then c_i is half of trajectory
    /// balance's, and on-policy zeta tracks E[log w], not log Z.
    Learned,
    /// Mean log-weight of the other trajectories.
    LeaveOneOut,
    /// Log of the mean weight of the other trajectories.
    LeaveOneOutLogZ,
    /// The constant of least variance, from the same batch: biased by O(1/B).
    Optimal,
    /// The constant of least variance, for each trajectory from the others: unbiased.
    OptimalLeaveOneOut,
    /// A constant of least variance for each parameter, from the same batch: biased by O(1/B).
    OptimalPerParameter,
    /// A constant of least variance for each parameter, for each trajectory from the others: unbiased.
    OptimalPerParameterLeaveOneOut,
}

impl ControlVariate {
    /// All of them, for tests and tables.
    pub const ALL: [ControlVariate; 8] = [
        ControlVariate::None,
        ControlVariate::Learned,
        ControlVariate::LeaveOneOut,
        ControlVariate::LeaveOneOutLogZ,
        ControlVariate::Optimal,
        ControlVariate::OptimalLeaveOneOut,
        ControlVariate::OptimalPerParameter,
        ControlVariate::OptimalPerParameterLeaveOneOut,
    ];

    /// k_i, as far as log-weights alone give it: 0 for the optimal ones, which [`ControlVariate::optimal`] completes.
    pub fn values(self, log_weights: &[f64], zeta: f64) -> Vec<f64> {
        match self {
            ControlVariate::Learned => vec![zeta; log_weights.len()],
            ControlVariate::LeaveOneOut => {
                let sum: f64 = log_weights.iter().sum();
                let others = log_weights.len() as f64 - 1.0;
                log_weights.iter().map(|log_weight| (sum - log_weight) / others).collect()
            }
            ControlVariate::LeaveOneOutLogZ => leave_one_out_log_means(log_weights),
            _ => vec![0.0; log_weights.len()],
        }
    }

    /// For the optimal ones, what is still to be done with the gradients of the single trajectories.
    pub fn optimal(self) -> Option<Optimal> {
        let (extent, form) = match self {
            ControlVariate::Optimal => (Extent::Scalar, Form::Batch),
            ControlVariate::OptimalLeaveOneOut => (Extent::Scalar, Form::LeaveOneOut),
            ControlVariate::OptimalPerParameter => (Extent::PerParameter, Form::Batch),
            ControlVariate::OptimalPerParameterLeaveOneOut => (Extent::PerParameter, Form::LeaveOneOut),
            _ => return None,
        };
        Some(Optimal { extent, form })
    }

    /// Why a batch of one cannot be used, where it cannot.
    pub(super) fn refuses_one(self) -> Option<&'static str> {
        match self {
            ControlVariate::None | ControlVariate::Learned => None,
            ControlVariate::Optimal | ControlVariate::OptimalPerParameter => {
                Some("it takes all there is from the gradient of a single trajectory")
            }
            _ => Some("it is made of the batch's other trajectories"),
        }
    }
}
