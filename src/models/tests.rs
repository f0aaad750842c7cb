//! Models that tests are about, and what readers make of files.

use rand::RngExt;

use super::*;
use crate::random::{CounterRng, Draw, Stream};

fn generator(seed: u64) -> CounterRng {
    Draw::new(seed, 0, Stream::Data).generator(0)
}

/// Up to 7 variables of 1 to 4 values, factors of up to 4 of them; in two of three models a tenth of the entries is
/// forbidden.
pub fn random_graph(seed: u64) -> FactorGraph {
    let mut generator = generator(seed);
    let variables = generator.random_range(1..=7_usize);
    let cardinalities: Vec<u16> = (0..variables).map(|_| generator.random_range(1..=4)).collect();
    let mut graph = FactorGraph::new(cardinalities);
    graph.add_constant(generator.random_range(-3.0..3.0));
    for _ in 0..generator.random_range(0..10) {
        let mut scope: Vec<u32> = (0..variables as u32).collect();
        for place in 0..variables {
            scope.swap(place, generator.random_range(place..variables));
        }
        scope.truncate(generator.random_range(0..=variables.min(4)));
        let entries: usize = scope.iter().map(|&variable| graph.cardinality(variable as usize)).product();
        let mut entry = |_| {
            let forbidden = !seed.is_multiple_of(3) && generator.random::<f64>() < 0.1;
            if forbidden { f64::NEG_INFINITY } else { generator.random_range(-3.0..3.0) }
        };
        let table: Vec<f64> = (0..entries).map(&mut entry).collect();
        graph.push(&scope, table);
    }
    graph
}

/// Values for some of the variables.
pub fn evidence(graph: &FactorGraph, seed: u64) -> Evidence {
    let mut generator = generator(seed + 1_000_000);
    let mut text = String::new();
    let mut count = 0;
    for variable in 0..graph.variables() {
        if generator.random::<f64>() < 0.4 {
            text += &format!(" {variable} {}", generator.random_range(0..graph.cardinality(variable)));
            count += 1;
        }
    }
    parse_evidence("evidence", &format!("{count}{text}"), graph).unwrap()
}

/// A lattice of two-valued variables.
pub fn grid(rows: u32, columns: u32) -> FactorGraph {
    let mut graph = FactorGraph::new(vec![2; (rows * columns) as usize]);
    for site in 0..rows * columns {
        let mut join = |other| graph.push(&[site, other], [0.3, -0.3, -0.3, 0.3]);
        if site % columns + 1 < columns {
            join(site + 1);
        }
        if site / columns + 1 < rows {
            join(site + columns);
        }
    }
    graph
}

/// The Ising model on a torus, by way of a file.
pub fn torus(side: usize, coupling: f64) -> FactorGraph {
    let mut text = format!("{} {}\n", side * side, 2 * side * side);
    for site in 0..side * side {
        let right = site / side * side + (site + 1) % side;
        let below = (site + side) % (side * side);
        text += &format!("{} {} {coupling}\n{} {} {coupling}\n", site + 1, right + 1, site + 1, below + 1);
    }
    parse("torus.sg", &text, None, 1.0).unwrap()
}
