use super::*;
use crate::compare::{assert_close, assert_close_at_scale};
use crate::models::tests::{random_graph, torus};
use crate::models::{Format, parse};
use crate::process::Filled;
use crate::random::Stream;
use crate::targets::ising::Ising;

fn log_rewards(target: &dyn Target, objects: &Objects) -> Vec<f64> {
    let mut log_reward = vec![f64::NAN; objects.count()];
    target.log_reward(objects, &mut log_reward);
    log_reward
}

/// All objects of a model's own values.
fn objects(graph: &FactorGraph) -> Vec<Vec<u8>> {
    (0..graph.variables()).fold(vec![Vec::new()], |all, variable| {
        let values = 0..graph.cardinality(variable) as u8;
        let with = |object: Vec<u8>| values.clone().map(move |value| [&object[..], &[value]].concat());
        all.into_iter().flat_map(with).collect()
    })
}

#[test]
fn a_torus_from_a_file_is_the_ising_model() {
    let (model, ising) = (Model::new(torus(4, 0.3)), Ising::new(4, 0.3).unwrap());
    let all = Objects::numbered(16, 2, 100..400);
    // Sums of 32 terms.
    assert_close(&log_rewards(&model, &all), &log_rewards(&ising, &all), 1e-14, "log R");
    assert_close(&[model.log_z().unwrap()], &[ising.log_z().unwrap()], 1e-12, "log Z");
    assert_eq!((model.encoding(), model.values(), model.forbids()), (ising.encoding(), 2, None));
    let [flip] = model.symmetries().try_into().ok().unwrap();
    let mut object = [0, 1, 1, 0];
    (flip.apply)(&mut object);
    assert_eq!(object, [1, 0, 0, 1]);
    for (site, marginal) in model.marginals().unwrap().iter().enumerate() {
        assert_close(marginal, &[0.5, 0.5], 1e-12, &format!("site {site}"));
    }
    let mut sampler = model.sampler(1, 50).unwrap();
    let draw = Draw::new(1, 0, Stream::TargetSampler);
    assert_eq!(sampler.sample(&draw).count(), 50);
    assert!(sampler.state().is_empty() && sampler.restore(&[]).is_ok() && sampler.restore(&[1]).is_err());
    let [energy] = model.observables().try_into().ok().unwrap();
    assert_eq!(energy.name, "energy");
    assert_close(&[(energy.of)(&[1; 16])], &[-32.0 * 0.3], 1e-13, "the energy of 32 bonds");
}

#[test]
fn fields_break_the_symmetry_and_beta_scales() {
    let text = "# vartype=SPIN\n0 0 0.5\n0 1 1\n";
    let model = Model::new(parse("m", text, None, 2.0).unwrap());
    assert!(model.symmetries().is_empty());
    assert_eq!(log_rewards(&model, &Objects::new(2, vec![1, 0])), [-2.0 * (0.5 - 1.0)]);
    let other = Model::new(parse("m", text, None, 1.0).unwrap());
    assert_ne!(model.checksum(), other.checksum());
    let again = Model::new(parse("m", &text.replace("0.5", "5d-1"), None, 1.0).unwrap());
    assert_eq!(again.checksum(), other.checksum());
}

