//! How objects are built: a state, the actions it allows, and the backward policy.
//!
//! Site filling is the process of the paper's tasks (arXiv:2210.07992, section 5): an object has `sites` sites with
//! `values` values each, the empty object has none set, and a step sets one unset site. Every trajectory has one
//! step a site. An action is the number `site * values + value`.

mod objects;

pub use objects::{Objects, Trajectories};

use rayon::prelude::*;

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
    Scalar { unset: f64, codes: Vec<f64> },
    /// `values` inputs a site, all zero before it is filled, a single one after.
    OneHot,
}

/// Site filling: `sites` sites of `values` values.
#[derive(Clone, Debug, PartialEq)]
pub struct SiteFilling {
    pub sites: usize,
    pub values: usize,
    pub order: Order,
    pub encoding: Encoding,
}

impl SiteFilling {
    /// Length of every trajectory.
    pub fn steps(&self) -> usize {
        self.sites
    }

    /// Number of actions, which is the number of logits of the policy.
    pub fn actions(&self) -> usize {
        self.sites * self.values
    }

    /// Number of the policy's inputs.
    pub fn columns(&self) -> usize {
        match self.encoding {
            Encoding::Scalar { .. } => self.sites,
            Encoding::OneHot => self.actions(),
        }
    }

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

    /// Backward trajectories of given objects under P_B, written in forward order.
    ///
    /// Clearing uniformly chosen sites one after the other, read backwards, is filling them in a uniform order.
    pub fn backward(&self, objects: &Objects, draw: &Draw) -> Trajectories {
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

    /// The objects that trajectories end in.
    pub fn finish(&self, trajectories: &Trajectories) -> Objects {
        let mut values = vec![0; trajectories.count() * self.sites];
        for (i, row) in values.chunks_mut(self.sites).enumerate() {
            for &action in trajectories.row(i) {
                row[action as usize / self.values] = (action as usize % self.values) as u8;
            }
        }
        Objects::new(self.sites, values)
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
