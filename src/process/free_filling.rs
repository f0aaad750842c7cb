//! Site filling with one softmax over all actions: the policy chooses the site as well, or says more than logits.
//!
//! As [`SiteFilling`], an action is the number `site * values + value`. Where the policy says P_B there is one more action, last of all
//! and the only one once all sites are set: it stops. P_B is a choice among the sites that are set, of the one that was set last.

use std::fmt::Write;

use super::{
    Changes, Encoding, Extras, Flow, Head, Objects, Order, Process, ProcessKernel, SiteFilling, Step, Trajectories,
    parent,
};
use crate::random::Draw;

/// Site filling with one softmax over all actions.
#[derive(Clone, Debug, PartialEq)]
pub struct FreeFilling {
    /// What is filled. In the uniform order any unset site can be next, and the policy chooses it; P_B is uniform, unless the policy
    /// says it.
    pub filling: SiteFilling,
    /// What else the policy says.
    pub extras: Extras,
}

impl FreeFilling {
    /// What stops once all sites are set, where a step of its own does.
    fn last_action(&self) -> Option<u32> {
        self.extras.learned_backward.then_some(self.filling.actions() as u32)
    }
}

impl Process for FreeFilling {
    fn sites(&self) -> usize {
        self.filling.sites
    }

    fn values(&self) -> usize {
        self.filling.values
    }

    fn columns(&self) -> usize {
        self.filling.columns()
    }

    fn actions(&self) -> usize {
        self.filling.actions() + usize::from(self.last_action().is_some())
    }

    fn backward_actions(&self) -> usize {
        if self.extras.learned_backward { self.filling.sites } else { 0 }
    }

    fn flow(&self) -> Flow {
        self.extras.flow
    }

    fn max_steps(&self) -> usize {
        self.filling.sites + usize::from(self.last_action().is_some())
    }

    fn head(&self) -> Head {
        Head::Masked
    }

    fn initial_input(&self) -> Vec<f64> {
        self.filling.initial_input()
    }

    fn state_words(&self) -> usize {
        self.filling.state_words()
    }

    fn allows(&self, state: &[u32], action: u32) -> bool {
        if Some(action) == self.last_action() {
            return state[self.filling.sites] as usize == self.filling.sites;
        }
        self.filling.allows(state, action)
    }

    fn advance(&self, state: &mut [u32], action: u32) -> Step {
        let Some(last) = self.last_action() else { return self.filling.advance(state, action) };
        if action == last {
            return Step { changes: Changes::none(), log_backward: 0.0, ends: true };
        }
        Step { log_backward: 0.0, ends: false, ..self.filling.advance(state, action) }
    }

    fn allows_backward(&self, state: &[u32], backward: u32) -> bool {
        state[backward as usize] > 0
    }

    fn backward_of(&self, action: u32) -> Option<u32> {
        self.last_action().filter(|&last| action != last).map(|_| action / self.filling.values as u32)
    }

    fn take_back(&self, state: &mut [u32], backward: u32) -> u32 {
        let value = std::mem::take(&mut state[backward as usize]) - 1;
        state[self.filling.sites] -= 1;
        backward * self.filling.values as u32 + value
    }

    fn parents(&self, state: &[u32]) -> Option<Vec<(Vec<u32>, u32)>> {
        let sites = self.filling.sites;
        let last = (state[sites] as usize).wrapping_sub(1);
        let one_way = self.filling.order == Order::Fixed;
        let set = (0..sites).filter(|&site| state[site] > 0 && (!one_way || site == last));
        Some(set.map(|site| parent(self, state, site as u32)).collect())
    }

    fn states(&self) -> Option<f64> {
        let (sites, values) = (self.filling.sites as i32, self.filling.values as f64);
        Some(match self.filling.order {
            Order::Uniform => (values + 1.0).powi(sites),
            Order::Fixed => (0..=sites).map(|set| values.powi(set)).sum(),
        })
    }

    fn object(&self, state: &[u32], values: &mut [u8]) {
        self.filling.object(state, values);
    }

    /// Sites are cleared one after the other, each of those set as likely as the others, whether or not the policy says P_B.
    fn backward(&self, objects: &Objects, draw: &Draw) -> Trajectories {
        let filled = self.filling.backward(objects, draw);
        let rows = (0..filled.count()).map(|row| filled.row(row).iter().copied().chain(self.last_action()).collect());
        Trajectories::from_rows(self.max_steps(), rows)
    }

    fn kernel(&self) -> Option<ProcessKernel> {
        let SiteFilling { values, order, encoding, .. } = &self.filling;
        let amount = |value: usize| format!("{:?}", self.filling.change(value).1 as f32);
        let amounts: Vec<String> = (0..*values).map(amount).collect();
        let mut source = String::new();
        for (name, holds) in [
            ("ANY_SITE", *order == Order::Uniform),
            ("STOPS", self.last_action().is_some()),
            ("A_COLUMN_A_SITE", matches!(encoding, Encoding::Scalar { .. })),
        ] {
            writeln!(source, "const {name} = {holds};").expect("a String takes all text");
        }
        let table = format!("array<f32, {values}>({})", amounts.join(", "));
        writeln!(source, "fn filling_amount(value: u32) -> f32 {{ var amounts = {table}; return amounts[value]; }}")
            .expect("a String takes all text");
        source.push_str(include_str!("free_filling.wgsl"));
        if self.extras.learned_backward {
            source.push_str(include_str!("free_filling_backward.wgsl"));
        }
        Some(ProcessKernel { source })
    }
}
