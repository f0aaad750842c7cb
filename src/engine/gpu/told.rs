//! What the host is told of a batch besides sums: the backward policy and single steps.

use super::GpuEngine;
use crate::engine::{Batch, EngineError, Roll, Steps};
use crate::process::Flow;

impl GpuEngine {
    /// What is known of the batch's backward policy and of its single steps, from the sums of the choices' log-probabilities.
    pub(super) fn complete(
        &mut self,
        scored_from: usize,
        stepwise: bool,
        batch: &mut Batch,
    ) -> Result<(), EngineError> {
        let count = self.batch.count;
        let (max_steps, lists) = (self.network.process.max_steps(), self.network.lists());
        let mut steps = Steps { max_steps, ..Steps::default() };
        // Those of the policy: forward, backward, flow.
        let mut said: [Vec<f64>; 3] = Default::default();
        if stepwise || lists > 1 {
            let [log_probs] = self.buffers.read::<f32, 1>(&self.context, ["log_probs"], count * lists * max_steps)?;
            for row in log_probs.chunks_exact(lists * max_steps) {
                for (said, row) in said.iter_mut().zip(row.chunks_exact(max_steps)) {
                    said.extend(row.iter().map(|&log| f64::from(log)));
                    let first = said.len() - max_steps;
                    said[first..first + scored_from].fill(0.0);
                }
            }
        }
        let [log_forward, said_backward, log_flow] = said;
        if stepwise {
            steps.log_forward = log_forward;
            steps.log_flow = if self.network.process.flow() == Flow::Unsaid { Vec::new() } else { log_flow };
        }
        if let Some(filling) = &self.network.filling {
            let log_order = filling.log_order(scored_from);
            batch.log_forward.iter_mut().for_each(|sum| *sum += log_order);
            batch.log_backward = vec![filling.log_backward(scored_from); count];
            if stepwise {
                steps.log_backward = vec![0.0; count * max_steps];
                filling.add_order(scored_from, &mut steps.log_forward, &mut steps.log_backward);
                steps.lengths = vec![max_steps; count];
            }
        } else {
            let trajectories = self.trajectories()?;
            let mut log_backward = self.network.process.log_backward_of(&trajectories);
            log_backward.chunks_exact_mut(max_steps).for_each(|row| row[..scored_from].fill(0.0));
            log_backward.iter_mut().zip(said_backward).for_each(|(log, said)| *log += said);
            batch.log_backward = log_backward.chunks_exact(max_steps).map(|row| row.iter().sum()).collect();
            steps.lengths = (0..count).map(|row| trajectories.row(row).len()).collect();
            steps.log_backward = log_backward;
        }
        batch.steps = stepwise.then_some(steps);
        Ok(())
    }
}
