//! The heat bath of a factor graph: each variable is redrawn given those that it shares factors with (S. Geman and D. Geman,
//! "Stochastic relaxation, Gibbs distributions, and the Bayesian restoration of images", 1984).

use std::sync::Arc;

use rand::Rng;

use super::around::{Around, around};
use crate::models::FactorGraph;
use crate::random::{CounterRng, pick, uniform};
use crate::targets::tempering::{HeatBath, Level, discouragement};

/// Work of a look-up in a table and of an exponential, in units of a redrawn Ising spin.
const LOOK_UP: f64 = 0.5;
const EXPONENTIAL: f64 = 2.0;

/// The heat bath of a model. Factors over one variable that forbid some of its values leave it the others, which are all that it
/// ever has; other factors at zero are discouraged.
#[derive(Debug)]
pub(super) struct Gibbs {
    graph: Arc<FactorGraph>,
    around: Vec<Vec<Around>>,
    /// The values that a variable can have.
    domains: Vec<Vec<u8>>,
    /// Of several entries of minus infinity, as much as a look-up needs: their exponential is 0 whatever the other terms are.
    impossible: f64,
    even: bool,
    work: f64,
}

impl Gibbs {
    /// `even`: log R stays as it is when all values are flipped. None if some variable can have no value.
    pub fn new(graph: Arc<FactorGraph>, even: bool) -> Option<Self> {
        let around = around(&graph);
        let domain = |site: usize| {
            let single = around[site].iter().filter(|around| around.others.is_empty());
            let tables: Vec<&[f64]> = single.map(|around| graph.factor(around.factor).table).collect();
            let allowed = |value: &usize| tables.iter().all(|table| table[*value] != f64::NEG_INFINITY);
            (0..graph.cardinality(site)).filter(allowed).map(|value| value as u8).collect()
        };
        let domains: Vec<Vec<u8>> = (0..graph.variables()).map(domain).collect();
        let sizes: f64 = graph.factors().map(|factor| crate::models::size(factor.table)).sum();
        let sweep = around.iter().zip(&domains).map(|(around, domain)| {
            let look_ups: usize = around.iter().map(|around| around.others.len() + domain.len()).sum();
            1.0 + EXPONENTIAL * domain.len() as f64 + LOOK_UP * look_ups as f64
        });
        let work = sweep.sum();
        let possible = domains.iter().all(|domain| !domain.is_empty());
        let gibbs = Self { around, domains, impossible: 800.0 + 2.0 * sizes, even, work, graph };
        possible.then_some(gibbs)
    }
}

impl HeatBath for Gibbs {
    /// The inverse temperature, and log of what a forbidden term counts.
    type Rung = (f64, f64);

    fn sites(&self) -> usize {
        self.domains.len()
    }

    fn work(&self) -> f64 {
        self.work
    }

    fn rung(&self, beta: f64) -> (f64, f64) {
        (beta, discouragement(beta).max(-self.impossible))
    }

    fn sweep(&self, &(beta, forbidden): &(f64, f64), object: &mut [u8], generator: &mut CounterRng) {
        let mut logs = [0.0; 256];
        for (site, (around, domain)) in self.around.iter().zip(&self.domains).enumerate() {
            let logs = &mut logs[..domain.len()];
            logs.fill(0.0);
            for Around { factor, own, others } in around {
                let place: usize =
                    others.iter().map(|&(other, stride)| usize::from(object[other as usize]) * stride).sum();
                let table = &self.graph.factor(*factor).table[place..];
                for (log, &value) in logs.iter_mut().zip(domain) {
                    let entry = table[usize::from(value) * own];
                    *log += if entry == f64::NEG_INFINITY { forbidden } else { beta * entry };
                }
            }
            object[site] = domain[choose(logs, generator)];
        }
    }

    fn level(&self, object: &[u8]) -> Level {
        let mut level = Level { log_reward: self.graph.constant(), forbidden: 0 };
        for entry in self.graph.entries(object) {
            if entry == f64::NEG_INFINITY { level.forbidden += 1 } else { level.log_reward += entry }
        }
        level
    }

    fn start(&self, generator: &mut CounterRng) -> Vec<u8> {
        let random = |domain: &Vec<u8>| domain[pick(generator.next_u32(), domain.len() as u32) as usize];
        self.domains.iter().map(random).collect()
    }

    /// The flip of all values, or not, where the model is even.
    fn turn(&self, object: &mut [u8], generator: &mut CounterRng) {
        if self.even && generator.next_u32() >> 31 == 1 {
            object.iter_mut().for_each(|value| *value ^= 1);
        }
    }

    fn has(&self, site: usize, value: u8) -> bool {
        self.domains[site].contains(&value)
    }
}

/// The index of one of these logarithms of weights, by its weight.
fn choose(logs: &mut [f64], generator: &mut CounterRng) -> usize {
    let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut sum = 0.0;
    for log in logs.iter_mut() {
        sum += (*log - most).exp();
        *log = sum;
    }
    let place = uniform(generator.next_u32()) * sum;
    // What has no weight adds nothing to the sum, so the first beyond the place has some.
    logs.iter().position(|upper| place < *upper).unwrap_or(logs.len() - 1)
}
