//! What is sampled from: an unnormalised distribution R over objects.
//!
//! A target says log R of a batch of objects; that is enough to train on either engine. If it can, it also says its
//! exact log Z, draws samples of itself, and brings a WGSL function so that the GPU engine needs no read-back.

pub mod bit_sequence;
pub mod density;
pub mod energy_model;
pub mod enumeration;
mod error;
mod files;
pub mod hypergrid;
pub mod ising;
pub mod model;
mod shape;
pub mod table;
mod tempering;

pub use error::TargetError;
pub use files::InputFiles;
pub use shape::{SITES, VALUES, check_shape};

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use self::energy_model::EnergyModel;
use crate::data::Coding;
use crate::models::Labels;
use crate::network::{Activation, Layout};
use crate::process::{Encoding, Extras, Guide, Objects, Process};
use crate::random::Draw;

/// An unnormalised distribution over objects of `sites` sites with `values` values each.
pub trait Target: Send + Sync {
    /// Sites of an object, 1 to 2^24 - 1.
    fn sites(&self) -> usize;

    /// Values of a site, 2 to 256.
    fn values(&self) -> usize;

    /// How objects are shown to the policy.
    fn encoding(&self) -> Encoding {
        Encoding::OneHot
    }

    /// How its objects are built, by a policy that says `extras` as well, where that is not by filling their sites.
    fn process(&self, extras: Extras) -> Option<Arc<dyn Process>> {
        let _ = extras;
        None
    }

    /// log R of each object, into `log_reward` (one number an object): the definition of the target. Engines may train
    /// on the same function in their own precision ([`Target::network`], [`Target::kernel`]); evaluations ask this one.
    ///
    /// Minus infinity is R = 0, an object that is never to be made: training needs `objective.log_reward_floor` then, or an
    /// objective that gives such objects no weight. NaN and plus infinity end training and evaluation.
    fn log_reward(&self, objects: &Objects, log_reward: &mut [f64]);

    /// Whether engines ask for log R of a whole batch in one call, on the thread that asked for the batch: for a function that
    /// does not gain from several threads, such as one in another language. Otherwise the native engine asks for a block of
    /// trajectories at a time, from many threads at once.
    fn at_once(&self) -> bool {
        false
    }

    /// log sum_x R(x), where it is known; else why it is not.
    fn log_z(&self) -> Result<f64, TargetError> {
        Err(TargetError::unknown("this target has no closed form for its log Z"))
    }

    /// A Markov chain sampler of R with `chains` chains, equilibrated, where there is one; else why there is none.
    fn sampler(&self, seed: u64, chains: usize) -> Result<Box<dyn Sampler>, TargetError> {
        let _ = (seed, chains);
        Err(TargetError::unknown("this target has no sampler"))
    }

    /// Data, `count` objects at a time, where there are some: backward trajectories then start from them and not from
    /// samples of R, and evaluations ask how likely the policy finds them.
    ///
    /// A training holds one such sampler for all that it draws, and its state goes into checkpoints; every evaluation starts
    /// with a fresh one.
    fn data(&self, count: usize) -> Option<Box<dyn Sampler>> {
        let _ = count;
        None
    }

    /// False where there are data and no R. log R is then 0 everywhere, and only what does not depend on it means
    /// anything.
    fn has_reward(&self) -> bool {
        true
    }

    /// log R as the output of an MLP, where it is one: an engine then evaluates and differentiates it by itself.
    fn network(&self) -> Option<RewardNetwork> {
        None
    }

    /// The energy model that gives log R, where there is one: a checkpoint keeps it, and it can be trained along with the policy
    /// (`trainer::Builder::energy_training`).
    fn energy_model(&self) -> Option<Arc<EnergyModel>> {
        None
    }

    /// Whether sites have two values and log R stays as it is when all of them are flipped: what `policy.symmetry = "flip"` needs.
    fn is_even(&self) -> bool {
        false
    }

    /// Maps of objects that leave log R as it is, where some are known: evaluations hold the policy against them.
    fn symmetries(&self) -> Vec<Symmetry> {
        Vec::new()
    }

