//! Flow matching: what flows into a state flows out of it.
//!
//! With F_t = log F of the state before step t and p_t = log P_F of that step, the flow along step t is exp(F_t + p_t), and the state
//! after it has the residual
//!
//! ```text
//! r_t = log(exp(F_t + p_t) + sum over its other parents s' of F(s') P_F(s' -> s)) - F_(t+1),    F_T = log R of the object.
//! ```
//!
//! Source: Bengio, Jain, Korablyov, Precup, Bengio, "Flow Network based Generative Models for Non-Iterative Diverse Candidate
//! Generation" (NeurIPS 2021, arXiv:2106.04399), with F P_F in place of an output for each edge.

use super::contribution::Contribution;
use super::loss::Loss;
use crate::engine::{Batch, Coefficients, StepCoefficients};
use crate::logs::log_sum_exp;

/// A loss of flow matching's residuals, summed over a trajectory's states, averaged over trajectories of any source.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FlowMatching {
    /// Of each residual.
    pub loss: Loss,
}

impl FlowMatching {
    /// What `weight` times the loss makes of a batch whose single steps are told of, those of other parents left out.
    ///
    /// # Panics
    /// If steps are not told of, or without log F, or without what flows in from other parents.
    pub(super) fn contribution(&self, weight: f64, batch: &Batch) -> Contribution {
        let steps = batch.steps.as_ref().expect("asked for");
        let numbers = batch.count() * steps.max_steps;
        let mut found =
            StepCoefficients { forward: vec![0.0; numbers], backward: Vec::new(), flow: vec![0.0; numbers] };
        let mut total = 0.0;
        self.visit(batch, |at, last, loss, slope, share| {
            total += loss;
            found.forward[at] += weight * slope * share;
            found.flow[at] += weight * slope * share;
            if !last {
                found.flow[at + 1] -= weight * slope;
            }
        });
        Contribution { policy: Coefficients::Steps(found), zeta: None, loss: weight * total }
    }

    /// The derivative by log of what flows in from other parents, for each step, [count, max_steps].
    pub(crate) fn by_inflow(&self, weight: f64, batch: &Batch) -> Vec<f64> {
        let numbers = batch.steps.as_ref().map_or(0, |steps| batch.count() * steps.max_steps);
        let mut found = vec![0.0; numbers];
        self.visit(batch, |at, _, _, slope, share| found[at] = weight * slope * (1.0 - share));
        found
    }

    /// Tells `found` of every step: its place, whether it is the last, its loss and slope over the number of trajectories, and its own
    /// share of what flows in.
    fn visit(&self, batch: &Batch, mut found: impl FnMut(usize, bool, f64, f64, f64)) {
        let steps = batch.steps.as_ref().expect("asked for");
        let (count, most) = (batch.count(), steps.max_steps);
        assert!(steps.log_flow.len() == count * most && steps.log_inflow.len() == count * most, "flows of every state");
        for row in 0..count {
            for t in 0..steps.lengths[row] {
                let (at, last) = (row * most + t, t + 1 == steps.lengths[row]);
                let own = steps.log_flow[at] + steps.log_forward[at];
                let inflow = log_sum_exp(&[own, steps.log_inflow[at]]);
                let outflow = if last { batch.log_reward[row] } else { steps.log_flow[at + 1] };
                let (loss, slope) = self.loss.evaluate(inflow - outflow);
                found(at, last, loss / count as f64, slope / count as f64, (own - inflow).exp());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Steps;

    fn batch() -> Batch {
        let none = f64::NEG_INFINITY;
        let steps = Steps {
            max_steps: 3,
            lengths: vec![3, 2],
            log_forward: vec![-0.5, -1.2, -0.1, -0.7, -0.4, 0.0],
            log_backward: vec![0.0; 6],
            log_flow: vec![1.3, 0.4, 0.9, 1.3, -0.2, 7.0],
            log_inflow: vec![none, 0.3, none, none, -0.6, none],
            ..Steps::default()
        };
        let zeros = vec![0.0; 2];
        Batch { log_forward: zeros.clone(), log_backward: zeros, log_reward: vec![0.8, -0.3], steps: Some(steps) }
    }

    #[test]
    fn coefficients_are_the_derivatives_of_the_loss() {
        type Of = fn(&mut Steps) -> &mut Vec<f64>;
        let mut checked = 0;
        for loss in [Loss::Squared, Loss::Linex { scale: 1.0 }] {
            let matching = FlowMatching { loss };
            let Coefficients::Steps(found) = matching.contribution(0.7, &batch()).policy else { panic!("of steps") };
            let inflow = matching.by_inflow(0.7, &batch());
            let lists: [(Of, &Vec<f64>); 3] = [
                (|steps| &mut steps.log_forward, &found.forward),
                (|steps| &mut steps.log_flow, &found.flow),
                (|steps| &mut steps.log_inflow, &inflow),
            ];
            for (of, found) in lists {
                for (index, &derivative) in found.iter().enumerate() {
                    let at = |shift: f64| {
                        let mut batch = batch();
                        of(batch.steps.as_mut().unwrap())[index] += shift;
                        matching.contribution(0.7, &batch).loss
                    };
                    let difference = (at(1e-5) - at(-1e-5)) / 2e-5;
                    assert!((derivative - difference).abs() < 1e-8, "{loss:?} {index}: {derivative} {difference}");
                    checked += 1;
                }
            }
        }
        assert_eq!(checked, 36);
    }
}
