//! log R of a model in WGSL: factors as look-ups in tables.

use crate::models::{FactorGraph, size};
use crate::targets::{FORBIDDEN, RewardKernel};

/// Loop iterations of a trajectory: software adapters leave loops at 65,535.
const MOST_LOOPS: usize = 60_000;

/// The largest sum of sizes of log factors at which f32 adds them up, with a rounding below 0.01 nats. What is beyond is for the
/// host, in f64, as evaluations are in any case.
const LARGEST: f64 = 1e5;

/// The kernel; none where its loops would be too long, or f32 too coarse. `checked`: some variables have fewer values than others.
pub(super) fn kernel(graph: &FactorGraph, checked: bool) -> Option<RewardKernel> {
    let sites = if checked { graph.variables() } else { 0 };
    let loops: usize = graph.factors().map(|factor| 1 + factor.scope.len()).sum();
    let first = 3 + sites;
    let tables = first + graph.factors().map(|factor| 2 + 2 * factor.scope.len()).sum::<usize>();
    let end = tables + graph.factors().map(|factor| factor.table.len()).sum::<usize>();
    // Whole numbers up to 2^24 are exact in f32.
    if end > 1 << f32::MANTISSA_DIGITS || loops + sites > MOST_LOOPS {
        return None;
    }
    let total = graph.factors().map(|factor| size(factor.table)).sum::<f64>() + graph.constant().abs();
    let scale = match quantum(graph) {
        Some(quantum) if total / quantum < f64::from(1 << f32::MANTISSA_DIGITS) => quantum,
        _ if total <= LARGEST => 1.0,
        _ => return None,
    };
    let scaled = |entry: f64| if entry == f64::NEG_INFINITY { FORBIDDEN } else { (entry / scale) as f32 };
    let mut parameters = vec![tables as f32, scaled(graph.constant()), sites as f32];
    parameters.extend((0..sites).map(|site| graph.cardinality(site) as f32));
    let mut table = tables;
    for factor in graph.factors() {
        parameters.extend([factor.scope.len() as f32, table as f32]);
        let strides = graph.strides(factor.scope);
        parameters.extend(factor.scope.iter().zip(strides).flat_map(|(&site, stride)| [site as f32, stride as f32]));
        table += factor.table.len();
    }
    parameters.extend(graph.factors().flat_map(|factor| factor.table.iter().map(|&entry| scaled(entry))));
    Some(RewardKernel { source: include_str!("reward.wgsl").into(), parameters, scale })
}

/// The number that all of a model's entries are whole multiples of, where the smallest of them is one: couplings of one size, weights
/// that are whole. Sums of multiples are then exact in f32.
fn quantum(graph: &FactorGraph) -> Option<f64> {
    let entries = || graph.factors().flat_map(|factor| factor.table).copied().chain([graph.constant()]);
    let finite = || entries().filter(|entry| *entry != 0.0 && entry.is_finite());
    let least = finite().map(f64::abs).reduce(f64::min)?;
    finite().all(|entry| (entry / least).round() * least == entry).then_some(least)
}
