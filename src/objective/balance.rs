//! Objectives on single steps: the flow through states, which the policy says, has to balance.
//!
//! With p_t = log P_F of step t, q_t = log P_B of taking it back, F_t = log F of the state before it and F_T = log R of the object,
//! a stretch of a trajectory from state i to state j has the residual
//!
//! ```text
//! r_ij = F_i - F_j + sum over i <= t < j of (p_t - q_t),
//! ```
//!
//! which is 0 for every stretch where the flow is that of R. Sources: Bengio, Lahlou, Deleu, Hu, Tiwari, Bengio, "GFlowNet
//! Foundations" (JMLR 2023, arXiv:2111.09266) for detailed balance; Madan et al., "Learning GFlowNets from partial episodes
//! for improved convergence and stability" (ICML 2023, arXiv:2209.12782) for all stretches; Pan, Malkin, Zhang, Bengio, "Better
//! Training of GFlowNets with Local Credit and Incomplete Trajectories" (ICML 2023, arXiv:2302.01687) for flows that look forward.

use super::contribution::Contribution;
use super::loss::Loss;
use crate::engine::{Batch, Coefficients, StepCoefficients};

/// Which residuals count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Stretches {
    /// Those of single steps, their losses summed over a trajectory: detailed balance.
    Steps,
    /// All, those of n steps with weight lambda^n, averaged over a trajectory: sub-trajectory balance. It tends to detailed balance
    /// (divided by a trajectory's steps) as lambda -> 0, and to trajectory balance as lambda -> infinity.
    All {
        /// Above 0.
        lambda: f64,
    },
}

/// A loss of balance residuals, averaged over trajectories of any source.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Balance {
    /// Which residuals count.
    pub stretches: Stretches,
    /// Their loss.
    pub loss: Loss,
    /// Where log F of a state comes from.
    pub flows: Flows,
}

/// Where log F of a state comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flows {
    /// The policy says it.
    Said,
    /// The policy says it less what the target knows of the state, its intermediate log-reward.
    Forward,
    /// log R(s) - log P_F(stop | s), where every state can stop: modified detailed balance (Deleu et al., "Bayesian Structure Learning
    /// with Generative Flow Networks", UAI 2022, arXiv:2202.13903).
    Stopping,
}

impl Balance {
    /// What `weight` times the loss makes of a batch, whose single steps are told of.
    ///
    /// # Panics
    /// If they are not, or without log F, or without log-rewards of states where they are looked at.
    pub(super) fn contribution(&self, weight: f64, batch: &Batch) -> Contribution {
        let steps = batch.steps.as_ref().expect("asked for");
        let (count, most) = (batch.count(), steps.max_steps);
        assert_eq!(steps.log_flow.len(), count * most, "a policy that says log F of every state");
        let mut found = StepCoefficients {
            forward: vec![0.0; count * most],
            backward: vec![0.0; count * most],
            flow: vec![0.0; count * most],
        };
        let (mut total, share) = (0.0, weight / count as f64);
        let sign = if self.flows == Flows::Stopping { -1.0 } else { 1.0 };
        // u_t = F_t - sum of (p - q) before t, so that r_ij = u_i - u_j; and the derivative by each.
        let (mut u, mut by_u) = (Vec::new(), Vec::new());
        for row in 0..count {
            let length = steps.lengths[row];
            let of = row * most..row * most + length;
            u.clear();
            let mut passed = 0.0;
            for t in of.clone() {
                let log_flow = match self.flows {
                    Flows::Said => steps.log_flow[t],
                    Flows::Forward => steps.log_flow[t] + steps.log_reward[t],
                    Flows::Stopping => steps.log_reward[t] - steps.log_flow[t],
                };
                u.push(log_flow - passed);
                passed += steps.log_forward[t] - steps.log_backward[t];
            }
            u.push(batch.log_reward[row] - passed);
            by_u.clear();
            by_u.resize(length + 1, 0.0);
            total += self.losses(&u, &mut by_u);
            // u_t has F_t once, and every step before t with the other sign.
            let mut later = 0.0;
            for t in (0..length).rev() {
                later += by_u[t + 1];
                found.forward[of.start + t] = -share * later;
                found.backward[of.start + t] = share * later;
                found.flow[of.start + t] = sign * share * by_u[t];
            }
        }
        Contribution { policy: Coefficients::Steps(found), zeta: None, loss: share * total }
    }

