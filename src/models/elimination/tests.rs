use rand::RngExt;

use super::*;
use crate::compare::{assert_close, assert_close_at_scale};
use crate::logs::log_sum_exp;
use crate::models::Evidence;
use crate::models::tests::{evidence, grid, random_graph, torus};
use crate::random::Stream;
use crate::targets::Target;
use crate::targets::ising::Ising;

const PLENTY: u64 = 1 << 28;

/// All objects of a graph, with log R of each.
fn objects(graph: &FactorGraph) -> Vec<(Vec<u8>, f64)> {
    let mut all = vec![Vec::new()];
    for variable in 0..graph.variables() {
        let values = 0..graph.cardinality(variable) as u8;
        let with = |object: Vec<u8>| values.clone().map(move |value| [&object[..], &[value]].concat());
        all = all.into_iter().flat_map(with).collect();
    }
    all.into_iter().map(|object| (graph.log_reward(&object), object)).map(|(log, object)| (object, log)).collect()
}

#[test]
fn random_models_with_zeros_and_evidence_agree_with_enumeration() {
    let (mut given, mut zeros, mut impossible) = (0, 0, 0);
    for seed in 0..200 {
        let mut graph = random_graph(seed);
        zeros += usize::from(graph.factors().any(|factor| factor.forbids()));
        let evidence = if seed % 2 == 0 { evidence(&graph, seed) } else { Evidence::default() };
        let holds = |object: &[u8]| evidence.values().all(|(variable, value)| usize::from(object[variable]) == value);
        let all: Vec<_> = objects(&graph).into_iter().filter(|(object, _)| holds(object)).collect();
        if seed % 2 == 0 {
            given += 1;
            graph = graph.given(&evidence);
            // What agrees with the evidence has the log R that it had, and nothing else has any.
            let kept = objects(&graph);
            assert_eq!(kept.iter().filter(|(object, log)| !holds(object) && log.is_finite()).count(), 0);
            for (object, log_reward) in &all {
                let found = graph.log_reward(object);
                if log_reward.is_finite() {
                    assert_close(&[found], &[*log_reward], 1e-12, "log R given the evidence");
                } else {
                    assert_eq!(found, *log_reward);
                }
            }
        }
        let log_rewards: Vec<f64> = all.iter().map(|(_, log)| *log).collect();
        let expected = log_sum_exp(&log_rewards);
        let plan = Plan::of(&graph);
        let summed = plan.log_z(&graph, PLENTY).unwrap();
        let eliminated = plan.eliminate(graph.clone(), PLENTY).unwrap();
        assert_eq!(summed, eliminated.log_z(), "seed {seed}");
        if expected == f64::NEG_INFINITY {
            impossible += 1;
            assert_eq!(summed, expected);
            assert!(eliminated.marginals().is_none());
            assert!(eliminated.sample(&Draw::new(1, 0, Stream::TargetSampler), 3).is_none());
            continue;
        }
        // Some hundred roundings of numbers of order 10.
        assert_close(&[summed], &[expected], 1e-11, &format!("log Z of seed {seed}"));
        let marginals = eliminated.marginals().unwrap();
        assert_eq!(marginals.len(), graph.variables());
        for (variable, found) in marginals.iter().enumerate() {
            let mut expected_marginal = vec![0.0; graph.cardinality(variable)];
            all.iter().for_each(|(o, log)| expected_marginal[usize::from(o[variable])] += (log - expected).exp());
            assert_close(found, &expected_marginal, 1e-11, &format!("variable {variable} of seed {seed}"));
        }
        let samples = eliminated.sample(&Draw::new(seed, 0, Stream::TargetSampler), 200).unwrap();
        assert_eq!(samples.count(), 200);
        assert!(samples.rows().all(|object| holds(object) && graph.log_reward(object).is_finite()));
    }
    assert!(given == 100 && zeros > 50 && impossible < 60, "{given} {zeros} {impossible}");
}

#[test]
fn samples_have_the_distribution() {
    let mut tested = 0;
    for seed in 0..12 {
        let graph = random_graph(seed);
        let eliminated = Plan::of(&graph).eliminate(graph.clone(), PLENTY).unwrap();
        if eliminated.log_z() == f64::NEG_INFINITY {
            continue;
        }
        const COUNT: usize = 20_000;
        let samples = eliminated.sample(&Draw::new(seed, 3, Stream::TargetSampler), COUNT).unwrap();
        let mut counts = std::collections::BTreeMap::new();
        samples.rows().for_each(|object| *counts.entry(object.to_vec()).or_insert(0_usize) += 1);
        for (object, log_reward) in objects(&graph) {
            let probability = (log_reward - eliminated.log_z()).exp();
            let expected = probability * COUNT as f64;
            let found = counts.get(&object).copied().unwrap_or(0) as f64;
            // Six standard deviations and one, for thousands of counts.
            assert!((found - expected).abs() <= 6.0 * expected.sqrt() + 1.0, "seed {seed}: {found}, {expected}");
            tested += 1;
        }
    }
    assert!(tested > 500, "{tested}");
}

