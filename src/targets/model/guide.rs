//! What setting a variable adds to log R: the factors whose last variable it is, in whatever order variables are set.

use std::sync::Arc;

use super::around::{Around, around};
use crate::models::FactorGraph;
use crate::process::{Filled, Guide, GuideKernel};

/// The least by which a forbidden value's logit lies below every other: its exponential is 0 in f64. Not much more than that: where all
/// values are forbidden, one is taken all the same, log R is minus infinity, and the policy's own logits are not lost in f32.
const FORBIDDEN: f64 = 800.0;

/// Factors over two variables that an iteration of the kernel's loop takes.
const PAIRS: usize = 4;

/// What the kernel has for minus infinity, and how large other numbers may be beside it.
const ZERO: f64 = -1e30;
const LARGEST: f64 = 1e29;

/// Increments by factors that become complete.
#[derive(Debug)]
pub(super) struct Completed {
    graph: Arc<FactorGraph>,
    /// The factors that each variable is in.
    around: Vec<Vec<Around>>,
    forbidden: f64,
}

impl Completed {
    pub fn new(graph: Arc<FactorGraph>) -> Self {
        let around = around(&graph);
        let factors: Vec<f64> = graph.factors().map(|factor| crate::models::size(factor.table)).collect();
        let sizes = around.iter().map(|all| all.iter().map(|around| factors[around.factor]).sum());
        // Allowed increments lie between minus and plus the size.
        let forbidden = FORBIDDEN + 2.0 * sizes.fold(0.0, f64::max);
        Self { graph, around, forbidden }
    }

    /// Loop iterations of an increment. Invocations that run in step each have a site of their own: all of them take as
    /// many as the one that takes the most does.
    fn iterations(&self) -> usize {
        let (mut pairs, mut others) = (0, Vec::new());
        for all in &self.around {
            pairs = pairs.max(all.iter().filter(|around| around.is_pair()).count().div_ceil(PAIRS));
            for (place, around) in all.iter().filter(|around| !around.is_pair()).enumerate() {
                others.resize(others.len().max(place + 1), 0);
                others[place] = around.others.len().max(others[place]);
            }
        }
        // A loop of n counts as n + 1.
        pairs + 1 + others.iter().map(|others| 1 + others + 1).sum::<usize>() + 1
    }
}

impl Guide for Completed {
    fn increments(&self, filled: Filled, site: usize, increments: &mut [f64]) {
        let cardinality = self.graph.cardinality(site);
        let (allowed, missing) = increments.split_at_mut(cardinality);
        missing.fill(ZERO);
        for Around { factor, own, others } in &self.around[site] {
            let place = |&(other, stride): &(u32, usize)| Some(usize::from(filled.value(other as usize)?) * stride);
            let Some(first) = others.iter().map(place).sum::<Option<usize>>() else { continue };
            // A value that a variable has not leads out of the table.
            let entries = self.graph.factor(*factor).table.get(first..).unwrap_or_default().iter().step_by(*own);
            allowed.iter_mut().zip(entries).for_each(|(increment, entry)| *increment += entry);
        }
        let forbidden = allowed.iter_mut().filter(|increment| **increment == f64::NEG_INFINITY);
        forbidden.for_each(|increment| *increment = -self.forbidden);
    }

    fn kernel(&self) -> Option<GuideKernel> {
        let sites = self.graph.variables();
        // Where each variable's factors begin, those over two variables and all others; the factors; then the tables.
        let (mut starts, mut factors, mut tables) = (Vec::new(), Vec::new(), Vec::new());
        let first = 2 + 3 * sites;
        let words = |around: &Around| if around.is_pair() { 4 } else { 3 + 2 * around.others.len() };
        let padded = |all: &[Around]| all.iter().filter(|around| around.is_pair()).count().next_multiple_of(PAIRS);
        let others = |all: &[Around]| all.iter().filter(|around| !around.is_pair()).map(words).sum::<usize>();
        let mut place = first + self.around.iter().map(|all| 4 * padded(all) + others(all)).sum::<usize>();
        for factor in self.graph.factors() {
            tables.push(place);
            place += factor.table.len();
        }
        // Whole numbers up to 2^24 are exact in f32.
        if place > 1 << f32::MANTISSA_DIGITS || self.forbidden > LARGEST {
            return None;
        }
        for (site, all) in self.around.iter().enumerate() {
            starts.push(first + factors.len());
            for Around { factor, own, others } in all.iter().filter(|around| around.is_pair()) {
                let (other, stride) = others[0];
                factors.extend([other as usize, stride, tables[*factor], *own]);
            }
            // What fills up the last iteration waits for the site itself, which is not set yet.
            factors.resize(starts[2 * site] - first + 4 * padded(all), site);
            starts.push(first + factors.len());
            for Around { factor, own, others } in all.iter().filter(|around| !around.is_pair()) {
                factors.extend([others.len(), tables[*factor], *own]);
                factors.extend(others.iter().flat_map(|&(other, stride)| [other as usize, stride]));
            }
        }
        starts.push(first + factors.len());
        let mut parameters = vec![self.forbidden as f32];
        parameters.extend((0..sites).map(|site| self.graph.cardinality(site) as f32));
        parameters.extend(starts.into_iter().chain(factors).map(|number| number as f32));
        let finite = |&entry: &f64| entry.max(ZERO) as f32;
        parameters.extend(self.graph.factors().flat_map(|factor| factor.table.iter().map(finite)));
        let (source, iterations) = (include_str!("guide.wgsl").into(), self.iterations());
        Some(GuideKernel { source, parameters, iterations, trusted: true })
    }
}