#[test]
fn increments_add_up_to_log_r_or_say_that_it_is_forbidden() {
    let (mut whole, mut forbidden) = (0, 0);
    for seed in 0..60 {
        let model = Model::new(random_graph(seed));
        let (guide, sites, values) = (model.guide().unwrap(), model.sites(), model.values());
        let graph = model.graph();
        let start = graph.log_reward(&vec![0; sites]) - graph.factors().map(|factor| factor.table[0]).sum::<f64>();
        for (number, object) in objects(graph).into_iter().enumerate().step_by(5) {
            let mut order: Vec<usize> = (0..sites).collect();
            order.rotate_left(number % sites);
            let (mut words, mut sum, mut ruled_out) = (vec![0; sites], 0.0, false);
            for site in order {
                let mut increments = vec![0.0; values];
                guide.increments(Filled::new(&words), site, &mut increments);
                let (own, missing) = increments.split_at(graph.cardinality(site));
                assert!(missing.iter().all(|increment| *increment == -1e30));
                let increment = own[usize::from(object[site])];
                let best = own.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                assert!(own.iter().all(|increment| *increment > -1e4), "all are finite: {own:?}");
                ruled_out |= increment <= -800.0;
                assert!(increment > -800.0 || best < 0.0 || best - increment > 800.0);
                sum += increment;
                words[site] = u32::from(object[site]) + 1;
            }
            let log_reward = graph.log_reward(&object);
            if start.is_nan() {
                continue;
            }
            assert!(log_reward.is_finite() || ruled_out || graph.factors().any(|factor| factor.scope.is_empty()));
            if log_reward.is_finite() {
                let apart: f64 = graph.factors().filter(|f| f.scope.is_empty()).map(|f| f.table[0]).sum();
                assert_close(&[sum + apart + graph.constant()], &[log_reward], 1e-12, "the sum of increments");
                whole += 1;
            } else {
                forbidden += 1;
            }
        }
    }
    assert!(whole > 300 && forbidden > 100, "{whole} {forbidden}");
}

#[test]
fn sites_with_fewer_values_forbid_the_others() {
    let text = "MARKOV 2  2 3  1  2 0 1  6  1 2 3 4 5 6";
    let model = Model::new(parse("m.uai", text, None, 1.0).unwrap());
    assert_eq!((model.values(), model.encoding()), (3, Encoding::OneHot));
    let found = log_rewards(&model, &Objects::new(2, vec![1, 2, 2, 0]));
    assert_eq!(found, [6.0_f64.ln(), f64::NEG_INFINITY]);
    assert!(model.forbids().unwrap().contains("fewer values"));
    assert_close(&[model.log_z().unwrap()], &[21.0_f64.ln()], 1e-14, "log Z");
    let model = Model::new(parse("m.uai", &text.replace("1 2 3 4 5 6", "0 0 0 0 0 0"), None, 1.0).unwrap());
    assert!(model.log_z().unwrap_err().to_string().contains("every object"));
    assert!(model.sampler(1, 2).is_err() && model.marginals().is_err());
}

#[test]
fn kernels_count_their_loops_and_are_exact_where_weights_are_whole_and_left_out_where_f32_is_too_coarse() {
    let text = |weight: &str| format!("3 2\n1 2 1\n2 3 {weight}\n");
    let kernel = |text: &str, beta| Model::new(parse("m", text, Some(Format::SpinGlass), beta).unwrap()).kernel();
    assert_eq!(kernel(&text("-3"), 0.3).unwrap().scale, 0.3);
    assert_eq!(kernel(&text("0.7"), 1.0).unwrap().scale, 1.0);
    assert_eq!(kernel(&text("1e5"), 0.1).unwrap().scale, 0.1);
    assert!(kernel(&text("123456.7"), 1.0).is_none());
    // Pairs come four an iteration, and a loop of n counts as n + 1.
    let dense = |spins: usize| {
        let pairs: String =
            (1..=spins).flat_map(|one| (one + 1..=spins).map(move |other| format!("{one} {other} 1\n"))).collect();
        Model::new(parse("m.sg", &format!("{spins} {}\n{pairs}", spins * (spins - 1) / 2), None, 1.0).unwrap())
    };
    let large = dense(250);
    assert_eq!(large.kernel().unwrap().iterations, 1 + (7782 + 1) + 1);
    assert_eq!(large.guide().unwrap().kernel().unwrap().iterations, (63 + 1) + 1);
    let message = large.log_z().unwrap_err().to_string();
    assert!(message.contains("induced width"), "{message}");
    assert_close_at_scale(&log_rewards(&large, &Objects::new(250, vec![1; 250])), &[31_125.0], &[1.0], 0.0, "log R");
}

