//! Requests for trajectories.

use crate::process::Trajectories;
use crate::random::Draw;

/// A request for trajectories.
#[derive(Clone, Copy, Debug)]
pub struct Rollout<'a> {
    /// Which random numbers are used.
    pub draw: Draw,
    /// Number of trajectories.
    pub count: usize,
    /// Actions fixed beforehand; without any, whole trajectories are sampled from P_F.
    pub given: Option<Given<'a>>,
    /// Keep what [`super::Differentiate::accumulate`] needs.
    pub keep: bool,
    /// Tell the log-probabilities of single steps as well ([`super::Batch::steps`]).
    pub stepwise: bool,
}

/// Actions fixed beforehand. Sites are always those given; values are taken before `sampled_from` and drawn from it on.
#[derive(Clone, Copy, Debug)]
pub struct Given<'a> {
    /// Whose actions they are: one trajectory for each of the request's.
    pub trajectories: &'a Trajectories,
    /// First step whose log-probability counts (0: all).
    pub scored_from: usize,
    /// First step whose value is drawn from P_F; the number of steps for a pure replay. Never below `scored_from`.
    pub sampled_from: usize,
}

impl<'a> Rollout<'a> {
    /// Trajectories sampled from P_F.
    pub fn sample(draw: Draw, count: usize) -> Self {
        Self { draw, count, given: None, keep: false, stepwise: false }
    }

    /// The log-probabilities of given trajectories. (`draw` is not used.)
    pub fn replay(draw: Draw, trajectories: &'a Trajectories) -> Self {
        let given = Given { trajectories, scored_from: 0, sampled_from: trajectories.max_steps() };
        Self { draw, count: trajectories.count(), given: Some(given), keep: false, stepwise: false }
    }

    /// The same request, telling of single steps too if `stepwise` says so.
    pub fn with_steps(mut self, stepwise: bool) -> Self {
        self.stepwise = stepwise;
        self
    }

    /// The same request, keeping what the gradient needs.
    pub fn kept(mut self) -> Self {
        self.keep = true;
        self
    }
}
