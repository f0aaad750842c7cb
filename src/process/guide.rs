//! What is known of a partial object, added to the policy's logits.
//!
//! A target may know an intermediate log-reward l(s) of objects some of whose sites are set: l = 0 where none is, and where
//! all are l = log R up to a constant; for the Ising model the bonds between set sites. Its increments
//!
//! ```text
//! g(s, site, value) = l(s with site = value) - l(s)
//! ```
//!
//! are known before the choice. A guided policy's logits are the network's plus g: at first it samples by what is known so far,
//! and the network learns the effect of what is still unset. log P_F is that of this softmax, its gradient that of the
//! network's part; objectives and control variates stand as they are.

use std::fmt;
use std::sync::Arc;

use super::fold::{Folded, fold};
use super::{Head, Objects, Process, SiteFilling, Step, Trajectories};
use crate::random::Draw;

/// An object some of whose sites are set.
#[derive(Clone, Copy, Debug)]
pub struct Filled<'a>(&'a [u32]);

impl<'a> Filled<'a> {
    /// From a word for each site: 0 where it is unset, its value plus 1 otherwise.
    pub fn new(words: &'a [u32]) -> Self {
        Self(words)
    }

    /// The value of a site, if it is set.
    #[inline]
    pub fn value(&self, site: usize) -> Option<u8> {
        self.0[site].checked_sub(1).map(|value| value as u8)
    }
}

/// An intermediate log-reward, by its increments.
pub trait Guide: fmt::Debug + Send + Sync {
    /// g(s, site, value) for each value of a site that is unset in s, in nats, into `increments` (one number a value, which hold
    /// zeros before). A value that must never be chosen has -1e30, or at least lies so far below the others that its exponential is 0;
    /// one at least should be allowed. NaN and plus infinity end training.
    fn increments(&self, filled: Filled, site: usize, increments: &mut [f64]);

    /// The same in WGSL: the GPU engine cannot do without.
    fn kernel(&self) -> Option<GuideKernel> {
        None
    }
}

/// [`Guide::increments`] in WGSL.
///
/// The source defines `fn log_reward_increment(filled: Filled, site: u32, value: u32) -> f32`. It may call
/// `filled_value(filled: Filled, site: u32) -> u32`, which gives the value of a site or `UNFILLED`, and
/// `guide_parameter(index: u32) -> f32`, and read the constants `SITES`, `VALUES` and `UNFILLED`. Loops should stay short, as in
/// a target's kernel, and `iterations` says how long they are.
#[derive(Clone, Debug, PartialEq)]
pub struct GuideKernel {
    /// WGSL with that function: no bindings, entry points or overrides of its own.
    pub source: String,
    /// What `guide_parameter` reads.
    pub parameters: Vec<f32>,
    /// Loop iterations that a call takes at most, a loop of n counting as n + 1: chains of steps are cut by it, and
    /// software adapters may have to refuse it. 0 if nothing is known.
    pub iterations: usize,
    /// Ours, which needs no run-time checks.
    pub(crate) trusted: bool,
}

impl GuideKernel {
    /// One of a user's, whose loops nothing is known of.
    pub fn new(source: impl Into<String>, parameters: Vec<f32>) -> Self {
        Self { source: source.into(), parameters, iterations: 0, trusted: false }
    }
}

/// Site filling by a guided policy.
#[derive(Clone, Debug)]
pub struct Guided {
    filling: SiteFilling,
    guide: Arc<dyn Guide>,
    folded: bool,
}

impl Guided {
    /// The guide's numbers are added to the logits of a step's site.
    pub fn new(filling: SiteFilling, guide: Arc<dyn Guide>) -> Self {
        Self { filling, guide, folded: false }
    }

    /// One object of each pair of mirror images alone (by the flip of all values), with what `guide` knows of a partial object, if there is one.
    ///
    /// # Panics
    /// If sites have not two values.
    pub fn folded(filling: SiteFilling, guide: Option<Arc<dyn Guide>>) -> Self {
        assert_eq!(filling.values, 2, "values of a site that can be flipped");
        Self { filling, guide: Arc::new(Folded(guide)), folded: true }
    }
}

impl Process for Guided {
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
        self.filling.actions()
    }

    fn max_steps(&self) -> usize {
        self.filling.max_steps()
    }

    fn head(&self) -> Head {
        self.filling.head()
    }

    fn initial_input(&self) -> Vec<f64> {
        self.filling.initial_input()
    }

    fn state_words(&self) -> usize {
        self.filling.state_words()
    }

    fn allows(&self, state: &[u32], action: u32) -> bool {
        self.filling.allows(state, action)
    }

    fn advance(&self, state: &mut [u32], action: u32) -> Step {
        self.filling.advance(state, action)
    }

    fn object(&self, state: &[u32], values: &mut [u8]) {
        self.filling.object(state, values);
    }

    fn backward(&self, objects: &Objects, draw: &Draw) -> Trajectories {
        match self.folded {
            true => self.filling.backward(&fold(objects), draw),
            false => self.filling.backward(objects, draw),
        }
    }

    fn is_folded(&self) -> bool {
        self.folded
    }

    fn finish(&self, trajectories: &Trajectories) -> Objects {
        self.filling.finish(trajectories)
    }

    fn as_site_filling(&self) -> Option<&SiteFilling> {
        Some(&self.filling)
    }

    fn guide(&self) -> Option<&Arc<dyn Guide>> {
        Some(&self.guide)
    }
}