    /// The increments of log R as sites are set one after the other, where they are known: what guides a policy
    /// (`policy.guided`).
    fn guide(&self) -> Option<Arc<dyn Guide>> {
        None
    }

    /// The exact probability of each value of each site under R / Z, where it is known; else why it is not.
    fn marginals(&self) -> Result<Vec<Vec<f64>>, TargetError> {
        Err(TargetError::unknown("this target does not know its marginals"))
    }

    /// Why some objects are known to have R = 0, where some are: training is refused then unless the policy is guided or
    /// `objective.log_reward_floor` is set.
    fn forbids(&self) -> Option<&'static str> {
        None
    }

    /// What sites and values are called outside, where that is not their numbers.
    fn labels(&self) -> Option<&Labels> {
        None
    }

    /// What people ask for in place of log R, such as an energy: its name, and what it is for this log R.
    fn measure(&self, log_reward: f64) -> Option<(&'static str, f64)> {
        let _ = log_reward;
        None
    }

    /// A checksum of what comes from files: a checkpoint is refused for a target with another.
    fn checksum(&self) -> Option<u32> {
        None
    }

    /// The files that it was made of: a checkpoint keeps them, so that a run outlives them.
    fn files(&self) -> InputFiles {
        InputFiles::default()
    }

    /// log R in WGSL, where there is one.
    fn kernel(&self) -> Option<RewardKernel> {
        None
    }

    /// What counts as a mode, where that is known: evaluations and training tell how many of them were found.
    fn modes(&self) -> Option<Modes> {
        None
    }

    /// Objects that a policy is tested on, where the target has such a set: evaluations correlate their log-probabilities under
    /// the policy with log R. The first ones should stand for all, for there may be time for these alone.
    fn test_objects(&self) -> Option<Objects> {
        None
    }

    /// How a report draws objects, if it can.
    fn picture(&self) -> Option<Picture> {
        None
    }

    /// Names and values of scalar summaries of an object that reports compare between GFlowNet and target samples.
    fn observables(&self) -> Vec<Observable> {
        Vec::new()
    }
}

/// How objects are drawn.
pub enum Picture {
    /// As images `width` sites wide, row-major.
    Grid {
        /// Sites in a row.
        width: usize,
    },
    /// As the points of a square lattice, each with its probability.
    Points {
        /// Points in a row, and rows.
        height: usize,
    },
    /// As points of the plane.
    Plane {
        /// Which point an object stands for.
        coding: Coding,
    },
}

/// Regions of objects, one around each mode.
pub struct Modes {
    /// How many there are.
    pub count: usize,
    /// Marks the modes that an object, given by the values of its sites, belongs to, in a list of `count` marks; those that it
    /// does not belong to stay as they are.
    pub near: Mark,
}

/// Marks those of a list that an object belongs to.
pub type Mark = Box<dyn Fn(&[u8], &mut [bool]) + Send + Sync>;

impl Modes {
    /// Marks the modes that any of these objects belongs to.
    pub fn mark(&self, objects: &Objects, reached: &mut [bool]) {
        objects.rows().for_each(|object| (self.near)(object, reached));
    }
}

/// A number for an object, from the values of its sites.
pub type Summarise = Box<dyn Fn(&[u8]) -> f64 + Send + Sync>;

/// A scalar summary of an object.
pub struct Observable {
    /// Heads its column.
    pub name: &'static str,
    /// The summary of one object.
    pub of: Summarise,
}

/// A map of objects onto objects that leaves log R as it is.
pub struct Symmetry {
    /// As in "under the flip of all spins".
    pub name: &'static str,
    /// Turns the values of an object, one a site, into those of its image.
    pub apply: Map,
}

/// Turns an object in place, the values of its sites.
pub type Map = Box<dyn Fn(&mut [u8]) + Send + Sync>;

