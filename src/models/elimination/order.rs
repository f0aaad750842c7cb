//! In which order variables are eliminated.
//!
//! Eliminating a variable joins its neighbours to each other. Two greedy rules are tried, and the best of several orders is kept.
//! Min-fill takes the variable that needs the fewest new edges, among those of the fewest neighbours, among those at random. A sweep
//! takes, of the neighbours of what is gone, the one that has the fewest, and among those the one that was reached first: on a torus
//! its front is as narrow as can be, where min-fill's order comes to wider tables.

use std::collections::BTreeSet;

use crate::models::FactorGraph;
use crate::random::{Draw, Stream, philox};

/// Orders by min-fill that are tried, if that is cheap.
const RESTARTS: u32 = 16;

/// Entries of all tables for each variable that no other order is sought for: the search would take longer than summing does.
const FEW_ENTRIES: f64 = 1000.0;

/// Edges that may be looked at in all before the search ends with what it has, a second or two.
const MOST_LOOKS: u64 = 100_000_000;

/// log2 of a table that no machine holds: an order that leads to one is given up.
const HOPELESS: f64 = 45.0;

/// Which variable is next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// Fewest new edges; ties by number in the order 0, else at random.
    Fill(u32),
    /// Fewest neighbours, of those next to what is gone.
    Sweep,
}

/// An order, or how an order failed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Order {
    /// Those eliminated, first to last: all that have more than one value, unless it was given up.
    pub variables: Vec<u32>,
    /// Neighbours of each when its turn came.
    pub scopes: Vec<Vec<u32>>,
    /// log2 of the sizes of all tables over these neighbours, added up.
    pub size: f64,
    /// Whether it comes to an end.
    pub whole: bool,
}

impl Order {
    /// The largest number of neighbours.
    pub fn width(&self) -> usize {
        self.scopes.iter().map(Vec::len).max().unwrap_or(0)
    }

    /// The best order found for a graph.
    pub fn of(graph: &FactorGraph) -> Self {
        let edges = edges(graph);
        let mut looks = MOST_LOOKS;
        let mut best = greedy(graph, edges.clone(), Rule::Fill(0), &mut looks);
        let few = (FEW_ENTRIES * graph.variables() as f64).log2();
        for rule in [Rule::Sweep].into_iter().chain((1..RESTARTS).map(Rule::Fill)) {
            if looks < MOST_LOOKS / 4 || (best.whole && best.size < few) {
                break;
            }
            let other = greedy(graph, edges.clone(), rule, &mut looks);
            if (!other.whole, other.size) < (!best.whole, best.size) {
                best = other;
            }
        }
        best
    }
}

/// The neighbours of each variable, in their order. Variables of one value have none.
fn edges(graph: &FactorGraph) -> Vec<Vec<u32>> {
    let mut neighbours = vec![Vec::new(); graph.variables()];
    for factor in graph.factors() {
        let scope: Vec<u32> = factor.scope.iter().copied().filter(|&v| graph.cardinality(v as usize) > 1).collect();
        for &one in &scope {
            neighbours[one as usize].extend(scope.iter().copied().filter(|&other| other != one));
        }
    }
    neighbours.iter_mut().for_each(|list| {
        list.sort_unstable();
        list.dedup();
    });
    neighbours
}

/// Edges that would be new if this variable were eliminated.
fn fill(neighbours: &[Vec<u32>], variable: u32, looks: &mut u64) -> u64 {
    let around = &neighbours[variable as usize];
    let mut missing = 0;
    for (index, &one) in around.iter().enumerate() {
        let known = &neighbours[one as usize];
        missing += around[index + 1..].iter().filter(|other| known.binary_search(other).is_err()).count() as u64;
        *looks = looks.saturating_sub((around.len() - index) as u64);
    }
    missing
}