/// Tempering against exact answers, on models where elimination does as well: every marginal and the mean of log R.
fn check_tempering(model: &Model, mean_log_reward: f64) {
    const CHAINS: usize = 400;
    const ROUNDS: u32 = 10;
    let mut sampler = model.tempering(3, CHAINS).unwrap();
    let mixing = sampler.mixing().unwrap();
    assert!(mixing.rungs >= 2 && mixing.worst_exchange > 0.1 && mixing.autocorrelation >= 0.5, "{mixing:?}");
    // What a chain gives is correlated, so errors are over means of chains.
    let (sites, values) = (model.sites(), model.values());
    let mut means = vec![vec![0.0; sites * values + 1]; CHAINS];
    for round in 0..ROUNDS {
        let objects = sampler.sample(&Draw::new(3, round, Stream::TargetSampler));
        let log_reward = log_rewards(model, &objects);
        for ((object, log_reward), means) in objects.rows().zip(log_reward).zip(&mut means) {
            assert!(log_reward.is_finite(), "a sample that is forbidden: {object:?}");
            means[sites * values] += log_reward / f64::from(ROUNDS);
            let places = object.iter().enumerate().map(|(site, &value)| site * values + usize::from(value));
            places.for_each(|place| means[place] += 1.0 / f64::from(ROUNDS));
        }
    }
    let mut expected: Vec<f64> = Vec::new();
    for mut marginal in model.marginals().unwrap() {
        marginal.resize(values, 0.0);
        expected.extend(marginal);
    }
    expected.push(mean_log_reward);
    for (place, &expected) in expected.iter().enumerate() {
        let of_chains: Vec<f64> = means.iter().map(|means| means[place]).collect();
        let found = crate::metrics::Estimate::mean(&of_chains);
        // Of a marginal that is nearly 0 or 1 the samples say no error: that of its own variance, then.
        let own = (expected * (1.0 - expected)).max(0.0).sqrt() / ((CHAINS * ROUNDS as usize) as f64).sqrt();
        let error = if place == sites * values { found.standard_error } else { found.standard_error.max(own) };
        // 4.5 standard errors: one in 150,000 for each of some hundred numbers, the seed being fixed.
        let off = (found.value - expected).abs();
        assert!(off <= 4.5 * error + 1e-12, "number {place}: {} +- {error}, exact {expected}", found.value);
    }
}

/// The mean of log R over all objects.
fn mean_log_reward(model: &Model) -> f64 {
    let log_z = model.log_z().unwrap();
    let log_rewards = objects(model.graph()).into_iter().map(|object| model.graph().log_reward(&object));
    log_rewards.filter(|log_reward| log_reward.is_finite()).map(|l| (l - log_z).exp() * l).sum()
}

#[test]
fn tempering_samples_a_glass() {
    // A 4 x 4 torus of couplings of both signs and sizes, cold, with fields on some spins.
    let coupling =
        |bond: usize| 1.5 * (1.0 + bond as f64 * 0.618_033_988_749_894_9 % 1.0) * [1.0, -1.0][(bond * 7 / 5) % 2];
    let site = |row: usize, column: usize| row % 4 * 4 + column % 4;
    for field in [0.0, 0.3] {
        let mut text = format!("# vartype=SPIN\n0 0 {field}\n7 7 {field}\n");
        for index in 0..16 {
            let (row, column) = (index / 4, index % 4);
            for (other, bond) in [(site(row, column + 1), 2 * index), (site(row + 1, column), 2 * index + 1)] {
                text += &format!("{} {} {}\n", index.min(other), index.max(other), coupling(bond));
            }
        }
        let model = Model::new(parse("glass", &text, Some(Format::DimodCoo), 1.0).unwrap());
        check_tempering(&model, mean_log_reward(&model));
    }
}

#[test]
fn tempering_samples_models_of_mixed_cardinalities_and_zeros() {
    let mut zeros = 0;
    for seed in 0..12 {
        let model = Model::new(random_graph(seed));
        if model.log_z().is_ok() {
            zeros += usize::from(model.graph().factors().any(|factor| factor.forbids()));
            check_tempering(&model, mean_log_reward(&model));
        }
    }
    assert!(zeros > 3, "{zeros}");
}