/// log Z of an Ising torus by elimination, held against Kaufman's formula or the transfer matrix.
fn check_torus(side: usize, coupling: f64) {
    let graph = torus(side, coupling);
    let plan = Plan::of(&graph);
    let expected = Ising::new(side, coupling).unwrap().log_z().unwrap();
    let found = plan.log_z(&graph, 3 << 30).unwrap();
    // Sums of up to 400 roundings of numbers up to 200.
    assert_close_at_scale(&[found], &[expected], &[expected], 1e-12, &format!("side {side}"));
    assert!(plan.width() <= 2 * side + 2, "side {side}: width {}", plan.width());
}

#[test]
fn ising_tori_have_their_known_log_z() {
    for side in 3..=10 {
        check_torus(side, 0.44068679350977);
        check_torus(side, -0.3);
    }
}

/// Of up to 2^26 entries a table, one after the other for the memory's sake.
#[test]
fn large_ising_tori_have_their_known_log_z() {
    for side in 11..=13 {
        check_torus(side, 0.44068679350977);
    }
}

/// 2 GiB of tables, and minutes where other tests run beside: `cargo test --release --lib -- --ignored side_14`.
#[test]
#[ignore = "takes 2 GiB of memory"]
fn the_ising_torus_of_side_14_has_its_known_log_z() {
    check_torus(14, 0.44068679350977);
}

#[test]
fn what_is_too_wide_is_refused_with_its_width_and_memory() {
    let graph = torus(10, 0.3);
    let plan = Plan::of(&graph);
    let error = plan.log_z(&graph, 1 << 16).unwrap_err();
    assert!(error.whole && error.needed == plan.bytes_of_log_z() && error.width == plan.width());
    let message = error.to_string();
    for part in [format!("induced width {}", plan.width()), "may take 1 MiB".into()] {
        assert!(message.contains(&part), "{message}");
    }
    assert!(plan.bytes_of_samples() > plan.bytes_of_log_z());
    assert!(plan.clone().eliminate(graph, plan.bytes_of_log_z() as u64).is_err());
    // No machine holds this one, and nobody waits for its order.
    let large = grid(120, 120);
    let error = Plan::of(&large).log_z(&large, u64::MAX).unwrap_err();
    assert!(!error.whole && error.width > 25, "{error}");
    assert!(error.to_string().contains("at least"), "{error}");
}

#[test]
fn long_chains_are_no_trouble() {
    let mut generator = Draw::new(2, 0, Stream::Data).generator(0);
    let mut graph = FactorGraph::new(vec![2; 30_000]);
    let mut expected = [0.0_f64; 2];
    for variable in 1..30_000_u32 {
        let table: [f64; 4] = std::array::from_fn(|_| generator.random::<f64>() - 0.5);
        graph.push(&[variable - 1, variable], table);
        let to = |value: usize| log_sum_exp(&[expected[0] + table[value], expected[1] + table[2 + value]]);
        expected = [to(0), to(1)];
    }
    let expected = log_sum_exp(&expected);
    let found = Plan::of(&graph).log_z(&graph, PLENTY).unwrap();
    // 30,000 roundings at the size of 20,000.
    assert_close_at_scale(&[found], &[expected], &[expected], 1e-12, "a chain");
}

/// Thousands of variables that are joined to three of a few hubs each: most of what a hub's bucket has is over the same variables.
#[test]
fn hubs_with_thousands_of_neighbours_are_summed_over_as_by_hand() {
    const HUBS: u32 = 6;
    let mut generator = Draw::new(5, 0, Stream::Data).generator(0);
    let mut graph = FactorGraph::new(vec![2; 3000]);
    let mut by_hand = vec![0.0; 1 << HUBS];
    for leaf in HUBS..3000 {
        let joined: [(u32, f64); 3] =
            std::array::from_fn(|k| ((leaf + 2 * k as u32) % HUBS, generator.random_range(-0.5..0.5)));
        joined.iter().for_each(|&(hub, weight)| graph.push(&[hub, leaf], [0.0, weight, 0.1, -weight]));
        for (hubs, log) in by_hand.iter_mut().enumerate() {
            let entry = |value: usize| {
                let of = |&(hub, weight): &(u32, f64)| [0.0, weight, 0.1, -weight][2 * (hubs >> hub & 1) + value];
                joined.iter().map(of).sum()
            };
            *log += log_sum_exp(&[entry(0), entry(1)]);
        }
    }
    let expected = log_sum_exp(&by_hand);
    let eliminated = Plan::of(&graph).eliminate(graph, PLENTY).unwrap();
    // Sums of 3000 roundings.
    assert_close_at_scale(&[eliminated.log_z()], &[expected], &[expected], 1e-12, "log Z");
    let marginals = eliminated.marginals().unwrap();
    for (hub, marginal) in marginals.iter().enumerate().take(HUBS as usize) {
        let ones = by_hand.iter().enumerate().filter(|(hubs, _)| hubs >> hub & 1 == 1);
        let expected: f64 = ones.map(|(_, log)| (log - expected).exp()).sum();
        assert_close(&[marginal[1]], &[expected], 1e-9, "a hub's marginal");
    }
    let samples = eliminated.sample(&Draw::new(1, 0, Stream::TargetSampler), 2000).unwrap();
    let ones = samples.rows().filter(|object| object[0] == 1).count() as f64 / 2000.0;
    // Five standard errors.
    assert!((ones - marginals[0][1]).abs() < 5.0 * (0.25_f64 / 2000.0).sqrt(), "{ones} {}", marginals[0][1]);
}
