//! How objects are built: states, the actions that they allow, and the backward policy.
//!
//! A [`Process`] says what a trajectory is. Engines roll trajectories out and know nothing else of objects: to them a state
//! is a list of inputs of the policy, of which an action changes at most two, so that the first layer of a policy never
//! has to be multiplied out. Lengths may differ; a trajectory ends with the action that the process says ends it.
//!
//! Site filling ([`SiteFilling`]) is the process of the paper's tasks.

mod fold;
mod free_filling;
mod guide;
mod hypergrid;
mod objects;
mod reversed;
mod site_filling;
mod trajectories;

pub(crate) use fold::{LOG_PAIR, unfold, unfold_log_probabilities};
pub use free_filling::FreeFilling;
pub use guide::{Filled, Guide, GuideKernel, Guided};
pub use hypergrid::Hypergrid;
pub use objects::Objects;
pub(crate) use reversed::Reversed;
pub use site_filling::{Encoding, Order, SiteFilling};
pub(crate) use trajectories::length;
pub use trajectories::{NO_ACTION, Trajectories};

use std::fmt;
use std::sync::Arc;

use rayon::prelude::*;

use crate::random::Draw;

/// How a policy's outputs become a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// The process chooses a site, the policy one of the site's values: a softmax over their logits alone. For
    /// [`SiteFilling`] with an order of its own.
    Site,
    /// A softmax over all actions that the state allows.
    Masked,
}

/// What a policy says besides the logits of actions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extras {
    /// Logits of backward actions: P_B is learned.
    pub learned_backward: bool,
    /// Of the flow through the state.
    pub flow: Flow,
}

/// What a policy says of the flow through a state, which objectives on single steps look at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flow {
    /// Nothing.
    #[default]
    Unsaid,
    /// log F, by one more output.
    Output,
    /// log P_F of stopping there, which in a process that can stop in every state gives F(s) = R(s) / P_F(stop | s).
    Stop,
}

/// What an action does to the inputs of the policy: to at most two columns an amount is added each.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Changes([(u32, f64); 2]);

impl Changes {
    /// No column.
    pub fn none() -> Self {
        Self::default()
    }

    /// One column.
    pub fn one(column: usize, amount: f64) -> Self {
        Self([(column as u32, amount), (0, 0.0)])
    }

    /// Two columns. (If they are the same one, both amounts are added to it.)
    pub fn two(first: (usize, f64), second: (usize, f64)) -> Self {
        Self([(first.0 as u32, first.1), (second.0 as u32, second.1)])
    }

    /// What undoes them.
    pub(crate) fn negated(self) -> Self {
        Self(self.0.map(|(column, amount)| (column, -amount)))
    }

    /// Columns and amounts, those of amount 0 left out.
    pub fn iter(&self) -> impl Iterator<Item = (usize, f64)> {
        self.0.into_iter().filter(|(_, amount)| *amount != 0.0).map(|(column, amount)| (column as usize, amount))
    }
}

/// What an action does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// To the policy's inputs.
    pub changes: Changes,
    /// log P_B of taking the action back from the state that it leads to, in nats; 0 where the policy says it
    /// ([`Process::backward_of`]).
    pub log_backward: f64,
    /// Whether the trajectory ends with it.
    pub ends: bool,
}

/// How objects are built, one action after the other, and taken apart.
///
/// A state is `state_words` numbers of 32 bits that are the process's own, all 0 before the first action. The policy does
/// not see them, but its inputs: [`Process::initial_input`] and the changes that actions make.
///
/// Every state that no ending action led to must allow an action, and the input must tell states apart that differ in what
/// can follow.
pub trait Process: fmt::Debug + Send + Sync {
    /// Sites of an object.
    fn sites(&self) -> usize;

    /// Values of a site, 2 to 256.
    fn values(&self) -> usize;

    /// Number of the policy's inputs.
    fn columns(&self) -> usize;

    /// Number of actions, which is the number of the forward policy's logits.
    fn actions(&self) -> usize;

    /// Number of ways to take an action back that a learned backward policy chooses among, which is the number of its logits.
    /// 0, where P_B is the process's own.
    fn backward_actions(&self) -> usize {
        0
    }

    /// What the policy says of the flow through a state.
    fn flow(&self) -> Flow {
        Flow::Unsaid
    }

    /// The action that stops in any state, where there is one.
    fn stop(&self) -> Option<u32> {
        None
    }

    /// Number of the policy's outputs: the logits of actions, those of backward actions, and log F, as far as there are any.
    fn outputs(&self) -> usize {
        self.actions() + self.backward_actions() + usize::from(self.flow() == Flow::Output)
    }

    /// Length of the longest trajectories.
    fn max_steps(&self) -> usize;

    /// How logits become a choice.
    fn head(&self) -> Head {
        Head::Masked
    }

    /// The policy's inputs before the first action, one number a column.
    fn initial_input(&self) -> Vec<f64>;

    /// Words of a state.
    fn state_words(&self) -> usize;

