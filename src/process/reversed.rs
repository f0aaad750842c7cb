//! Backward trajectories under a learned P_B, as forward trajectories of another process.
//!
//! Its trajectories build an object with given actions, and then take it apart again with backward actions that the same policy
//! chooses: the same network, whose logits of backward actions are now the ones that are allowed. So an engine samples P_B
//! like anything else.

use std::sync::Arc;

use super::{Changes, Objects, Process, Step, Trajectories};
use crate::random::Draw;

/// Taking the objects of `of` apart. Actions are the outputs of its policy: forward actions, backward ones, and log F, which is none.
///
/// Objects are built by the first [`Reversed::building`] actions; those that end a trajectory of `of` stand for waiting, so that
/// all are built at the same step.
#[derive(Clone, Debug)]
pub struct Reversed {
    of: Arc<dyn Process>,
}

impl Reversed {
    /// For a process with backward actions.
    pub fn new(of: Arc<dyn Process>) -> Self {
        Self { of }
    }

    /// Steps that build an object.
    pub fn building(&self) -> usize {
        self.of.max_steps() - 1
    }

    /// Trajectories that build these objects in any way; what follows is to be sampled.
    pub fn given(&self, objects: &Objects, draw: &Draw) -> Trajectories {
        let built = self.of.backward(objects, draw);
        let rows = (0..built.count()).map(|row| {
            let (&stop, actions) = built.row(row).split_last().expect("a trajectory ends with an action");
            let waits = std::iter::repeat_n(stop, self.building() - actions.len());
            waits.chain(actions.iter().copied()).collect()
        });
        Trajectories::from_rows(self.max_steps(), rows)
    }

    /// The forward trajectories of `of` that sampled ones are, read backwards.
    pub fn read(&self, sampled: &Trajectories) -> Trajectories {
        let rows = (0..sampled.count()).map(|row| {
            let mut state = vec![0; self.of.state_words()];
            let (building, taken) = sampled.row(row).split_at(self.building().min(sampled.row(row).len()));
            for &action in building.iter().filter(|action| self.of.backward_of(**action).is_some()) {
                self.of.advance(&mut state, action);
            }
            let first = self.of.actions() as u32;
            let mut actions: Vec<u32> =
                taken.iter().map(|&action| self.of.take_back(&mut state, action - first)).collect();
            actions.reverse();
            actions.push(self.last_action());
            actions
        });
        Trajectories::from_rows(self.of.max_steps(), rows)
    }

    /// What ends a trajectory of `of`.
    fn last_action(&self) -> u32 {
        self.of.actions() as u32 - 1
    }

    fn is_empty(&self, state: &[u32]) -> bool {
        (0..self.of.backward_actions() as u32).all(|backward| !self.of.allows_backward(state, backward))
    }
}

impl Process for Reversed {
    fn sites(&self) -> usize {
        self.of.sites()
    }

    fn values(&self) -> usize {
        self.of.values()
    }

    fn columns(&self) -> usize {
        self.of.columns()
    }

    fn actions(&self) -> usize {
        self.of.outputs()
    }

    fn max_steps(&self) -> usize {
        2 * self.building().max(1)
    }

    fn initial_input(&self) -> Vec<f64> {
        self.of.initial_input()
    }

    /// The other's state, and the steps that were taken.
    fn state_words(&self) -> usize {
        self.of.state_words() + 1
    }

    fn allows(&self, state: &[u32], action: u32) -> bool {
        let (&taken, state) = state.split_last().expect("a word of its own");
        let forward = self.of.actions() as u32;
        if (taken as usize) < self.building() {
            return action < forward && (self.of.backward_of(action).is_none() || self.of.allows(state, action));
        }
        (forward..forward + self.of.backward_actions() as u32).contains(&action)
            && self.of.allows_backward(state, action - forward)
    }

    fn advance(&self, state: &mut [u32], action: u32) -> Step {
        let (taken, state) = state.split_last_mut().expect("a word of its own");
        *taken += 1;
        let built = *taken as usize >= self.building();
        let mut changes = Changes::none();
        if let Some(backward) = action.checked_sub(self.of.actions() as u32) {
            let action = self.of.take_back(state, backward);
            changes = self.of.advance(&mut state.to_vec(), action).changes.negated();
        } else if self.of.backward_of(action).is_some() {
            changes = self.of.advance(state, action).changes;
        }
        Step { changes, log_backward: 0.0, ends: built && self.is_empty(state) }
    }

    /// None is left.
    fn object(&self, _: &[u32], values: &mut [u8]) {
        values.fill(0);
    }

    /// # Panics
    /// Always: nothing asks how an object was taken apart.
    fn backward(&self, _: &Objects, _: &Draw) -> Trajectories {
        unreachable!("a process that ends in no object")
    }
}
