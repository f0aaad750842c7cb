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
            Self::Balance(_) | Self::FlowMatching(_) | Self::Own(_) => Vec::new(),
        }
    }
}

/// softmax(exponent * log_weights).
fn softmax(log_weights: &[f64], exponent: f64) -> Vec<f64> {
    let share = 1.0 / log_weights.len() as f64;
    centred_softmax(log_weights, exponent).into_iter().map(|centred| centred + share).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{ControlVariate, Loss, tsallis};
    use super::*;
    use crate::compare::assert_close;
    use crate::engine::Coefficients;

    const ZETA: f64 = 0.37;

    fn batch() -> Batch {
        Batch {
            log_forward: vec![-1.0, -2.5, -0.7, -1.9],
            log_backward: vec![-0.4, -0.1, -1.2, -0.8],
            log_reward: vec![0.3, 1.1, -0.6, 0.2],
            steps: None,
        }
    }

    /// Central differences of `f` by log P_B of each trajectory.
    fn differences(f: impl Fn(&Batch) -> f64) -> Vec<f64> {
        let at = |index: usize, shift: f64| {
            let mut batch = batch();
            batch.log_backward[index] += shift;
            f(&batch)
        };
        (0..batch().count()).map(|index| (at(index, 1e-5) - at(index, -1e-5)) / 2e-5).collect()
    }

    #[test]
    fn b_is_the_derivative_of_the_loss_by_log_p_b() {
        let estimators = [
            Estimator::ReverseKl(ControlVariate::LeaveOneOut),
            Estimator::SnisForwardKl,
            Estimator::Regression(Loss::Squared),
            Estimator::Regression(Loss::Linex { scale: 1.0 }),
            Estimator::LogVariance,
            Estimator::Renyi { order: 0.5 },
            Estimator::Renyi { order: 2.0 },
        ];
        for estimator in estimators {
            let expected = differences(|batch| estimator.contribution(0.7, batch, ZETA).loss);
            assert_close(&estimator.backward(0.7, &batch(), ZETA), &expected, 1e-8, &format!("{estimator:?}"));
        }
        // Its log Z is a constant to it.
        for order in [0.5, 2.0] {
            let log_z = log_mean_exp(&batch().log_weights());
            let expected = differences(|batch| 0.7 * tsallis(&batch.log_weights(), order, log_z).1);
            let found = Estimator::Tsallis { order }.backward(0.7, &batch(), ZETA);
            assert_close(&found, &expected, 1e-8, "Tsallis");
        }
    }

    /// What is drawn from P_B has the score function's part as well: the expectation over pairs of trajectories, of three that
    /// lead to one object, is the derivative of the expected loss.
    #[test]
    fn b_of_forward_kl_has_the_expectation_of_its_gradient() {
        let logits = [0.3, -0.5, 0.9];
        let (log_forward, log_reward) = ([-0.5, -1.5, -2.5], 0.4);
        let backward = |logits: &[f64]| {
            let normaliser = crate::logs::log_sum_exp(logits);
            logits.iter().map(|logit| logit - normaliser).collect::<Vec<f64>>()
        };
        let loss = |logits: &[f64]| {
            let log_backward = backward(logits);
            log_backward.iter().zip(log_forward).map(|(q, p)| q.exp() * (log_reward + q - p)).sum::<f64>()
        };
        let log_backward = backward(&logits);
        let mut found = [0.0; 3];
        for (i, j) in (0..3).flat_map(|i| (0..3).map(move |j| (i, j))) {
            let pair = Batch {
                log_forward: vec![log_forward[i], log_forward[j]],
                log_backward: vec![log_backward[i], log_backward[j]],
                log_reward: vec![log_reward; 2],
                steps: None,
            };
            let b = Estimator::ForwardKl.backward(1.0, &pair, ZETA);
            let probability = (log_backward[i] + log_backward[j]).exp();
            for (taken, b) in [i, j].into_iter().zip(b) {
                for (k, found) in found.iter_mut().enumerate() {
                    *found += probability * b * (f64::from(u8::from(taken == k)) - log_backward[k].exp());
                }
            }
        }
        let expected: Vec<f64> = (0..3)
            .map(|k| {
                let at = |shift: f64| {
                    let mut shifted = logits;
                    shifted[k] += shift;
                    loss(&shifted)
                };
                (at(1e-5) - at(-1e-5)) / 2e-5
            })
            .collect();
        assert_close(&found, &expected, 1e-8, "forward KL");
    }

    #[test]
    fn a_term_spreads_its_coefficients_over_steps() {
        use super::super::{Source, Term};
        let term = Term { source: Source::Forward, weight: 0.5, estimator: Estimator::Regression(Loss::Squared) };
        let steps = |training| match term.joint_contribution(&batch(), ZETA, 2, training).policy {
            Coefficients::Steps(steps) => steps,
            Coefficients::Trajectories(_) => panic!("coefficients of steps"),
        };
        let joint = steps(Some(BackwardTraining::Joint));
        assert_eq!(joint.forward, joint.backward.iter().map(|b| -b).collect::<Vec<f64>>());
        assert_eq!((joint.forward.len(), joint.flow.len()), (8, 0));
        assert_eq!(joint.forward[2], joint.forward[3]);
        assert_eq!(steps(Some(BackwardTraining::Tlm)).backward, vec![-0.125; 8]);
        assert_eq!(steps(None).backward, Vec::<f64>::new());
    }
}
