//! The factors around each variable of a graph.

use crate::models::FactorGraph;

/// A factor, as one of its variables sees it.
#[derive(Clone, Debug)]
pub(super) struct Around {
    /// Its index.
    pub factor: usize,
    /// How far apart neighbouring values of the variable are in the table.
    pub own: usize,
    /// The factor's other variables, and how far apart theirs are.
    pub others: Vec<(u32, usize)>,
}

impl Around {
    /// Whether the factor is over two variables.
    pub fn is_pair(&self) -> bool {
        self.others.len() == 1
    }
}

/// The factors that each variable is in.
pub(super) fn around(graph: &FactorGraph) -> Vec<Vec<Around>> {
    let mut around: Vec<Vec<Around>> = (0..graph.variables()).map(|_| Vec::new()).collect();
    for (index, factor) in graph.factors().enumerate() {
        let strides = graph.strides(factor.scope);
        for (place, &variable) in factor.scope.iter().enumerate() {
            let others = factor.scope.iter().zip(&strides).enumerate().filter(|(other, _)| *other != place);
            let others = others.map(|(_, (&other, &stride))| (other, stride)).collect();
            around[variable as usize].push(Around { factor: index, own: strides[place], others });
        }
    }
    around
}
