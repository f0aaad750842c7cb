//! A factor graph: log R is a sum of tables, each over some of the variables.

use super::Evidence;
use super::error::Fault;
use super::labels::{Labels, Values, Variables};

/// Entries that the tables of a model may have in all, 1 GiB of them.
pub const MOST_ENTRIES: usize = 1 << 27;

/// log R(x) = constant + sum over factors of the entry for the values of its variables.
///
/// Entries are natural logarithms; minus infinity is a combination that is never to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct FactorGraph {
    cardinalities: Vec<u16>,
    /// Scopes of all factors one after the other, and their tables; where those of each end.
    scopes: Vec<u32>,
    tables: Vec<f64>,
    ends: Vec<(usize, usize)>,
    constant: f64,
    labels: Labels,
    /// What people ask for in place of log R, and what it is per log R.
    measure: Option<(&'static str, f64)>,
}

/// One factor of a graph.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Factor<'a> {
    /// Its variables.
    pub scope: &'a [u32],
    /// log phi for each combination of their values, the last variable's running fastest.
    pub table: &'a [f64],
}

impl FactorGraph {
    /// No factors over variables with so many values each (1 to 256), which are numbered from 0.
    pub(super) fn new(cardinalities: Vec<u16>) -> Self {
        let labels = Labels { variables: Variables::From(0), values: Values::Numbers };
        let (scopes, tables, ends) = (Vec::new(), Vec::new(), Vec::new());
        Self { cardinalities, scopes, tables, ends, constant: 0.0, labels, measure: None }
    }

    pub(super) fn labelled(self, variables: Variables, values: Values) -> Self {
        Self { labels: Labels { variables, values }, ..self }
    }

    /// What people ask for in place of log R: its name, and what it is per log R.
    pub(super) fn measured(self, name: &'static str, per_log_reward: f64) -> Self {
        Self { measure: Some((name, per_log_reward)), ..self }
    }

    pub(super) fn add_constant(&mut self, constant: f64) {
        self.constant += constant;
    }

    /// Adds a factor. `table` must have an entry for each combination of values.
    pub(super) fn push(&mut self, scope: &[u32], table: impl IntoIterator<Item = f64>) {
        self.scopes.extend_from_slice(scope);
        self.tables.extend(table);
        self.ends.push((self.scopes.len(), self.tables.len()));
    }

    /// The graph with log R times `beta`.
    pub(super) fn times(mut self, beta: f64) -> Result<Self, Fault> {
        let scaled = self.tables.iter_mut().chain([&mut self.constant]);
        scaled.for_each(|entry| *entry *= beta);
        self.measure = self.measure.map(|(name, per_log_reward)| (name, per_log_reward / beta));
        let size: f64 = self.factors().map(|factor| size(factor.table)).sum::<f64>() + self.constant.abs();
        if !size.is_finite() {
            let message = "its log factors times beta add up to more than a number can hold: make them smaller";
            return Err(Fault::new(message));
        }
        Ok(self)
    }

    /// Number of variables, at least 1.
    pub fn variables(&self) -> usize {
        self.cardinalities.len()
    }

    /// Number of values of a variable, 1 to 256.
    pub fn cardinality(&self, variable: usize) -> usize {
        self.cardinalities[variable].into()
    }

