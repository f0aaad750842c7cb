//! Exact answers by bucket elimination: log Z, marginals of single variables, samples.
//!
//! Variables are summed out one after the other. What a variable leaves is a message, a table over its neighbours at the time:
//!
//! ```text
//! m_v(N) = log sum_v exp(sum of all factors and messages that depend on v)
//! ```
//!
//! and what the last ones leave, numbers, add up to log Z. Backwards, the variable's own terms are its conditional distribution
//! given N, of which exact samples are drawn variable by variable; the same pass carries the exact distribution of each N, and
//! with it marginals. Everything is in logarithms, the maximum taken out of each sum. The cost is that of the largest tables:
//! exponential in the induced width, the largest number of neighbours. (Dechter, "Bucket elimination: a unifying framework for
//! reasoning", Artificial Intelligence 113, 1999.)

mod bucket;
mod log_sum;
mod order;

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::RngExt;
use rayon::prelude::*;

use self::bucket::{Bucket, Term};
use self::log_sum::log_sum;
use self::order::Order;
use super::FactorGraph;
use crate::process::Objects;
use crate::random::Draw;

/// How a graph's variables are eliminated, and what that takes.
#[derive(Clone, Debug)]
pub struct Plan {
    order: Order,
    /// The messages and factors of each bucket.
    sources: Vec<Vec<Source>>,
    summing: f64,
    keeping: f64,
}

#[derive(Clone, Copy, Debug)]
enum Source {
    /// A factor of the graph.
    Factor(usize),
    /// What an earlier bucket left.
    Message(usize),
}

/// What elimination would take beyond the memory that it was given.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{}", self.message())]
pub struct TooWide {
    /// The induced width of the best order that was found.
    pub width: usize,
    /// Bytes of tables.
    pub needed: f64,
    /// Bytes that they may take.
    pub budget: f64,
    /// Whether the order was followed to its end; else both numbers are lower bounds.
    pub whole: bool,
}

impl TooWide {
    fn message(&self) -> String {
        let (needed, budget, width) = (gib(self.needed), gib(self.budget), self.width);
        if self.whole {
            return format!(
                "exact elimination needs {needed} of tables (induced width {width}), and may take {budget}"
            );
        }
        let least = format!("at least {needed} of tables (induced width at least {width})");
        if self.needed > self.budget {
            return format!("exact elimination needs {least}, and may take {budget}");
        }
        format!(
            "the graph is too large and too dense to find an order of elimination for: it needs {least}, and the search was given \
             up there"
        )
    }
}

/// Bytes for people.
fn gib(bytes: f64) -> String {
    let mib = bytes / f64::from(1 << 20);
    match mib {
        _ if mib < 1024.0 => format!("{:.0} MiB", mib.ceil()),
        _ if mib < 1e9 => format!("{:.1} GiB", mib / 1024.0),
        _ => format!("2^{:.0} bytes", bytes.log2()),
    }
}

impl Plan {
    /// The best order found for a graph, the same each time.
    pub fn of(graph: &FactorGraph) -> Self {
        let order = Order::of(graph);
        let mut plan = Self { order, sources: Vec::new(), summing: 0.0, keeping: 0.0 };
        if plan.order.whole {
            plan.distribute(graph);
        } else {
            plan.keeping = 8.0 * plan.order.size.exp2();
            plan.summing = plan.keeping;
        }
        plan
    }

    /// Deals factors and messages out over buckets, and adds up what they take.
    fn distribute(&mut self, graph: &FactorGraph) {
        let mut turn = vec![usize::MAX; graph.variables()];
        self.order.variables.iter().enumerate().for_each(|(index, &variable)| turn[variable as usize] = index);
        let bucket = |scope: &[u32]| scope.iter().map(|&v| turn[v as usize]).min().filter(|&turn| turn < usize::MAX);
        self.sources = vec![Vec::new(); self.order.variables.len()];
        for (index, factor) in graph.factors().enumerate() {
            if let Some(bucket) = bucket(factor.scope) {
                self.sources[bucket].push(Source::Factor(index));
            }
        }
        let bytes = |scope: &[u32]| scope.iter().map(|&v| graph.cardinality(v as usize) as f64).product::<f64>() * 8.0;
        let mut held = 0.0;
        for (index, scope) in self.order.scopes.iter().enumerate() {
            self.keeping += bytes(scope);
            held += bytes(scope);
            self.summing = self.summing.max(held);
            for source in &self.sources[index] {
                held -= if let Source::Message(from) = source { bytes(&self.order.scopes[*from]) } else { 0.0 };
            }
            if let Some(bucket) = bucket(scope) {
                self.sources[bucket].push(Source::Message(index));
            }
        }
    }

