//! log R of a model in WGSL: factors as look-ups in tables.

use crate::models::{Factor, FactorGraph, size};
use crate::targets::{FORBIDDEN, RewardKernel};

/// Factors over two variables that an iteration of the kernel's loop takes.
const PAIRS: usize = 4;

/// The largest sum of sizes of log factors at which f32 adds them up, with a rounding below 0.01 nats. What is beyond is for the
/// host, in f64, as evaluations are in any case.
const LARGEST: f64 = 1e5;

/// The kernel; none where f32 would be too coarse. `checked`: some variables have fewer values than others.
pub(super) fn kernel(graph: &FactorGraph, checked: bool) -> Option<RewardKernel> {
    let sites = if checked { graph.variables() } else { 0 };
    let (pairs, others): (Vec<_>, Vec<_>) = graph.factors().partition(|factor| factor.scope.len() == 2);
    // Where pairs begin, all other factors, the tables.
    let first = 4 + sites;
    let second = first + 5 * pairs.len().next_multiple_of(PAIRS);
    let tables = second + others.iter().map(|factor| 2 + 2 * factor.scope.len()).sum::<usize>();
    let end = tables + graph.factors().map(|factor| factor.table.len()).sum::<usize>();
    // Whole numbers up to 2^24 are exact in f32.
    if end >= 1 << f32::MANTISSA_DIGITS {
        return None;
    }
    let total = graph.factors().map(|factor| size(factor.table)).sum::<f64>() + graph.constant().abs();
    let scale = match quantum(graph) {
        Some(quantum) if total / quantum < f64::from(1 << f32::MANTISSA_DIGITS) => quantum,
        _ if total <= LARGEST => 1.0,
        _ => return None,
    };
    let scaled = |entry: f64| if entry == f64::NEG_INFINITY { FORBIDDEN } else { (entry / scale) as f32 };
    let mut parameters = vec![first as f32, second as f32, tables as f32, scaled(graph.constant())];
    parameters.extend((0..sites).map(|site| graph.cardinality(site) as f32));
    let mut table = tables;
    let mut looked_up = |factor: &Factor| {
        table += factor.table.len();
        let variables = factor.scope.iter().zip(graph.strides(factor.scope));
        let variables = variables.flat_map(|(&site, stride)| [site as f32, stride as f32]);
        [(table - factor.table.len()) as f32].into_iter().chain(variables).collect::<Vec<_>>()
    };
    pairs.iter().for_each(|pair| parameters.extend(looked_up(pair)));
    // What fills up the last iteration looks at a 0 behind the tables.
    (pairs.len()..pairs.len().next_multiple_of(PAIRS))
        .for_each(|_| parameters.extend([end as f32, 0.0, 0.0, 0.0, 0.0]));
    for factor in &others {
        parameters.push(factor.scope.len() as f32);
        parameters.extend(looked_up(factor));
    }
    let entries = pairs.iter().chain(&others).flat_map(|factor| factor.table);
    parameters.extend(entries.map(|&entry| scaled(entry)));
    parameters.push(0.0);
    // A loop of n counts as n + 1.
    let of_others = others.iter().map(|factor| 1 + factor.scope.len() + 1).sum::<usize>();
    let iterations = (sites + 1) + (pairs.len().div_ceil(PAIRS) + 1) + (of_others + 1);
    Some(RewardKernel { source: include_str!("reward.wgsl").into(), parameters, scale, iterations })
}

/// The number that all of a model's entries are whole multiples of, where the smallest of them is one: couplings of one size, weights
/// that are whole. Sums of multiples are then exact in f32.
fn quantum(graph: &FactorGraph) -> Option<f64> {
    let entries = || graph.factors().flat_map(|factor| factor.table).copied().chain([graph.constant()]);
    let finite = || entries().filter(|entry| *entry != 0.0 && entry.is_finite());
    let least = finite().map(f64::abs).reduce(f64::min)?;
    finite().all(|entry| (entry / least).round() * least == entry).then_some(least)
}
