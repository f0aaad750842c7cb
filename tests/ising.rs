//! The Ising target as a user of the library sees it: exact answers and samples that agree with each other.

use wgflow::process::Objects;
use wgflow::random::{Draw, Stream};
use wgflow::targets::Target;
use wgflow::targets::enumeration::log_z as exact_log_z;
use wgflow::targets::ising::Ising;

fn draw(iteration: u32) -> Draw {
    Draw::new(99, iteration, Stream::TargetSampler)
}

fn log_rewards(target: &Ising, objects: &Objects) -> Vec<f64> {
    let mut log_reward = vec![0.0; objects.count()];
    target.log_reward(objects, &mut log_reward);
    log_reward
}

#[test]
fn every_setting_of_the_paper_has_an_exact_log_z() {
    for side in [10, 15] {
        let sites = (side * side) as f64;
        for coupling in [-1.0, -0.8, -0.6, -0.4, -0.2, 0.2, 0.4, 0.6, 0.8, 1.0_f64] {
            let log_z = Ising::new(side, coupling).unwrap().log_z().unwrap();
            // Jensen: the mean of log R over all states is 0. From above: 2 bonds a site, none unsatisfied.
            assert!(log_z > sites * 2f64.ln() && log_z < sites * (2f64.ln() + 2.0 * coupling.abs()));
            let opposite = Ising::new(side, -coupling).unwrap().log_z().unwrap();
            assert_eq!(side == 10, log_z == opposite, "only odd sides are frustrated");
        }
    }
}

#[test]
fn log_z_is_that_of_enumeration() {
    for side in [3, 4] {
        for coupling in [-1.0, -0.44, 0.2, 0.7] {
            let target = Ising::new(side, coupling).unwrap();
            // Logarithms of some tens with a few hundred roundings.
            assert!((target.log_z().unwrap() - exact_log_z(&target).unwrap()).abs() < 1e-11);
        }
    }
    let too_many = exact_log_z(&Ising::new(5, 0.2).unwrap()).unwrap_err();
    assert!(too_many.to_string().contains("25 sites of 2 values"), "{too_many}");
}

#[test]
fn both_samplers_draw_every_state_as_often_as_it_should_come() {
    let chains = 50_000;
    for coupling in [0.2, -0.2] {
        let target = Ising::new(3, coupling).unwrap();
        let log_z = target.log_z().unwrap();
        let states = Objects::numbered(9, 2, 0..512);
        let mut sampler = target.sampler(4, chains).unwrap();
        let mut counts = vec![0.0; states.count()];
        for iteration in 0..2 {
            for row in sampler.sample(&draw(iteration)).rows() {
                counts[row.iter().rev().fold(0, |number, &spin| 2 * number + usize::from(spin))] += 1.0;
            }
        }
        let expected = log_rewards(&target, &states).into_iter().map(|log| 2.0 * chains as f64 * (log - log_z).exp());
        let chi_square: f64 = counts.iter().zip(expected).map(|(count, e)| (count - e).powi(2) / e).sum();
        // 511 degrees of freedom: above 639 once in 10,000, and below 400 as rarely.
        assert!((400.0..639.0).contains(&chi_square), "{coupling}: {chi_square}");
    }
}

#[test]
fn mean_energies_at_the_papers_sizes_are_derivatives_of_log_z() {
    for (side, coupling) in [(10, 0.4), (10, -1.0), (15, 0.44), (15, -0.6)] {
        let log_z = |coupling| Ising::new(side, coupling).unwrap().log_z().unwrap();
        let target = Ising::new(side, coupling).unwrap();
        let objects = target.sampler(8, 2000).unwrap().sample(&draw(0));
        let bonds: Vec<f64> = log_rewards(&target, &objects).iter().map(|log| log / coupling).collect();
        let mean = bonds.iter().sum::<f64>() / bonds.len() as f64;
        let variance = bonds.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / bonds.len() as f64;
        let error = (variance / bonds.len() as f64).sqrt();
        let h = 1e-3;
        let exact = (log_z(coupling + h) - log_z(coupling - h)) / (2.0 * h);
        // Four standard errors, and h^2 / 6 times a third derivative of some 10^4.
        assert!((mean - exact).abs() < 4.0 * error + 0.002, "{side} {coupling}: {mean} +- {error}, exact {exact}");
    }
}

