//! A discrete model from a file as the target: log R is the sum of its log factors.
//!
//! Sites may have different numbers of values: a target has as many values as the largest, and a value that a site has not is
//! forbidden, as is what a factor of zero forbids. log Z and samples are exact, by elimination, where the model's graph is narrow
//! enough; elsewhere samples are those of parallel tempering, where it equilibrates in a reasonable time.

mod around;
mod guide;
mod heat_bath;
mod reward;

#[cfg(test)]
mod tests;

use std::sync::{Arc, OnceLock};

use rayon::prelude::*;

use self::heat_bath::Gibbs;
use super::tempering::{Plan as TemperingPlan, Tempering};
use super::{InputFiles, Observable, RewardKernel, Sampler, Symmetry, Target, TargetError, no_state};
use crate::models::elimination::{Eliminated, Plan};
use crate::models::{FactorGraph, Labels};
use crate::process::{Encoding, Guide, Objects};
use crate::random::Draw;

/// Bytes of tables that exact answers may take. (`wgflow exact` may take more.)
const BUDGET: u64 = 1 << 29;

/// Work of the pilot runs of tempering, in redrawn Ising spins: half a minute on two cores. An evaluation's samples may then take
/// some minutes.
const MOST_WORK: f64 = 4e9;

/// A model as a target.
#[derive(Debug)]
pub struct Model {
    graph: Arc<FactorGraph>,
    values: usize,
    checksum: u32,
    files: InputFiles,
    exact: OnceLock<Exact>,
    /// Of tempering, where elimination is too wide.
    tempering: OnceLock<Result<TemperingPlan, String>>,
}

/// What elimination tells, or why it does not.
#[derive(Debug)]
struct Exact {
    log_z: Result<f64, String>,
    eliminated: Result<Arc<Eliminated>, String>,
    /// Whether `eliminated` would take too much memory.
    too_wide: bool,
}

impl Model {
    /// The model's graph as a target. Nothing is eliminated yet.
    pub fn new(graph: FactorGraph) -> Self {
        let most = (0..graph.variables()).map(|variable| graph.cardinality(variable)).max();
        let (values, checksum) = (most.unwrap_or(0).max(2), checksum(&graph));
        let (exact, tempering) = (OnceLock::new(), OnceLock::new());
        Self { graph: Arc::new(graph), values, checksum, files: InputFiles::default(), exact, tempering }
    }

    /// The same, which checkpoints keep these files of.
    pub fn keeping(self, files: InputFiles) -> Self {
        Self { files, ..self }
    }

    /// The model.
    pub fn graph(&self) -> &FactorGraph {
        &self.graph
    }

    /// Whether some site has fewer values than others.
    fn is_mixed(&self) -> bool {
        (0..self.graph.variables()).any(|variable| self.graph.cardinality(variable) < self.values)
    }

    fn exact(&self) -> &Exact {
        self.exact.get_or_init(|| {
            let plan = Plan::of(&self.graph);
            let impossible = || "every object of the model is forbidden".to_owned();
            let told = |log_z: f64| if log_z == f64::NEG_INFINITY { Err(impossible()) } else { Ok(log_z) };
            if plan.bytes_of_samples() > BUDGET as f64 {
                let log_z = plan.log_z(&self.graph, BUDGET).map_err(|error| error.to_string()).and_then(told);
                let eliminated = plan.eliminate(self.graph.clone(), BUDGET).map(Arc::new);
                return Exact { log_z, eliminated: eliminated.map_err(|error| error.to_string()), too_wide: true };
            }
            let eliminated = plan.eliminate(self.graph.clone(), BUDGET).map_err(|error| error.to_string());
            let log_z = eliminated.as_ref().map_err(String::clone).and_then(|found| told(found.log_z()));
            Exact { eliminated: log_z.clone().and(eliminated.map(Arc::new)), log_z, too_wide: false }
        })
    }

    /// Parallel tempering, or why there is none.
    fn tempering(&self, seed: u64, chains: usize) -> Result<Box<dyn Sampler>, String> {
        let impossible = "some variable is left no value";
        let gibbs = Gibbs::new(self.graph.clone(), self.is_even()).ok_or(impossible)?;
        let plan = self.tempering.get_or_init(|| TemperingPlan::measure(&gibbs, MOST_WORK)).clone()?;
        let tempering = Tempering::new(gibbs, plan, seed, chains).map_err(|error| error.to_string())?;
        Ok(Box::new(tempering))
    }
}

impl Target for Model {
    fn sites(&self) -> usize {
        self.graph.variables()
    }

    fn values(&self) -> usize {
        self.values
    }

    fn encoding(&self) -> Encoding {
        if self.values == 2 { Encoding::Scalar { unset: 0.0, codes: vec![-1.0, 1.0] } } else { Encoding::OneHot }
    }

