//! What log P_B weighs in a gradient, where it is learned.
//!
//! An objective on whole trajectories is a function of log w = log R + log P_B - log P_F alone, which says b as it says c
//! (arXiv:2210.07992, section 3; for divergences estimated on samples of P_F, c has the score's part as well).

use serde::{Deserialize, Serialize};

use super::estimator::Estimator;
use super::weights::{centred_softmax, mean};
use crate::engine::Batch;
use crate::logs::log_mean_exp;

/// How a learned backward policy is trained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackwardTraining {
    /// By the objective itself.
    #[default]
    Joint,
    /// By trajectory likelihood maximisation, -mean log P_B on samples of P_F, whatever the objective. Source: Gritsaev,
    /// Morozov, Samsonov, Tiapkin, "Optimizing Backward Policies in GFlowNets via Trajectory Likelihood Maximization" (ICLR 2025,
    /// arXiv:2410.15474).
    Tlm,
}

impl Estimator {
    /// b of each trajectory: what `weight` times the estimator's gradient by log P_B is. Empty for objectives on single steps, which
    /// say it along with c.
    pub(super) fn backward(&self, weight: f64, batch: &Batch, zeta: f64) -> Vec<f64> {
        let log_weights = &batch.log_weights()[..];
        let count = log_weights.len() as f64;
        let share = weight / count;
        match *self {
            Self::ReverseKl(_) => vec![-share; log_weights.len()],
            // The score function of P_B, which the trajectories are drawn from; the others' mean keeps it quiet.
            Self::ForwardKl if log_weights.len() < 2 => vec![0.0; log_weights.len()],
            Self::ForwardKl => {
                let average = mean(log_weights);
                log_weights.iter().map(|log_weight| weight / (count - 1.0) * (log_weight - average)).collect()
            }
            Self::SnisForwardKl => {
                let v = softmax(log_weights, 1.0);
                let weighed = |(v, log_weight): (&f64, &f64)| if *v == 0.0 { 0.0 } else { v * log_weight };
                let average: f64 = v.iter().zip(log_weights).map(weighed).sum();
                v.iter()
                    .zip(log_weights)
                    .map(|(v, l)| if *v == 0.0 { 0.0 } else { weight * v * (l - average) })
                    .collect()
            }
            Self::Regression(loss) => {
                log_weights.iter().map(|log_weight| -share * loss.evaluate(zeta - log_weight).1).collect()
            }
            Self::LogVariance => {
                let average = mean(log_weights);
                log_weights.iter().map(|log_weight| 2.0 * weight / (count - 1.0) * (log_weight - average)).collect()
            }
            Self::Renyi { order } => softmax(log_weights, 1.0 - order).into_iter().map(|v| -weight * v).collect(),
            Self::Tsallis { order } => {
                let log_z = log_mean_exp(log_weights);
                log_weights.iter().map(|log_weight| -share * ((1.0 - order) * (log_weight - log_z)).exp()).collect()
            }
            Self::Balance(_) | Self::Own(_) => Vec::new(),
        }
    }
}

/// softmax(exponent * log_weights).
fn softmax(log_weights: &[f64], exponent: f64) -> Vec<f64> {
    let share = 1.0 / log_weights.len() as f64;
    centred_softmax(log_weights, exponent).into_iter().map(|centred| centred + share).collect()
}