/// log R as an MLP with one output. Its inputs are an object's, encoded as for the policy with every site set.
#[derive(Clone, Debug)]
pub struct RewardNetwork {
    /// Widths, and where the parameters of a layer lie.
    pub layout: Layout,
    /// Of the hidden layers.
    pub activation: Activation,
    /// In the order of `layout`.
    pub parameters: Arc<[f64]>,
    /// Another number whenever the parameters are others: what was uploaded for one version holds as long as it does.
    pub version: u64,
}

/// log R in WGSL: the body of the function `fn log_reward(trajectory: u32) -> f32`.
///
/// The source may call `value(trajectory: u32, site: u32) -> u32` and `parameter(index: u32) -> f32`, and read the
/// constants `SITES` and `VALUES`. Loops should stay short: software adapters (Mesa's) silently leave all loops of an
/// invocation once it has made 65,535 iterations in total, those of inner loops and of every call included. Where
/// `iterations` says that they would, the host computes log R there.
///
/// Where log R is a number times a whole one below 2^24, let the function return the whole one and the host multiply:
/// log R is then as exact as [`Target::log_reward`]'s.
///
/// An infinity may not survive a shader, whose compiler may take it that there are none. So R = 0 is said by a number:
/// where the function returns [`FORBIDDEN`] (in WGSL `-3e38`) or less, log R is minus infinity.
#[derive(Clone, Debug, PartialEq)]
pub struct RewardKernel {
    /// WGSL that defines `fn log_reward(trajectory: u32) -> f32`, and whatever it calls: no bindings, entry points or overrides
    /// of its own, and no names of wgflow's kernels. Faults are told in its own lines.
    pub source: String,
    /// What `parameter` reads.
    pub parameters: Vec<f32>,
    /// log R is this times what the function returns, multiplied on the host in f64.
    pub scale: f64,
    /// Loop iterations that a call takes at most, a loop of n counting as n + 1. 0 if nothing is known.
    pub iterations: usize,
}

impl Default for RewardKernel {
    /// No source, no parameters, log R as the function returns it, and nothing known of its loops.
    fn default() -> Self {
        Self { source: String::new(), parameters: Vec::new(), scale: 1.0, iterations: 0 }
    }
}

/// The largest log R by which a kernel says that R = 0.
pub const FORBIDDEN: f32 = -3e38;

/// Samples of a target: exact ones, or Markov chains whose state is all that has to be kept to resume.
pub trait Sampler: Send {
    /// The next objects, one a chain, of the target's sites and values. Depends on the state and on `draw` only.
    fn sample(&mut self, draw: &Draw) -> Objects;

    /// Everything that the next samples depend on.
    fn state(&self) -> Vec<u8>;

    /// Takes up a state that [`Sampler::state`] gave.
    fn restore(&mut self, state: &[u8]) -> Result<(), TargetError>;

    /// How well its Markov chains mix, where that was measured.
    fn mixing(&self) -> Option<Mixing> {
        None
    }
}

/// How well parallel tempering mixes, as pilot runs measured it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Mixing {
    /// Inverse temperatures, from 0 to 1.
    pub rungs: usize,
    /// The smallest fraction of exchanges of two neighbouring rungs that pass.
    pub worst_exchange: f64,
    /// The integrated autocorrelation time of log R at inverse temperature 1, in sweeps.
    pub autocorrelation: f64,
    /// Sweeps from one sample of a chain to the next.
    pub sweeps: usize,
}

impl fmt::Display for Mixing {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self { rungs, worst_exchange, autocorrelation, sweeps } = self;
        write!(
            f,
            "by parallel tempering on {rungs} rungs: {:.0}% or more of the exchanges pass, log R is correlated over \
             {autocorrelation:.1} sweeps, samples are {sweeps} apart",
            100.0 * worst_exchange
        )
    }
}

/// What a sampler restores that depends on its draws alone: nothing, or `state` is of another; `whose` are without any.
fn no_state(state: &[u8], whose: &str) -> Result<(), TargetError> {
    if state.is_empty() {
        return Ok(());
    }
    Err(TargetError::State(format!("{} bytes of state where {whose} have none", state.len())))
}