    /// The losses of a trajectory's residuals, and their derivatives by u.
    fn losses(&self, u: &[f64], by_u: &mut [f64]) -> f64 {
        let steps = u.len() - 1;
        let mut total = 0.0;
        let mut add = |i: usize, j: usize, weight: f64| {
            let (loss, slope) = self.loss.evaluate(u[i] - u[j]);
            total += weight * loss;
            by_u[i] += weight * slope;
            by_u[j] -= weight * slope;
        };
        match self.stretches {
            Stretches::Steps => (0..steps).for_each(|t| add(t, t + 1, 1.0)),
            Stretches::All { lambda } => {
                // Relative to the largest, which any power of lambda is at one of the ends.
                let power = |n: usize| {
                    let most = if lambda > 1.0 { steps } else { 1 };
                    ((n as f64 - most as f64) * lambda.ln()).exp()
                };
                let whole: f64 = (1..=steps).map(|n| (steps + 1 - n) as f64 * power(n)).sum();
                for n in 1..=steps {
                    let weight = power(n) / whole;
                    (0..=steps - n).for_each(|i| add(i, i + n, weight));
                }
            }
        }
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Steps;
    use crate::objective::Estimator;

    /// Two trajectories of three and of two steps.
    fn batch() -> Batch {
        let steps = Steps {
            max_steps: 3,
            lengths: vec![3, 2],
            log_forward: vec![-0.5, -1.2, -0.1, -0.7, -0.4, 0.0],
            log_backward: vec![0.0, -0.6, -0.3, 0.0, -0.9, 0.0],
            log_flow: vec![1.3, 0.4, 0.9, 1.3, -0.2, 7.0],
            log_reward: vec![0.0, 0.3, -0.2, 0.0, 0.6, 9.0],
            log_inflow: Vec::new(),
        };
        Batch {
            log_forward: vec![-1.8, -1.1],
            log_backward: vec![-0.9, -0.9],
            log_reward: vec![0.8, -0.3],
            steps: Some(steps),
        }
    }

    fn balances() -> Vec<Balance> {
        let mut all = Vec::new();
        for stretches in [Stretches::Steps, Stretches::All { lambda: 0.9 }, Stretches::All { lambda: 2.0 }] {
            for loss in [Loss::Squared, Loss::Huber { threshold: 0.37 }, Loss::Linex { scale: 1.0 }] {
                let flows = [Flows::Said, Flows::Forward, Flows::Stopping];
                all.extend(flows.map(|flows| Balance { stretches, loss, flows }));
            }
        }
        all
    }

    #[test]
    fn coefficients_are_the_derivatives_of_the_loss() {
        let mut checked = 0;
        for balance in balances() {
            let Coefficients::Steps(found) = balance.contribution(0.7, &batch()).policy else { panic!("of steps") };
            type Of = fn(&mut Steps) -> &mut Vec<f64>;
            let lists: [Of; 3] =
                [|steps| &mut steps.log_forward, |steps| &mut steps.log_backward, |steps| &mut steps.log_flow];
            for (of, found) in lists.into_iter().zip(found.lists()) {
                for (index, &derivative) in found.iter().enumerate() {
                    let at = |shift: f64| {
                        let mut batch = batch();
                        of(batch.steps.as_mut().unwrap())[index] += shift;
                        balance.contribution(0.7, &batch).loss
                    };
                    let difference = (at(1e-5) - at(-1e-5)) / 2e-5;
                    assert!((derivative - difference).abs() < 1e-8, "{balance:?} {index}: {derivative} {difference}");
                    checked += 1;
                }
            }
        }
        assert!(checked > 300);
    }

    #[test]
    fn large_and_small_lambda_are_trajectory_and_detailed_balance() {
        let all = |lambda| Balance { stretches: Stretches::All { lambda }, loss: Loss::Squared, flows: Flows::Said };
        let batch = batch();
        // The flow through the first state is zeta.
        let whole = Estimator::Regression(Loss::Squared).contribution(1.0, &batch, 1.3);
        let large = all(1e12).contribution(1.0, &batch);
        assert!((large.loss - whole.loss).abs() < 1e-10, "{} {}", large.loss, whole.loss);
        let (Some(whole), Coefficients::Steps(large)) = (whole.policy.of_trajectories(), large.policy) else {
            panic!()
        };
        for (row, c) in whole.iter().enumerate() {
            let length = batch.steps.as_ref().unwrap().lengths[row];
            assert!(large.forward[3 * row..][..length].iter().all(|found| (found - c).abs() < 1e-10));
            assert!(large.backward[3 * row..][..length].iter().all(|found| (found + c).abs() < 1e-10));
        }
        let detailed = Balance { stretches: Stretches::Steps, ..all(1.0) };
        for row in 0..2 {
            let mut one = batch.clone();
            let keep = |list: &mut Vec<f64>, width: usize| *list = list[row * width..(row + 1) * width].to_vec();
            for list in [&mut one.log_forward, &mut one.log_backward, &mut one.log_reward] {
                keep(list, 1);
            }
            let steps = one.steps.as_mut().unwrap();
            steps.lengths = vec![steps.lengths[row]];
            let length = steps.lengths[0] as f64;
            let lists = [&mut steps.log_forward, &mut steps.log_backward, &mut steps.log_flow, &mut steps.log_reward];
            lists.into_iter().for_each(|list| keep(list, 3));
            let (small, detailed) = (all(1e-12).contribution(1.0, &one).loss, detailed.contribution(1.0, &one).loss);
            assert!((small - detailed / length).abs() < 1e-10, "{small} {detailed}");
        }
    }
}
