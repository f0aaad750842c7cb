//! Requests for trajectories.

use crate::process::Trajectories;
use crate::random::{Draw, uniform};

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
    /// How choices are drawn, where they are.
    pub behaviour: Behaviour,
}

/// How choices are drawn: from the policy, or in its neighbourhood. Log-probabilities are the policy's in any case.
///
/// With probability `epsilon` all choices that are allowed are as likely as each other, otherwise as softmax(logits / temperature)
/// says. What is not allowed, or has less than 1e-30 of the probability of the likeliest, is never chosen.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Behaviour {
    /// 0 to 1.
    pub epsilon: f64,
    /// Positive.
    pub temperature: f64,
}

impl Default for Behaviour {
    /// From the policy.
    fn default() -> Self {
        Self { epsilon: 0.0, temperature: 1.0 }
    }
}

impl Behaviour {
    /// Whether choices are the policy's own.
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    /// The reciprocal of the temperature.
    pub(crate) fn sharpness(&self) -> f64 {
        self.temperature.recip()
    }

    /// What a step's logits are multiplied by, by a word of its own: the twin of `scale_of` in shaders/lib/behaviour.wgsl, in whose
    /// precision the numbers are taken.
    pub(crate) fn scale(&self, word: u32) -> f64 {
        if uniform(word) < f64::from(self.epsilon as f32) { 0.0 } else { f64::from(self.sharpness() as f32) }
    }
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
        Self { draw, count, given: None, keep: false, stepwise: false, behaviour: Behaviour::default() }
    }

    /// The log-probabilities of given trajectories. (`draw` is not used.)
    pub fn replay(draw: Draw, trajectories: &'a Trajectories) -> Self {
        let given = Given { trajectories, scored_from: 0, sampled_from: trajectories.max_steps() };
        Self { given: Some(given), ..Self::sample(draw, trajectories.count()) }
    }

    /// The same request, its choices drawn like this.
    pub fn behaving(mut self, behaviour: Behaviour) -> Self {
        self.behaviour = behaviour;
        self
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