fn greedy(graph: &FactorGraph, mut neighbours: Vec<Vec<u32>>, rule: Rule, looks: &mut u64) -> Order {
    let key =
        Draw::new(if let Rule::Fill(restart) = rule { restart.into() } else { 0 }, 0, Stream::Initialisation).key();
    // How many were gone when a variable first lost a neighbour.
    let mut reached = vec![u32::MAX; graph.variables()];
    let bits: Vec<f64> = (0..graph.variables()).map(|variable| (graph.cardinality(variable) as f64).log2()).collect();
    let rank = |neighbours: &[Vec<u32>], reached: &[u32], variable: u32, looks: &mut u64| {
        let around = &neighbours[variable as usize];
        let (degree, reached) = (around.len(), reached[variable as usize]);
        // A hub, whose turn comes when most of its neighbours are gone: its new edges need not be counted until then. A variable that
        // has neighbours has at least two values, so that a few dozen of them tell.
        let table: f64 = around.iter().take(HOPELESS as usize + 1).map(|&other| bits[other as usize]).sum();
        if table > HOPELESS {
            return (u64::MAX, degree, reached, variable);
        }
        match rule {
            Rule::Fill(0) => (fill(neighbours, variable, looks), degree, variable, variable),
            Rule::Fill(_) => (fill(neighbours, variable, looks), degree, philox([variable, 0, 0, 0], key)[0], variable),
            Rule::Sweep => (u64::from(reached == u32::MAX), degree, reached, variable),
        }
    };
    let all = (0..graph.variables() as u32).filter(|&variable| graph.cardinality(variable as usize) > 1);
    let mut ranks = vec![None; graph.variables()];
    let mut queue = BTreeSet::new();
    for variable in all {
        let place = rank(&neighbours, &reached, variable, looks);
        ranks[variable as usize] = Some(place);
        queue.insert(place);
    }
    let mut order = Order { variables: Vec::new(), scopes: Vec::new(), size: f64::NEG_INFINITY, whole: true };
    while let Some((_, _, _, variable)) = queue.pop_first() {
        let around = std::mem::take(&mut neighbours[variable as usize]);
        let table: f64 = around.iter().map(|&other| bits[other as usize]).sum();
        order.size = order.size.max(table) + (1.0 + (-(order.size - table).abs()).exp2()).log2();
        order.variables.push(variable);
        order.scopes.push(around.clone());
        if table > HOPELESS || *looks == 0 {
            order.whole = false;
            break;
        }
        let gone = order.variables.len() as u32;
        around.iter().for_each(|&other| reached[other as usize] = reached[other as usize].min(gone));
        let mut changed: BTreeSet<u32> = around.iter().copied().collect();
        for (index, &one) in around.iter().enumerate() {
            let place = neighbours[one as usize].binary_search(&variable).expect("edges have two ends");
            neighbours[one as usize].remove(place);
            for &other in &around[index + 1..] {
                let Err(place) = neighbours[one as usize].binary_search(&other) else { continue };
                // The new edge is no longer missing for what both ends are joined to.
                let [first, second] = [one, other].map(|end| &neighbours[end as usize]);
                changed.extend(first.iter().filter(|common| second.binary_search(common).is_ok()));
                *looks = looks.saturating_sub(first.len() as u64);
                neighbours[one as usize].insert(place, other);
                let place = neighbours[other as usize].binary_search(&one).expect_err("edges have two ends");
                neighbours[other as usize].insert(place, one);
            }
        }
        for other in changed.into_iter().filter(|&other| other != variable) {
            let place = rank(&neighbours, &reached, other, looks);
            if let Some(before) = ranks[other as usize].replace(place).filter(|before| *before != place) {
                queue.remove(&before);
                queue.insert(place);
            }
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::tests::{grid, random_graph};

    #[test]
    fn trees_have_width_one_and_orders_are_whole() {
        let mut chain = FactorGraph::new(vec![3; 50]);
        (1..50_u32).for_each(|v| chain.push(&[v / 2, v], vec![0.5; 9]));
        let order = Order::of(&chain);
        assert_eq!((order.width(), order.variables.len(), order.whole), (1, 50, true));
        // 49 tables of 3 and one of 1.
        assert!((order.size - f64::from(49 * 3 + 1).log2()).abs() < 1e-9, "{}", order.size);
        // Lattices of side N have tree width N.
        assert_eq!(Order::of(&grid(6, 6)).width(), 6);
    }

    /// Hubs joined to thousands of variables, each of which is next to three of them.
    #[test]
    fn hubs_come_last() {
        let mut graph = FactorGraph::new(vec![2; 20_000]);
        for leaf in 10..20_000_u32 {
            (0..3).for_each(|hub| graph.push(&[(leaf + 3 * hub) % 10, leaf], [0.5, 0.0, 0.0, 0.5]));
        }
        let order = Order::of(&graph);
        assert!(order.whole && order.width() <= 9, "{}", order.width());
    }

    #[test]
    fn neighbours_are_those_of_a_plain_elimination() {
        for seed in 0..30 {
            let graph = random_graph(seed);
            let order = Order::of(&graph);
            let mut sets: Vec<BTreeSet<u32>> = edges(&graph).into_iter().map(BTreeSet::from_iter).collect();
            for (&variable, scope) in order.variables.iter().zip(&order.scopes) {
                let around = std::mem::take(&mut sets[variable as usize]);
                assert_eq!(around.iter().copied().collect::<Vec<_>>(), *scope);
                for &one in &around {
                    sets[one as usize].remove(&variable);
                    sets[one as usize].extend(around.iter().filter(|&&other| other != one));
                }
            }
            let all = (0..graph.variables()).filter(|&variable| graph.cardinality(variable) > 1).count();
            assert_eq!(order.variables.len(), all);
        }
    }
}
