//! The hypergrid, a process whose trajectories have several lengths and end with a stop.
//!
//! Source: Bengio, Jain, Korablyov, Precup, Bengio, "Flow Network based Generative Models for Non-Iterative Diverse Candidate
//! Generation" (NeurIPS 2021, arXiv:2106.04399), section 4.1.

use super::{Changes, Extras, Flow, Objects, Process, ProcessKernel, Step, Trajectories, parent};
use crate::random::{Draw, pick};

/// A grid of `height`^`dimensions` points: from the origin, an action raises one coordinate by one or stops. Action `i` raises
/// coordinate `i`, the last one stops.
///
/// P_B lowers one of the coordinates that are not 0: each as likely as the others, or as the policy says. The policy sees each
/// coordinate as `height` inputs of which one is 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hypergrid {
    /// Coordinates of a point.
    pub dimensions: usize,
    /// Values of a coordinate, 0 to this less one.
    pub height: usize,
    /// What else the policy says.
    pub extras: Extras,
}

impl Hypergrid {
    /// With a uniform P_B and without flows.
    pub fn new(dimensions: usize, height: usize) -> Self {
        Self { dimensions, height, extras: Extras::default() }
    }

    fn last_action(&self) -> u32 {
        self.dimensions as u32
    }
}

impl Process for Hypergrid {
    fn sites(&self) -> usize {
        self.dimensions
    }

    fn values(&self) -> usize {
        self.height
    }

    fn columns(&self) -> usize {
        self.dimensions * self.height
    }

    fn actions(&self) -> usize {
        self.dimensions + 1
    }

    fn backward_actions(&self) -> usize {
        if self.extras.learned_backward { self.dimensions } else { 0 }
    }

    fn flow(&self) -> Flow {
        self.extras.flow
    }

    fn stop(&self) -> Option<u32> {
        Some(self.last_action())
    }

    fn max_steps(&self) -> usize {
        self.dimensions * (self.height - 1) + 1
    }

    fn initial_input(&self) -> Vec<f64> {
        (0..self.columns()).map(|column| if column % self.height == 0 { 1.0 } else { 0.0 }).collect()
    }

    fn state_words(&self) -> usize {
        self.dimensions
    }

    fn allows(&self, state: &[u32], action: u32) -> bool {
        action == self.last_action() || (state[action as usize] as usize) < self.height - 1
    }

    fn advance(&self, state: &mut [u32], action: u32) -> Step {
        if action == self.last_action() {
            return Step { changes: Changes::none(), log_backward: 0.0, ends: true };
        }
        let column = action as usize * self.height + state[action as usize] as usize;
        state[action as usize] += 1;
        let raised = state.iter().filter(|&&coordinate| coordinate > 0).count();
        let log_backward = if self.extras.learned_backward { 0.0 } else { -(raised as f64).ln() };
        Step { changes: Changes::two((column, -1.0), (column + 1, 1.0)), log_backward, ends: false }
    }

    fn allows_backward(&self, state: &[u32], backward: u32) -> bool {
        state[backward as usize] > 0
    }

    fn backward_of(&self, action: u32) -> Option<u32> {
        (self.extras.learned_backward && action != self.last_action()).then_some(action)
    }

    fn take_back(&self, state: &mut [u32], backward: u32) -> u32 {
        state[backward as usize] -= 1;
        backward
    }

    fn parents(&self, state: &[u32]) -> Option<Vec<(Vec<u32>, u32)>> {
        let raised = (0..self.dimensions as u32).filter(|&coordinate| self.allows_backward(state, coordinate));
        Some(raised.map(|coordinate| parent(self, state, coordinate)).collect())
    }

    fn states(&self) -> Option<f64> {
        Some((self.height as f64).powi(self.dimensions as i32))
    }

    fn object(&self, state: &[u32], values: &mut [u8]) {
        values.iter_mut().zip(state).for_each(|(value, &coordinate)| *value = coordinate as u8);
    }

    /// Coordinates are lowered one after the other, each of those above 0 as likely as the others, whether or not the policy
    /// says P_B.
    fn backward(&self, objects: &Objects, draw: &Draw) -> Trajectories {
        let rows = objects.rows().enumerate().map(|(row, object)| {
            let mut left: Vec<u32> = object.iter().map(|&value| value.into()).collect();
            let mut actions = vec![self.last_action()];
            while left.iter().any(|&coordinate| coordinate > 0) {
                let raised: Vec<usize> = (0..self.dimensions).filter(|&site| left[site] > 0).collect();
                let word = draw.words(row as u32, actions.len() as u32)[0];
                let site = raised[pick(word, raised.len() as u32) as usize];
                left[site] -= 1;
                actions.push(site as u32);
            }
            actions.reverse();
            actions
        });
        Trajectories::from_rows(self.max_steps(), rows)
    }

    fn kernel(&self) -> Option<ProcessKernel> {
        let mut source = String::from(include_str!("hypergrid.wgsl"));
        if self.extras.learned_backward {
            source.push_str(include_str!("hypergrid_backward.wgsl"));
        }
        Some(ProcessKernel { source })
    }
}

impl From<Hypergrid> for std::sync::Arc<dyn Process> {
    fn from(process: Hypergrid) -> Self {
        std::sync::Arc::new(process)
    }
}
