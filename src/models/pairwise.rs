//! Models of two-valued variables with pairs only, as several formats write them: gathered here, and made a [`FactorGraph`] in the
//! order of the variables, so that the same model from two formats is the same to the bit.

use std::collections::BTreeMap;

use super::error::Fault;
use super::graph::FactorGraph;
use super::labels::{Values, Variables};

/// What the two values of a variable stand for in products.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Domain {
    /// -1 and 1.
    Spin,
    /// 0 and 1.
    Binary,
    /// Two sides; a pair counts its weight where its ends are on different ones.
    Cut,
}

/// What a file that gives one thing twice means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeated {
    /// A fault.
    Refused,
    /// The sum of both.
    Added,
}

/// Weights of single variables and of pairs, as a file has them.
pub(super) struct Pairwise {
    domain: Domain,
    repeated: Repeated,
    /// E is this times the sum that the file's numbers give, or the cut.
    sign: f64,
    linear: BTreeMap<u32, (f64, usize)>,
    /// (first, second, weight, line), first < second.
    pairs: Vec<(u32, u32, f64, usize)>,
    offset: f64,
}

impl Pairwise {
    /// log R is `sign` times the sum of the weights' terms.
    pub fn new(domain: Domain, repeated: Repeated, sign: f64) -> Self {
        Self { domain, repeated, sign, linear: BTreeMap::new(), pairs: Vec::new(), offset: 0.0 }
    }

    pub fn add_offset(&mut self, offset: f64) {
        self.offset += offset;
    }

    /// Adds a weight of one variable, found in this line (0: the format has none).
    pub fn add_linear(&mut self, line: usize, variable: usize, weight: f64) -> Result<(), Fault> {
        let Some((before, _)) = self.linear.get_mut(&(variable as u32)) else {
            self.linear.insert(variable as u32, (weight, line));
            return Ok(());
        };
        if self.repeated == Repeated::Refused {
            return Err(at(line, "the weight of a variable is given twice".into()));
        }
        *before += weight;
        Ok(())
    }

    /// Adds a weight of a pair.
    pub fn add_pair(&mut self, line: usize, first: usize, second: usize, weight: f64) -> Result<(), Fault> {
        if first == second {
            return Err(at(line, "a pair needs two variables, and both are the same".into()));
        }
        let (first, second) = (first.min(second) as u32, first.max(second) as u32);
        self.pairs.push((first, second, weight, line));
        Ok(())
    }

    /// The model over so many variables.
    pub fn graph(mut self, variables: usize, names: Variables) -> Result<FactorGraph, Fault> {
        let values = if self.domain == Domain::Spin { Values::Spins } else { Values::Numbers };
        let measure = if self.domain == Domain::Cut { ("cut", 1.0) } else { ("energy", -1.0) };
        let mut graph = FactorGraph::new(vec![2; variables]).labelled(names, values).measured(measure.0, measure.1);
        graph.add_constant(self.sign * self.offset);
        for (variable, (weight, _)) in self.linear.into_iter().filter(|(_, (weight, _))| *weight != 0.0) {
            let weight = self.sign * weight;
            let low = if self.domain == Domain::Spin { -weight } else { 0.0 };
            graph.push(&[variable], [low, weight]);
        }
        // Stable, so that weights of one pair are added in the order of the file.
        self.pairs.sort_by_key(|&(first, second, ..)| (first, second));
        for same in self.pairs.chunk_by(|one, other| (one.0, one.1) == (other.0, other.1)) {
            let (first, second, ..) = same[0];
            if let (Repeated::Refused, Some(&(_, _, _, line))) = (self.repeated, same.get(1)) {
                return Err(at(line, format!("the pair is given twice (also in line {})", same[0].3)));
            }
            let weight = self.sign * same.iter().map(|(_, _, weight, _)| weight).sum::<f64>();
            if weight == 0.0 {
                continue;
            }
            graph.push(
                &[first, second],
                match self.domain {
                    Domain::Spin => [weight, -weight, -weight, weight],
                    Domain::Binary => [0.0, 0.0, 0.0, weight],
                    Domain::Cut => [0.0, weight, weight, 0.0],
                },
            );
        }
        Ok(graph)
    }
}

fn at(line: usize, message: String) -> Fault {
    if line == 0 { Fault::new(message) } else { Fault::at(line, message) }
}