    /// Whether the action can be taken in this state.
    fn allows(&self, state: &[u32], action: u32) -> bool;

    /// Takes an action that `state` allows, which becomes the state after it.
    fn advance(&self, state: &mut [u32], action: u32) -> Step;

    /// Whether an action that `backward` takes back can have led to this state.
    fn allows_backward(&self, state: &[u32], backward: u32) -> bool {
        let _ = (state, backward);
        false
    }

    /// The backward action that takes `action` back, where the learned P_B chooses it; none for actions that end a trajectory:
    /// the policy is not asked about states after them, so that there is one way back from there.
    fn backward_of(&self, action: u32) -> Option<u32> {
        let _ = action;
        None
    }

    /// Takes the step back that `backward` takes back, to the state before it, and says its action.
    fn take_back(&self, state: &mut [u32], backward: u32) -> u32 {
        let _ = (state, backward);
        unreachable!("a process without backward actions")
    }

    /// The states that an action leads from to this one, each with that action, where the process knows them: flow matching asks.
    fn parents(&self, state: &[u32]) -> Option<Vec<(Vec<u32>, u32)>> {
        let _ = state;
        None
    }

    /// Number of states that can be reached, where it is known.
    fn states(&self) -> Option<f64> {
        None
    }

    /// The object that a trajectory ended with in this state, into `values`, one a site.
    fn object(&self, state: &[u32], values: &mut [u8]);

    /// Backward trajectories of given objects under P_B, one each, written in forward order. Depends on the objects and on
    /// the words of `draw` only.
    fn backward(&self, objects: &Objects, draw: &Draw) -> Trajectories;

    /// Whether it makes one object of each pair of mirror images alone, that whose site 0 has value 1. Its backward trajectories of
    /// either are those of that one, and who hands on its objects draws which of the two it is.
    fn is_folded(&self) -> bool {
        false
    }

    /// The same rules in WGSL, where there are some: the GPU engine cannot do without.
    fn kernel(&self) -> Option<ProcessKernel> {
        None
    }

    /// log P_B of each step of given trajectories, row-major [count, max_steps]; 0 after their ends.
    fn log_backward_of(&self, trajectories: &Trajectories) -> Vec<f64> {
        let steps = self.max_steps();
        let mut log_backward = vec![0.0; trajectories.count() * steps];
        log_backward.par_chunks_mut(steps).enumerate().for_each(|(row, log_backward)| {
            let mut state = vec![0; self.state_words()];
            for (log_backward, &action) in log_backward.iter_mut().zip(trajectories.row(row)) {
                *log_backward = self.advance(&mut state, action).log_backward;
            }
        });
        log_backward
    }

    /// The objects that trajectories end in.
    fn finish(&self, trajectories: &Trajectories) -> Objects {
        let sites = self.sites();
        let mut values = vec![0; trajectories.count() * sites];
        values.par_chunks_mut(sites).enumerate().for_each(|(row, values)| {
            let mut state = vec![0; self.state_words()];
            for &action in trajectories.row(row) {
                self.advance(&mut state, action);
            }
            self.object(&state, values);
        });
        Objects::new(sites, values)
    }

    /// What is added to the logits of a step's site, where sites are filled in an order of the process's own.
    fn guide(&self) -> Option<&Arc<dyn Guide>> {
        None
    }

    /// Site filling, where this is it: engines know it by heart, and what is exact for it asks for it.
    fn as_site_filling(&self) -> Option<&SiteFilling> {
        None
    }
}

/// The state before one, by taking back what `backward` takes back, and the action that led from there.
fn parent(process: &dyn Process, state: &[u32], backward: u32) -> (Vec<u32>, u32) {
    let mut parent = state.to_vec();
    let action = process.take_back(&mut parent, backward);
    (parent, action)
}

/// A process in WGSL: twins of the methods of [`Process`] of the same meaning.
///
/// The source defines
///
/// - `fn process_allows(trajectory: u32, action: u32) -> bool`,
/// - `fn process_advance(trajectory: u32, action: u32) -> Advance`, which changes the state by `set_process_state` and returns
///   `Advance(column_a, amount_a, column_b, amount_b, ends)` of types u32, f32, u32, f32, bool (an amount of 0 is no
///   change),
/// - `fn process_value(trajectory: u32, site: u32) -> u32`, the value of a site in the object that the state is,
/// - where there are backward actions, `fn process_allows_backward(trajectory: u32, backward: u32) -> bool` and
///   `fn process_backward_of(action: u32) -> u32`, which is `NO_ACTION` where [`Process::backward_of`] is none.
///
/// It may call `process_state(trajectory: u32, word: u32) -> u32` and `set_process_state(trajectory: u32, word: u32, value: u32)`,
/// and read the constants `SITES`, `VALUES`, `COLUMNS`, `ACTIONS`, `MAX_STEPS` and `NO_ACTION`. Loops should stay short, as in a target's
/// kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessKernel {
    /// WGSL with those functions: no bindings, entry points or overrides of its own.
    pub source: String,
}