/// Clauses of three, most of whose objects are forbidden: a start at random is none that is allowed.
#[test]
fn tempering_finds_what_many_factors_at_zero_allow() {
    let clauses: Vec<[usize; 3]> =
        (0..45).map(|i| [i * 7 % 15, (i * 11 + i / 15 + 1) % 15, (i * 4 + i / 5 + 2) % 15]).collect();
    let clauses: Vec<[usize; 3]> = clauses.into_iter().filter(|[a, b, c]| a != b && b != c && a != c).collect();
    let mut text = format!("MARKOV 15 {} {}", "2 ".repeat(15), clauses.len());
    clauses.iter().for_each(|[a, b, c]| text += &format!(" 3 {a} {b} {c}"));
    for index in 0..clauses.len() {
        let entry = |place| if place == index * 5 % 8 { "0" } else { ["1", "1.5"][place % 2] };
        text += &format!(" 8 {}", (0..8).map(entry).collect::<Vec<_>>().join(" "));
    }
    let model = Model::new(parse("clauses", &text, Some(Format::Uai), 1.0).unwrap());
    let all = objects(model.graph());
    let allowed = all.iter().filter(|object| model.graph().log_reward(object).is_finite()).count();
    assert!(allowed > 10 && allowed * 10 < all.len(), "{allowed} of {}", all.len());
    check_tempering(&model, mean_log_reward(&model));
}

#[test]
fn tempering_refuses_what_it_cannot_reach_with_the_reason() {
    // An odd ring of variables that must differ.
    let ring = "MARKOV 3 2 2 2 3 2 0 1 2 1 2 2 2 0 4 0 1 1 0 4 0 1 1 0 4 0 1 1 0";
    let reason = Model::new(parse("m.uai", ring, None, 1.0).unwrap()).tempering(1, 4).err().unwrap();
    assert!(reason.contains("finds an object that is allowed"), "{reason}");
    let none = "MARKOV 1 2 2 1 0 1 0 2 0 1 2 1 0";
    let reason = Model::new(parse("m.uai", none, None, 1.0).unwrap()).tempering(1, 4).err().unwrap();
    assert!(reason.contains("left no value"), "{reason}");
}

#[test]
fn where_elimination_is_too_wide_samples_are_tempered_and_resume() {
    // 60 spins, all in pairs, weakly coupled.
    let pairs = (0..60).flat_map(|one| (one + 1..60).map(move |other| (one, other)));
    let lines =
        pairs.map(|(one, other)| format!("{one} {other} {}\n", 0.05 * ((one * 7 + other * 3) % 5) as f64 - 0.1));
    let text = format!("# vartype=SPIN\n{}", lines.collect::<String>());
    let model = Model::new(parse("m", &text, None, 1.0).unwrap());
    assert!(model.log_z().is_err() && model.marginals().is_err());
    let draw = |iteration| Draw::new(1, iteration, Stream::TargetSampler);
    let mut sampler = model.sampler(1, 6).unwrap();
    sampler.sample(&draw(0));
    let state = sampler.state();
    let next = sampler.sample(&draw(1));
    let mut other = model.sampler(2, 6).unwrap();
    assert_ne!(other.state(), state);
    let odd = [&state[1..], &[2]].concat();
    for foreign in [&[][..], &state[1..], &odd] {
        let message = other.restore(foreign).unwrap_err().to_string();
        assert!(message.starts_with("a sampler state"), "{message}");
    }
    other.restore(&state).unwrap();
    assert_eq!(other.sample(&draw(1)), next);
    // What would take too long.
    let pairs = (0..700).flat_map(|one| (one + 1..700).map(move |other| format!("{one} {other} 1\n")));
    let text = format!("# vartype=SPIN\n{}", pairs.collect::<String>());
    let reason = Model::new(parse("m", &text, None, 1.0).unwrap()).sampler(1, 6).err().unwrap().to_string();
    assert!(reason.contains("induced width") && reason.contains("as can be afforded"), "{reason}");
}
