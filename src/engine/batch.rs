//! What is known of a batch of trajectories, and what they weigh in a gradient.

use serde::{Deserialize, Serialize};

use super::Moments;

/// Log-probabilities of a batch, one number a trajectory, natural logs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    /// log P_F of the scored steps, the choice of sites included.
    pub log_forward: Vec<f64>,
    /// log P_B of the scored steps.
    pub log_backward: Vec<f64>,
    /// log R of the object reached.
    pub log_reward: Vec<f64>,
    /// Those of single steps, if they were asked for.
    pub steps: Option<Steps>,
}

/// Log-probabilities of single steps, row-major [count, max_steps]; 0 before the first scored step and after the end of a
/// trajectory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Steps {
    /// Numbers in a row: the most steps that a trajectory can have.
    pub max_steps: usize,
    /// Steps of each trajectory.
    pub lengths: Vec<usize>,
    /// log P_F of each step, the choice of a site included.
    pub log_forward: Vec<f64>,
    /// log P_B of taking it back.
    pub log_backward: Vec<f64>,
    /// log F of the state before it, where the policy says it; else empty.
    pub log_flow: Vec<f64>,
    /// What the target knows of the state before it, its intermediate log-reward, where an objective looks forward; else empty.
    /// An engine does not tell it.
    pub log_reward: Vec<f64>,
    /// log of what flows into the state after it from parents other than the state before it, where an objective matches flows; else
    /// empty. An engine does not tell it.
    pub log_inflow: Vec<f64>,
}

impl Batch {
    /// log w = log R + log P_B - log P_F (MATH section 1).
    pub fn log_weights(&self) -> Vec<f64> {
        let pairs = self.log_forward.iter().zip(&self.log_backward).zip(&self.log_reward);
        pairs.map(|((forward, backward), reward)| reward + backward - forward).collect()
    }

    /// Trajectories of which nothing but log w is known.
    pub fn of_log_weights(log_weights: &[f64]) -> Self {
        let zeros = vec![0.0; log_weights.len()];
        Self { log_forward: zeros.clone(), log_backward: zeros, log_reward: log_weights.to_vec(), steps: None }
    }

    /// Adds the log-probability of a choice before all others to log P_F, and to that of the first steps.
    pub(crate) fn prepend(&mut self, log_probability: f64) {
        self.log_forward.iter_mut().for_each(|log_forward| *log_forward += log_probability);
        if let Some(steps) = &mut self.steps {
            steps.log_forward.iter_mut().step_by(steps.max_steps).for_each(|first| *first += log_probability);
        }
    }

    /// Number of trajectories.
    pub fn count(&self) -> usize {
        self.log_forward.len()
    }

    /// Adds the trajectories of `other`, which tells of single steps if this does.
    pub fn extend(&mut self, other: Batch) {
        if self.count() == 0 {
            *self = other;
            return;
        }
        self.log_forward.extend(other.log_forward);
        self.log_backward.extend(other.log_backward);
        self.log_reward.extend(other.log_reward);
        self.steps = self.steps.take().zip(other.steps).map(|(mut steps, other)| {
            steps.lengths.extend(other.lengths);
            steps.log_forward.extend(other.log_forward);
            steps.log_backward.extend(other.log_backward);
            steps.log_flow.extend(other.log_flow);
            steps.log_reward.extend(other.log_reward);
            steps.log_inflow.extend(other.log_inflow);
            steps
        });
    }
}

/// What log P_F weighs in a gradient, sum c grad log P_F.
///
/// Objectives on whole trajectories have a number for each, those on single steps one for each step. The latter enter at
/// the derivative of a step's outputs, on either engine, and no stage beyond knows of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Coefficients {
    /// c of each trajectory: what all its scored steps weigh.
    Trajectories(Vec<f64>),
    /// Of each step.
    Steps(StepCoefficients),
}

/// What the outputs of single steps weigh in a gradient, sum c grad log P_F + b grad log P_B + f grad log F.
///
/// Numbers are row-major [count, max_steps]. Those of steps that are not scored, or come after the end, do not count. A list
/// may be empty, which stands for zeros; b and f count only where the policy says P_B and F.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StepCoefficients {
    /// c, of log P_F of a step.
    pub forward: Vec<f64>,
    /// b, of log P_B of taking it back.
    pub backward: Vec<f64>,
    /// f, of log F of the state before it.
    pub flow: Vec<f64>,
}

impl StepCoefficients {
    /// The three lists: forward, backward, flow.
    pub fn lists(&self) -> [&[f64]; 3] {
        [&self.forward, &self.backward, &self.flow]
    }
}

impl From<Vec<f64>> for StepCoefficients {
    /// Those of log P_F alone.
    fn from(forward: Vec<f64>) -> Self {
        Self { forward, ..Self::default() }
    }
}

/// What can be summed over the trajectories of a batch, to a list in the engine's order of parameters.
#[derive(Clone, Copy, Debug)]
pub enum Summand<'a> {
    /// Coefficients times grad log P_F: [`Differentiate::accumulate`](super::Differentiate::accumulate).
    Gradient(&'a Coefficients),
    /// The four lists of [`Moments`], one after the other, with a coefficient for each trajectory.
    Moments(&'a [f64]),
    /// The leave-one-out gradient, with a coefficient for each trajectory, and the moments of the whole batch.
    LeftOut(&'a [f64], &'a Moments),
}

impl Coefficients {
    /// c of each trajectory, where it is those.
    pub fn of_trajectories(&self) -> Option<&[f64]> {
        match self {
            Self::Trajectories(numbers) => Some(numbers),
            Self::Steps(_) => None,
        }
    }

    /// Whether all numbers are finite.
    pub fn are_finite(&self) -> bool {
        let lists = match self {
            Self::Trajectories(numbers) => [numbers.as_slice(), &[], &[]],
            Self::Steps(steps) => steps.lists(),
        };
        lists.into_iter().flatten().all(|number| number.is_finite())
    }

    /// Those of the rows from `rows.start` to `rows.end`, where rows have `max_steps` steps.
    pub(crate) fn rows(&self, rows: std::ops::Range<usize>, max_steps: usize) -> RowCoefficients<'_> {
        match self {
            Self::Trajectories(numbers) => RowCoefficients { lists: [&numbers[rows], &[], &[]], max_steps: 0 },
            Self::Steps(steps) => {
                let of = |list| <[f64]>::get(list, rows.start * max_steps..rows.end * max_steps).unwrap_or_default();
                RowCoefficients { lists: steps.lists().map(of), max_steps }
            }
        }
    }
}

/// The coefficients of some rows.
#[derive(Clone, Copy)]
pub(crate) struct RowCoefficients<'a> {
    /// Of log P_F, log P_B and log F; an empty list stands for zeros.
    lists: [&'a [f64]; 3],
    /// 0 where a row has one number, which is of log P_F.
    max_steps: usize,
}

impl RowCoefficients<'_> {
    /// That of log P_F of step `t` of row `row`.
    #[inline(always)]
    pub fn at(&self, row: usize, t: usize) -> f64 {
        if self.max_steps == 0 { self.lists[0][row] } else { self.of(0, row, t) }
    }

    /// That of log P_B.
    pub fn backward(&self, row: usize, t: usize) -> f64 {
        self.of(1, row, t)
    }

    /// That of log F.
    pub fn flow(&self, row: usize, t: usize) -> f64 {
        self.of(2, row, t)
    }

    #[inline(always)]
    fn of(&self, list: usize, row: usize, t: usize) -> f64 {
        self.lists[list].get(row * self.max_steps + t).copied().unwrap_or(0.0)
    }
}
