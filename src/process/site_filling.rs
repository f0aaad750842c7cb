//! Site filling, the process of the paper's tasks (arXiv:2210.07992, section 5).
//!
//! An object has `sites` sites with `values` values each, the empty object has none set, and a step sets one unset site.
//! Every trajectory has one step a site. An action is the number `site * values + value`. Which site comes next is the
//! process's choice, and its value the policy's ([`Head::Site`]).

use std::sync::Arc;

use rayon::prelude::*;

use super::{Changes, Head, Objects, Process, Step, Trajectories};
use crate::random::{Draw, pick};

/// The order in which sites are filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// The site is drawn uniformly from those unset; only its value is learned.
    Uniform,
    /// Site `t` is filled at step `t`.
    Fixed,
}

/// How an object's sites become the policy's input (and an energy model's).
#[derive(Clone, Debug, PartialEq)]
pub enum Encoding {
    /// One input a site: `unset` before it is filled, `codes[value]` after.
    Scalar {
        /// Before the site is filled.
        unset: f64,
        /// For each value, `[values]`.
        codes: Vec<f64>,
    },
    /// `values` inputs a site, all zero before it is filled, a single one after.
    OneHot,
}

/// Site filling: `sites` sites of `values` values.
#[derive(Clone, Debug, PartialEq)]
pub struct SiteFilling {
    /// Sites to fill, and so steps of a trajectory.
    pub sites: usize,
    /// Values that a site can have, 0 to this less one.
    pub values: usize,
    /// Which site is next.
    pub order: Order,
    /// What the network sees of a site.
    pub encoding: Encoding,
}

impl SiteFilling {
    /// The value of every input in the empty object.
    pub fn unset(&self) -> f64 {
        match self.encoding {
            Encoding::Scalar { unset, .. } => unset,
            Encoding::OneHot => 0.0,
        }
    }

    /// What an action changes in the input: the column, and what is added to it.
    pub fn change(&self, action: usize) -> (usize, f64) {
        match &self.encoding {
            Encoding::Scalar { unset, codes } => (action / self.values, codes[action % self.values] - unset),
            Encoding::OneHot => (action, 1.0),
        }
    }

    /// Log-probability that the process, not the policy, gives its choices of sites on steps `from..`.
    ///
    /// Uniform order: -log (D - t) summed over t = from..D; fixed order: 0. MATH: log P_F of a step is this term
    /// plus the log-softmax over the site's values.
    pub fn log_order(&self, from: usize) -> f64 {
        match self.order {
            Order::Uniform => -(from..self.sites).map(|t| ((self.sites - t) as f64).ln()).sum::<f64>(),
            Order::Fixed => 0.0,
        }
    }

    /// log P_B of the steps `from..` of any trajectory: -log(t + 1) each in the uniform order, 0 in the fixed one
    /// (the last site filled is the only one that can be cleared).
    pub fn log_backward(&self, from: usize) -> f64 {
        match self.order {
            Order::Uniform => -(from..self.sites).map(|t| ((t + 1) as f64).ln()).sum::<f64>(),
            Order::Fixed => 0.0,
        }
    }

    /// Adds to each step's log P_F and log P_B, row-major [count, sites], its own part of [`SiteFilling::log_order`] and
    /// [`SiteFilling::log_backward`], on the steps `from..`.
    pub fn add_order(&self, from: usize, log_forward: &mut [f64], log_backward: &mut [f64]) {
        if self.order == Order::Fixed {
            return;
        }
        let rows = log_forward.chunks_exact_mut(self.sites).zip(log_backward.chunks_exact_mut(self.sites));
        for (forward, backward) in rows {
            for t in from..self.sites {
                forward[t] -= ((self.sites - t) as f64).ln();
                backward[t] -= ((t + 1) as f64).ln();
            }
        }
    }