    /// All factors, in the file's order or, for pairwise models, in that of their variables.
    pub fn factors(&self) -> impl ExactSizeIterator<Item = Factor<'_>> {
        (0..self.ends.len()).map(|index| self.factor(index))
    }

    /// One factor. Panics if there is none of this index.
    pub fn factor(&self, index: usize) -> Factor<'_> {
        let (scope, table) = if index == 0 { (0, 0) } else { self.ends[index - 1] };
        let (scope_end, table_end) = self.ends[index];
        Factor { scope: &self.scopes[scope..scope_end], table: &self.tables[table..table_end] }
    }

    /// What log R has besides its factors.
    pub fn constant(&self) -> f64 {
        self.constant
    }

    /// What the file calls variables and values.
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// What people ask for in place of log R, an energy or a cut: its name and what it is for this log R. None where it is log R
    /// itself.
    pub fn measure(&self, log_reward: f64) -> Option<(&'static str, f64)> {
        // Plus zero, which has no sign for people.
        self.measure.map(|(name, per_log_reward)| (name, per_log_reward * log_reward + 0.0))
    }

    /// log R of an object, the value of each variable; minus infinity where a value is not one of its variable's.
    pub fn log_reward(&self, values: &[u8]) -> f64 {
        let mut values_and_cardinalities = values.iter().zip(&self.cardinalities);
        if values_and_cardinalities.any(|(&value, &cardinality)| u16::from(value) >= cardinality) {
            return f64::NEG_INFINITY;
        }
        self.constant + self.entries(values).sum::<f64>()
    }

    /// The entry of each factor for an object, all of whose values must be its variables'.
    pub(crate) fn entries(&self, values: &[u8]) -> impl Iterator<Item = f64> {
        self.factors().map(|factor| factor.table[self.index(factor.scope, values)])
    }

    /// Where the table of this scope has the entry for these values.
    fn index(&self, scope: &[u32], values: &[u8]) -> usize {
        scope.iter().fold(0, |index, &variable| {
            let variable = variable as usize;
            index * self.cardinality(variable) + usize::from(values[variable])
        })
    }

    /// How far apart neighbouring values of each variable of a scope are in its table.
    pub(crate) fn strides(&self, scope: &[u32]) -> Vec<usize> {
        let mut strides = vec![1; scope.len()];
        for place in (1..scope.len()).rev() {
            strides[place - 1] = strides[place] * self.cardinality(scope[place] as usize);
        }
        strides
    }

    /// The graph of the objects that agree with the evidence: its log Z is log of the sum of R over those.
    ///
    /// Variables and values keep their numbers. Tables lose the variables that are fixed, and a factor over each of these
    /// forbids its other values.
    pub fn given(&self, evidence: &Evidence) -> FactorGraph {
        let mut fixed = vec![None; self.variables()];
        evidence.values().for_each(|(variable, value)| fixed[variable] = Some(value));
        let mut graph = FactorGraph { measure: self.measure, ..Self::new(self.cardinalities.clone()) };
        (graph.constant, graph.labels) = (self.constant, self.labels.clone());
        for Factor { scope, table } in self.factors() {
            let strides = self.strides(scope);
            let places = || scope.iter().zip(&strides).map(|(&variable, &stride)| (variable as usize, stride));
            let start: usize = places().filter_map(|(variable, stride)| fixed[variable].map(|v| v * stride)).sum();
            let free: Vec<(usize, usize)> = places().filter(|(variable, _)| fixed[*variable].is_none()).collect();
            if free.is_empty() && table[start].is_finite() {
                graph.constant += table[start];
                continue;
            }
            let mut entries = vec![start];
            for &(variable, stride) in &free {
                let values = self.cardinality(variable);
                entries = entries.iter().flat_map(|entry| (0..values).map(move |v| entry + v * stride)).collect();
            }
            let scope: Vec<u32> = free.iter().map(|(variable, _)| *variable as u32).collect();
            graph.push(&scope, entries.into_iter().map(|entry| table[entry]));
        }
        for (variable, value) in evidence.values() {
            let allowed = |other| if other == value { 0.0 } else { f64::NEG_INFINITY };
            graph.push(&[variable as u32], (0..self.cardinality(variable)).map(allowed));
        }
        graph
    }
}

/// The largest size of a finite entry.
pub(crate) fn size(table: &[f64]) -> f64 {
    table.iter().filter(|entry| **entry != f64::NEG_INFINITY).fold(0.0, |most, entry| entry.abs().max(most))
}

impl Factor<'_> {
    /// Whether some combination is forbidden.
    pub fn forbids(&self) -> bool {
        self.table.contains(&f64::NEG_INFINITY)
    }
}
