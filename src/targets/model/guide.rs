//! What setting a variable adds to log R: the factors whose last variable it is, in whatever order variables are set.

use std::sync::Arc;

use super::around::{Around, around};
use crate::models::FactorGraph;
use crate::process::{Filled, Guide, GuideKernel};

/// The least by which a forbidden value's logit lies below every other: its exponential is 0 in f64. Not much more than that: where all
/// values are forbidden, one is taken all the same, log R is minus infinity, and the policy's own logits are not lost in f32.
const FORBIDDEN: f64 = 800.0;

/// Loop iterations of a trajectory's increments that a kernel may take: software adapters leave loops at 65,535, and may give one
/// invocation the outputs of two trajectories.
const MOST_LOOPS: usize = 24_000;

/// Increments by factors that become complete.
#[derive(Debug)]
pub(super) struct Completed {
    graph: Arc<FactorGraph>,
    /// Of a site, at most.
    values: usize,
    /// The factors that each variable is in.
    around: Vec<Vec<Around>>,
    forbidden: f64,
}

impl Completed {
    /// `values` is the largest number of values of a variable, at least 2.
    pub fn new(graph: Arc<FactorGraph>, values: usize) -> Self {
        let around = around(&graph);
        let factors: Vec<f64> = graph.factors().map(|factor| crate::models::size(factor.table)).collect();
        let sizes = around.iter().map(|all| all.iter().map(|around| factors[around.factor]).sum());
        // Allowed increments lie between minus and plus the size.
        let forbidden = FORBIDDEN + 2.0 * sizes.fold(0.0, f64::max);
        Self { graph, values, around, forbidden }
    }

    /// Loop iterations of all increments of a trajectory.
    fn loops(&self) -> usize {
        let steps = |around: &Around| if around.others.len() == 1 { 1 } else { 1 + around.others.len() };
        self.values * self.around.iter().map(|all| 1 + all.iter().map(steps).sum::<usize>()).sum::<usize>()
    }
}

impl Guide for Completed {
    fn increments(&self, filled: Filled, site: usize, increments: &mut [f64]) {
        let cardinality = self.graph.cardinality(site);
        let (allowed, missing) = increments.split_at_mut(cardinality);
        missing.fill(-1e30);
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
        // Numbers of values, where each variable's factors begin, and its factors; then the tables.
        let words = |around: &Around| 3 + 2 * around.others.len();
        let mut starts = vec![2 + 2 * sites];
        for all in &self.around {
            starts.push(starts.last()? + all.iter().map(words).sum::<usize>());
        }
        let mut tables = Vec::new();
        let mut place = *starts.last()?;
        for factor in self.graph.factors() {
            tables.push(place);
            place += factor.table.len();
        }
        // Whole numbers up to 2^24 are exact in f32.
        if place > 1 << f32::MANTISSA_DIGITS || self.loops() > MOST_LOOPS {
            return None;
        }
        let mut parameters = vec![self.forbidden as f32];
        parameters.extend((0..sites).map(|site| self.graph.cardinality(site) as f32));
        parameters.extend(starts.iter().map(|&start| start as f32));
        for Around { factor, own, others } in self.around.iter().flatten() {
            parameters.extend([others.len(), tables[*factor], *own].map(|number| number as f32));
            parameters.extend(others.iter().flat_map(|&(other, stride)| [other as f32, stride as f32]));
        }
        let finite = |&entry: &f64| entry.max(-1e30) as f32;
        parameters.extend(self.graph.factors().flat_map(|factor| factor.table.iter().map(finite)));
        Some(GuideKernel { source: include_str!("guide.wgsl").into(), parameters, trusted: true })
    }
}