    /// The induced width: the largest number of neighbours that a variable has when it is eliminated.
    pub fn width(&self) -> usize {
        self.order.width()
    }

    /// Bytes of tables that log Z takes.
    pub fn bytes_of_log_z(&self) -> f64 {
        self.summing
    }

    /// Bytes of tables that samples and marginals take.
    pub fn bytes_of_samples(&self) -> f64 {
        2.0 * self.keeping
    }

    /// log Z, in at most `budget` bytes of tables.
    ///
    /// # Errors
    /// If that is not enough.
    pub fn log_z(&self, graph: &FactorGraph, budget: u64) -> Result<f64, TooWide> {
        self.check(self.summing, budget)?;
        Ok(self.messages(graph, false).1)
    }

    /// Everything, in at most `budget` bytes of tables. `graph` must be the one that the plan is of.
    ///
    /// # Errors
    /// If that is not enough.
    pub fn eliminate(self, graph: impl Into<Arc<FactorGraph>>, budget: u64) -> Result<Eliminated, TooWide> {
        self.check(self.bytes_of_samples(), budget)?;
        let graph = graph.into();
        let (messages, log_z) = self.messages(&graph, true);
        Ok(Eliminated { plan: self, graph, messages, log_z })
    }

    fn check(&self, needed: f64, budget: u64) -> Result<(), TooWide> {
        let (width, budget, whole) = (self.width(), budget as f64, self.order.whole);
        if whole && needed <= budget { Ok(()) } else { Err(TooWide { width, needed, budget, whole }) }
    }

    /// The message of each bucket, those that were used up left out unless they are to be kept, and log Z.
    fn messages(&self, graph: &FactorGraph, keep: bool) -> (Vec<Vec<f64>>, f64) {
        // Factors over nothing, or over variables of one value, are in no bucket.
        let single = |scope: &[u32]| scope.iter().all(|&variable| graph.cardinality(variable as usize) == 1);
        let apart: f64 = graph.factors().filter(|factor| single(factor.scope)).map(|factor| factor.table[0]).sum();
        let mut log_z = graph.constant() + apart;
        let (mut messages, mut spare): (Vec<Vec<f64>>, _) = (Vec::new(), Vec::new());
        for (index, scope) in self.order.scopes.iter().enumerate() {
            let message = self.bucket(graph, &messages, index).message(std::mem::take(&mut spare));
            if scope.is_empty() {
                log_z += message[0];
            }
            messages.push(message);
            for source in self.sources[index].iter().filter(|_| !keep) {
                if let Source::Message(from) = source {
                    let used = std::mem::take(&mut messages[*from]);
                    spare = if used.len() > spare.len() { used } else { spare };
                }
            }
        }
        (messages, log_z)
    }

    /// The terms of a bucket, one for each scope: a hub's bucket may have a hundred thousand sources over few of them.
    fn bucket<'a>(&self, graph: &'a FactorGraph, messages: &'a [Vec<f64>], index: usize) -> Bucket<'a> {
        let (variable, neighbours) = (self.order.variables[index], &self.order.scopes[index]);
        let mut terms: Vec<Term> = Vec::new();
        let mut places = BTreeMap::new();
        for source in &self.sources[index] {
            let (scope, table, message) = match *source {
                Source::Factor(factor) => (graph.factor(factor).scope, graph.factor(factor).table, None),
                Source::Message(from) => (&self.order.scopes[from][..], &messages[from][..], Some(from)),
            };
            let known: Option<&usize> = places.get(scope);
            if known.is_some_and(|&place| terms[place].merge(table, message)) {
                continue;
            }
            places.insert(scope, terms.len());
            let strides = graph.strides(scope);
            let of = |wanted: u32| scope.iter().position(|&v| v == wanted).map_or(0, |place| strides[place]);
            let (strides, own) = (neighbours.iter().map(|&v| of(v)).collect(), of(variable));
            terms.push(Term { table: table.into(), messages: message.into_iter().collect(), strides, own });
        }
        Bucket {
            terms,
            cardinalities: neighbours.iter().map(|&v| graph.cardinality(v as usize)).collect(),
            values: graph.cardinality(variable as usize),
        }
    }
}

/// A graph all of whose variables were summed out, every message kept.
#[derive(Debug)]
pub struct Eliminated {
    plan: Plan,
    graph: Arc<FactorGraph>,
    messages: Vec<Vec<f64>>,
    log_z: f64,
}