    fn log_reward(&self, objects: &Objects, log_reward: &mut [f64]) {
        let rows = objects.values().par_chunks(self.sites()).with_min_len(16);
        rows.zip(log_reward).for_each(|(object, log_reward)| *log_reward = self.graph.log_reward(object));
    }

    /// By elimination. The first call may take some seconds; later ones remember.
    fn log_z(&self) -> Result<f64, TargetError> {
        self.exact().log_z.clone().map_err(TargetError::Unknown)
    }

    /// Independent exact samples, by elimination; where that is too wide, parallel tempering with the heat bath. How long it has to run
    /// is measured by the first call and remembered; what cannot be equilibrated in a reasonable time has no sampler.
    fn sampler(&self, seed: u64, chains: usize) -> Result<Box<dyn Sampler>, TargetError> {
        match &self.exact().eliminated {
            Ok(eliminated) => Ok(Box::new(Independent { eliminated: eliminated.clone(), chains })),
            // What elimination has found out to be impossible has no samples.
            Err(impossible) if !self.exact().too_wide => Err(TargetError::Unknown(impossible.clone())),
            Err(too_wide) => self.tempering(seed, chains).map_err(|reason| {
                TargetError::Unknown(format!("{too_wide}; and parallel tempering does not equilibrate: {reason}"))
            }),
        }
    }

    fn marginals(&self) -> Result<Vec<Vec<f64>>, TargetError> {
        let eliminated = self.exact().eliminated.clone().map_err(TargetError::Unknown)?;
        eliminated.marginals().ok_or_else(|| TargetError::unknown("every object of the model is forbidden"))
    }

    /// Where no factor changes: a model of two values without fields.
    fn is_even(&self) -> bool {
        let even = |table: &[f64]| table.iter().eq(table.iter().rev());
        self.values == 2 && !self.is_mixed() && self.graph.factors().all(|factor| even(factor.table))
    }

    fn symmetries(&self) -> Vec<Symmetry> {
        if !self.is_even() {
            return Vec::new();
        }
        let apply = Box::new(|object: &mut [u8]| object.iter_mut().for_each(|value| *value ^= 1));
        vec![Symmetry { name: "the flip of all values", apply }]
    }

    fn guide(&self) -> Option<Arc<dyn Guide>> {
        Some(Arc::new(guide::Completed::new(self.graph.clone())))
    }

    fn kernel(&self) -> Option<RewardKernel> {
        reward::kernel(&self.graph, self.is_mixed())
    }

    fn forbids(&self) -> Option<&'static str> {
        if self.is_mixed() {
            Some("some of its variables have fewer values than others")
        } else if self.graph.factors().any(|factor| factor.forbids()) {
            Some("some of its factors are zero")
        } else {
            None
        }
    }

    fn labels(&self) -> Option<&Labels> {
        Some(self.graph.labels())
    }

    fn measure(&self, log_reward: f64) -> Option<(&'static str, f64)> {
        self.graph.measure(log_reward)
    }

    fn checksum(&self) -> Option<u32> {
        Some(self.checksum)
    }

    fn files(&self) -> InputFiles {
        self.files.clone()
    }

    /// The energy or the cut, or else log R.
    fn observables(&self) -> Vec<Observable> {
        let name = self.graph.measure(0.0).map_or("log R", |(name, _)| name);
        let graph = self.graph.clone();
        let of = move |object: &[u8]| {
            let log_reward = graph.log_reward(object);
            graph.measure(log_reward).map_or(log_reward, |(_, value)| value)
        };
        vec![Observable { name, of: Box::new(of) }]
    }
}

/// Independent samples; nothing has to be kept from one batch to the next.
struct Independent {
    eliminated: Arc<Eliminated>,
    chains: usize,
}

impl Sampler for Independent {
    fn sample(&mut self, draw: &Draw) -> Objects {
        self.eliminated.sample(draw, self.chains).expect("a sampler is made where some object is allowed")
    }

    fn state(&self) -> Vec<u8> {
        Vec::new()
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), TargetError> {
        no_state(state, "exact samples")
    }
}

/// Of all that log R depends on.
fn checksum(graph: &FactorGraph) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    let cardinalities = (0..graph.variables()).map(|variable| graph.cardinality(variable) as u16);
    cardinalities.for_each(|cardinality| hasher.update(&cardinality.to_le_bytes()));
    for factor in graph.factors() {
        factor.scope.iter().for_each(|variable| hasher.update(&variable.to_le_bytes()));
        factor.table.iter().for_each(|entry| hasher.update(&entry.to_le_bytes()));
    }
    hasher.update(&graph.constant().to_le_bytes());
    hasher.finalize()
}