/// Odd sides and negative couplings: parallel tempering, by how much chains' means over a few samples scatter.
#[test]
fn frustrated_tori_have_the_exact_mean_energy_or_no_sampler() {
    let small = [5, 7, 9].into_iter().flat_map(|side| [(side, -0.4), (side, -1.0)]);
    for (side, coupling) in small.chain([(15, -1.0), (21, -0.42)]) {
        let target = Ising::new(side, coupling).unwrap();
        let log_z = |coupling| Ising::new(side, coupling).unwrap().log_z().unwrap();
        // The central difference is off by h^2 / 6 times a third derivative of some 10 N^2, and by rounding over h.
        let h = 1e-4;
        let exact = (log_z(coupling + h) - log_z(coupling - h)) / (2.0 * h);
        let (chains, samples) = if side < 20 { (256, 8) } else { (64, 4) };
        let mut sampler = target.sampler(12, chains).unwrap();
        let mut means = vec![0.0; chains];
        for iteration in 0..samples {
            let bonds = log_rewards(&target, &sampler.sample(&draw(iteration)));
            means.iter_mut().zip(bonds).for_each(|(mean, log)| *mean += log / coupling / f64::from(samples));
        }
        let mean = means.iter().sum::<f64>() / chains as f64;
        let variance = means.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (chains - 1) as f64;
        let error = (variance / chains as f64).sqrt();
        assert!(error > 0.0 && error < 0.02 * exact.abs(), "{side} {coupling}: {mean} +- {error} says little");
        // Four standard errors: one in 16,000 for each of these fixed seeds.
        assert!((mean - exact).abs() < 4.0 * error + 1e-3, "{side} {coupling}: {mean} +- {error}, exact {exact}");
    }
    let error = Ising::new(255, -1.0).unwrap().sampler(1, 1).err().unwrap().to_string();
    assert!(error.contains("side 255") && error.contains("no equilibrated samples"), "{error}");
}

#[test]
fn observables_are_those_of_the_samples() {
    let target = Ising::new(6, 0.3).unwrap();
    let objects = target.sampler(1, 50).unwrap().sample(&draw(0));
    let observables = target.observables();
    assert_eq!(observables.iter().map(|o| o.name).collect::<Vec<_>>(), ["energy per site", "|magnetisation| per site"]);
    for (row, log_reward) in objects.rows().zip(log_rewards(&target, &objects)) {
        // One multiplication and one division apart.
        assert!(((observables[0].of)(row) + log_reward / (0.3 * 36.0)).abs() < 1e-14);
        assert!((0.0..=1.0).contains(&(observables[1].of)(row)));
    }
}

#[test]
fn a_sampler_resumes_from_its_state_alone() {
    for (side, coupling) in [(6, 0.3), (6, -0.3), (7, -0.3)] {
        let target = Ising::new(side, coupling).unwrap();
        let mut whole = target.sampler(1, 8).unwrap();
        let mut first = target.sampler(1, 8).unwrap();
        assert_eq!(whole.sample(&draw(0)), first.sample(&draw(0)));
        let mut resumed = target.sampler(1234, 8).unwrap();
        resumed.restore(&first.state()).unwrap();
        for iteration in 1..4 {
            assert_eq!(whole.sample(&draw(iteration)), resumed.sample(&draw(iteration)));
        }
        let message = resumed.restore(&first.state()[1..]).unwrap_err().to_string();
        assert!(message.starts_with("a sampler state"), "{message}");
    }
}
