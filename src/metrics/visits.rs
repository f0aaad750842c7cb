//! The exact probability P_F^T(x) that a policy generates each object, for any process whose states can be counted.
//!
//! States are gone through by the number of actions that led to them, and those that several trajectories meet in are counted
//! once:
//!
//! ```text
//! P(s after an action) += P(s) * P_F(action | s),    P_F^T(x) = sum over states s of P(s) * P_F(an action that ends in x | s)
//! ```
//!
//! so every state takes one forward pass of the policy.

use std::collections::HashMap;

use crate::logs::log_sum_exp;
use crate::process::Process;

/// Most objects, and most states, that this is for: a probability each, and a forward pass.
pub const MOST: f64 = 1e7;

/// States that the policy is asked about at a time.
const CHUNK: usize = 1 << 12;

/// States that as many actions have led to: words, inputs of the policy, and log P of each.
#[derive(Default)]
struct Level {
    numbers: HashMap<Vec<u32>, usize>,
    states: Vec<u32>,
    inputs: Vec<f64>,
    log_visits: Vec<f64>,
}

/// log P_F^T of every object in the order of [`crate::process::Objects::numbered`]. `ask` gives the outputs
/// [states, outputs] of the policy at inputs [states, columns]; it is asked about as many states as there are, and may end the work.
///
/// # Panics
/// If there are more than [`MOST`] objects.
pub fn log_probabilities<E>(
    process: &dyn Process,
    mut ask: impl FnMut(&[f64], &mut [f64]) -> Result<(), E>,
) -> Result<Vec<f64>, E> {
    let (sites, values) = (process.sites(), process.values());
    assert!((values as f64).powi(sites as i32) <= MOST, "{sites} sites of {values} values");
    let mut log_finished = vec![f64::NEG_INFINITY; values.pow(sites as u32)];
    let (words, columns, outputs) = (process.state_words(), process.columns(), process.outputs());
    let (mut object, mut logits) = (vec![0; sites], Vec::new());
    let mut level = Level {
        numbers: HashMap::new(),
        states: vec![0; words],
        inputs: process.initial_input(),
        log_visits: vec![0.0],
    };
    while !level.log_visits.is_empty() {
        let mut next = Level::default();
        for first in (0..level.log_visits.len()).step_by(CHUNK) {
            let end = (first + CHUNK).min(level.log_visits.len());
            logits.resize((end - first) * outputs, 0.0);
            ask(&level.inputs[first * columns..end * columns], &mut logits)?;
            for (number, logits) in (first..end).zip(logits.chunks_exact(outputs)) {
                let state = &level.states[number * words..][..words];
                let input = &level.inputs[number * columns..][..columns];
                let allowed: Vec<u32> =
                    (0..process.actions() as u32).filter(|&action| process.allows(state, action)).collect();
                let normaliser =
                    log_sum_exp(&allowed.iter().map(|&action| logits[action as usize]).collect::<Vec<_>>());
                for action in allowed {
                    let log_visit = level.log_visits[number] + logits[action as usize] - normaliser;
                    let mut after = state.to_vec();
                    let step = process.advance(&mut after, action);
                    if step.ends {
                        process.object(&after, &mut object);
                        let index = object.iter().rev().fold(0, |index, &value| index * values + usize::from(value));
                        add(&mut log_finished[index], log_visit);
                    } else {
                        next.visit(after, input, step.changes.iter(), log_visit);
                    }
                }
            }
        }
        level = next;
    }
    Ok(log_finished)
}

impl Level {
    fn visit(&mut self, state: Vec<u32>, before: &[f64], changes: impl Iterator<Item = (usize, f64)>, log_visit: f64) {
        if let Some(&number) = self.numbers.get(&state) {
            add(&mut self.log_visits[number], log_visit);
            return;
        }
        let first = self.inputs.len();
        self.inputs.extend_from_slice(before);
        changes.for_each(|(column, amount)| self.inputs[first + column] += amount);
        self.states.extend_from_slice(&state);
        self.numbers.insert(state, self.log_visits.len());
        self.log_visits.push(log_visit);
    }
}

/// Adds a probability to another one, both as logarithms.
fn add(total: &mut f64, log_probability: f64) {
    *total = log_sum_exp(&[*total, log_probability]);
}