    /// The order in which one trajectory fills its sites, into `order` (length `sites`).
    ///
    /// Uniform: a Fisher-Yates shuffle from the front, step `t` swapping `t` with `t + floor(u * (D - t))`, where u is
    /// the uniform of `word(t)`: the first word drawn for (trajectory, t).
    pub fn fill_order(&self, word: impl Fn(usize) -> u32, order: &mut [u32]) {
        order.iter_mut().zip(0..).for_each(|(site, index)| *site = index);
        if self.order == Order::Uniform {
            for t in 0..self.sites {
                order.swap(t, t + pick(word(t), (self.sites - t) as u32) as usize);
            }
        }
    }

    /// The inputs of finished objects, row-major [count, columns].
    pub fn encode(&self, objects: &Objects) -> Vec<f64> {
        let mut inputs = vec![self.unset(); objects.count() * self.columns()];
        for (row, input) in inputs.chunks_mut(self.columns()).enumerate() {
            for (site, &value) in objects.row(row).iter().enumerate() {
                let (column, amount) = self.change(site * self.values + usize::from(value));
                input[column] += amount;
            }
        }
        inputs
    }
}

impl Process for SiteFilling {
    fn sites(&self) -> usize {
        self.sites
    }

    fn values(&self) -> usize {
        self.values
    }

    fn columns(&self) -> usize {
        match self.encoding {
            Encoding::Scalar { .. } => self.sites,
            Encoding::OneHot => self.actions(),
        }
    }

    fn actions(&self) -> usize {
        self.sites * self.values
    }

    fn max_steps(&self) -> usize {
        self.sites
    }

    fn head(&self) -> Head {
        Head::Site
    }

    fn initial_input(&self) -> Vec<f64> {
        vec![self.unset(); self.columns()]
    }

    /// For each site 0 if it is unset, its value plus 1 otherwise; then the number of sites that are set.
    fn state_words(&self) -> usize {
        self.sites + 1
    }

    fn allows(&self, state: &[u32], action: u32) -> bool {
        let site = action as usize / self.values;
        state[site] == 0 && (self.order == Order::Uniform || site == state[self.sites] as usize)
    }

    fn advance(&self, state: &mut [u32], action: u32) -> Step {
        let (site, value) = (action as usize / self.values, action % self.values as u32);
        state[site] = value + 1;
        state[self.sites] += 1;
        let set = state[self.sites];
        let log_backward = match self.order {
            Order::Uniform => -f64::from(set).ln(),
            Order::Fixed => 0.0,
        };
        let (column, amount) = self.change(action as usize);
        Step { changes: Changes::one(column, amount), log_backward, ends: set as usize == self.sites }
    }

    fn object(&self, state: &[u32], values: &mut [u8]) {
        values.iter_mut().zip(state).for_each(|(value, word)| *value = (word - 1) as u8);
    }

    /// Clearing uniformly chosen sites one after the other, read backwards, is filling them in a uniform order.
    fn backward(&self, objects: &Objects, draw: &Draw) -> Trajectories {
        let mut actions = vec![0; objects.count() * self.sites];
        actions.par_chunks_mut(self.sites).enumerate().for_each(|(i, row)| {
            self.fill_order(|t| draw.words(i as u32, t as u32)[0], row);
            let object = objects.row(i);
            for site in row {
                *site = *site * self.values as u32 + u32::from(object[*site as usize]);
            }
        });
        Trajectories::new(self.sites, actions)
    }

    fn finish(&self, trajectories: &Trajectories) -> Objects {
        let mut values = vec![0; trajectories.count() * self.sites];
        for (i, row) in values.chunks_mut(self.sites).enumerate() {
            for &action in trajectories.row(i) {
                row[action as usize / self.values] = (action as usize % self.values) as u8;
            }
        }
        Objects::new(self.sites, values)
    }

    fn as_site_filling(&self) -> Option<&SiteFilling> {
        Some(self)
    }
}

impl From<SiteFilling> for Arc<dyn Process> {
    fn from(process: SiteFilling) -> Self {
        Arc::new(process)
    }
}