impl Eliminated {
    /// log of the sum of R over all objects; minus infinity if all are forbidden.
    pub fn log_z(&self) -> f64 {
        self.log_z
    }

    /// The probability of each value of each variable; none if all objects are forbidden.
    pub fn marginals(&self) -> Option<Vec<Vec<f64>>> {
        let variables = 0..self.graph.variables();
        let mut marginals: Vec<Vec<f64>> = variables.map(|v| vec![0.0; self.graph.cardinality(v)]).collect();
        marginals.iter_mut().filter(|values| values.len() == 1).for_each(|values| values[0] = 1.0);
        if self.log_z == f64::NEG_INFINITY {
            return None;
        }
        // P(N) of each bucket, added up when the bucket that its message went to is visited.
        let mut joint: Vec<Vec<f64>> = vec![Vec::new(); self.messages.len()];
        for (index, &variable) in self.plan.order.variables.iter().enumerate().rev() {
            let mut own = std::mem::take(&mut joint[index]);
            if self.plan.order.scopes[index].is_empty() {
                own = vec![1.0];
            }
            let bucket = self.plan.bucket(&self.graph, &self.messages, index);
            let marginal = &mut marginals[variable as usize];
            // P of the variables of each term that has messages in it.
            let share = |term: &Term| vec![0.0; if term.messages.is_empty() { 0 } else { term.table.len() }];
            let mut shares: Vec<Vec<f64>> = bucket.terms.iter().map(share).collect();
            bucket.each(0..own.len(), |combination, logs, places| {
                let (sum, most) = log_sum(logs);
                if own[combination] == 0.0 || most == f64::NEG_INFINITY {
                    return;
                }
                for (value, log) in logs.iter().enumerate() {
                    let probability = own[combination] * (log - sum).exp();
                    marginal[value] += probability;
                    for ((share, term), place) in shares.iter_mut().zip(&bucket.terms).zip(places) {
                        if !share.is_empty() {
                            share[place + value * term.own] += probability;
                        }
                    }
                }
            });
            for (share, term) in shares.into_iter().zip(&bucket.terms) {
                if let Some((&first, others)) = term.messages.split_first() {
                    others.iter().for_each(|&from| joint[from] = share.clone());
                    joint[first] = share;
                }
            }
        }
        // Roundings add up over as many sums as a table has entries.
        for values in &mut marginals {
            let sum: f64 = values.iter().sum();
            values.iter_mut().for_each(|value| *value /= sum);
        }
        Some(marginals)
    }

    /// `count` independent objects of probability R / Z, from the random numbers of `draw`; none if all objects are forbidden.
    pub fn sample(&self, draw: &Draw, count: usize) -> Option<Objects> {
        if self.log_z == f64::NEG_INFINITY {
            return None;
        }
        let indices = 0..self.messages.len();
        let buckets: Vec<Bucket> = indices.map(|index| self.plan.bucket(&self.graph, &self.messages, index)).collect();
        let sites = self.graph.variables();
        let mut objects = vec![0; count * sites];
        objects.par_chunks_mut(sites).enumerate().for_each(|(number, object)| {
            let mut generator = draw.generator(number as u32);
            let mut logs = Vec::new();
            for (index, bucket) in buckets.iter().enumerate().rev() {
                logs.clear();
                logs.resize(bucket.values, 0.0);
                for term in &bucket.terms {
                    let neighbours = self.plan.order.scopes[index].iter().zip(&term.strides);
                    let place: usize = neighbours.map(|(&v, stride)| usize::from(object[v as usize]) * stride).sum();
                    let values = term.table[place..].iter().step_by(term.own.max(1));
                    logs.iter_mut().zip(values).for_each(|(log, entry)| *log += entry);
                }
                object[self.plan.order.variables[index] as usize] = choose(&logs, generator.random()) as u8;
            }
        });
        Some(Objects::new(sites, objects))
    }
}

/// The first value up to which the probabilities add up to more than `uniform`, in [0, 1).
fn choose(logs: &[f64], uniform: f64) -> usize {
    let (_, most) = log_sum(logs);
    let weight = |log: &f64| (log - most).exp();
    let mut left = uniform * logs.iter().map(weight).sum::<f64>();
    let mut last = 0;
    for (value, log) in logs.iter().enumerate().filter(|(_, log)| **log != f64::NEG_INFINITY) {
        left -= weight(log);
        last = value;
        if left < 0.0 {
            break;
        }
    }
    last
}

#[cfg(test)]
mod tests;
