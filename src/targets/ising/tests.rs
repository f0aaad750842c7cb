//! The target itself and its samplers, held against enumeration and exact derivatives of log Z.

use super::*;
use crate::random::{Draw, Stream};

fn ising(side: usize, coupling: f64) -> Ising {
    Ising::new(side, coupling).unwrap()
}

fn draw(iteration: u32) -> Draw {
    Draw::new(17, iteration, Stream::TargetSampler)
}

/// Samplers of every kind: Wolff aligned and staggered, without coupling, and tempering.
fn all_kinds() -> [Ising; 4] {
    [ising(4, 0.5), ising(4, -0.5), ising(5, 0.0), ising(5, -0.5)]
}

#[test]
fn bad_sides_and_couplings_are_refused() {
    for side in [0, 2, 257] {
        let error = Ising::new(side, 0.2).unwrap_err().to_string();
        assert!(error.contains(&format!("side is {side}")) && error.contains("3 to 256"), "{error}");
    }
    for coupling in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 100.1] {
        let error = Ising::new(4, coupling).unwrap_err().to_string();
        assert!(error.contains(&format!("coupling is {coupling};")) && error.contains("-100 and 100"), "{error}");
    }
}

#[test]
fn log_reward_counts_each_bond_once() {
    let coupling = -0.37;
    for side in [3, 4] {
        let target = ising(side, coupling);
        for first in (0..1 << (side * side)).step_by(3 << 9) {
            let objects = Objects::numbered(side * side, 2, first..first + 512);
            let mut log_reward = vec![0.0; objects.count()];
            target.log_reward(&objects, &mut log_reward);
            for (row, log_reward) in objects.rows().zip(log_reward) {
                let spin = |i: usize, j: usize| 2 * i64::from(row[i % side * side + j % side]) - 1;
                let bonds: i64 = (0..side * side)
                    .map(|site| (site / side, site % side))
                    .map(|(i, j)| spin(i, j) * (spin(i, j + 1) + spin(i + 1, j)))
                    .sum();
                assert_eq!(log_reward, coupling * bonds as f64);
            }
        }
    }
}

#[test]
fn observables_of_known_states() {
    let target = ising(4, -0.2);
    let [energy, magnetisation] = target.observables().try_into().ok().unwrap();
    for (state, expected) in [(vec![1; 16], [-2.0, 1.0]), (vec![0; 16], [-2.0, 1.0]), (ordered(4, false), [2.0, 0.0])] {
        assert_eq!([(energy.of)(&state), (magnetisation.of)(&state)], expected);
    }
}

#[test]
fn the_kernel_is_valid_wgsl() {
    let kernel = ising(6, 0.3).kernel().unwrap();
    let surroundings = "
        @group(0) @binding(0) var<storage, read_write> numbers: array<f32>;
        fn value(trajectory: u32, site: u32) -> u32 { return u32(numbers[trajectory + site]); }
        fn parameter(index: u32) -> f32 { return numbers[index]; }
        @compute @workgroup_size(64)
        fn main(@builtin(global_invocation_id) id: vec3<u32>) { numbers[id.x] = log_reward(id.x); }
    ";
    let module = naga::front::wgsl::parse_str(&(kernel.source + surroundings)).unwrap();
    let flags = naga::valid::ValidationFlags::all();
    naga::valid::Validator::new(flags, naga::valid::Capabilities::empty()).validate(&module).unwrap();
    assert_eq!((&kernel.parameters[..], kernel.scale), (&[6.0][..], 0.3));
}

/// The mean bond sum over `samples` samples of `chains` chains, and its standard error from the scatter of the chains.
fn mean_bond_sum(target: &Ising, chains: usize, samples: u32) -> (f64, f64) {
    let mut sampler = target.sampler(3, chains).unwrap();
    let mut means = vec![0.0; chains];
    for iteration in 0..samples {
        for (row, mean) in sampler.sample(&draw(iteration)).rows().zip(&mut means) {
            *mean += bond_sum(target.side, row) as f64 / f64::from(samples);
        }
    }
    let mean = means.iter().sum::<f64>() / chains as f64;
    let variance = means.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (chains - 1) as f64;
    (mean, (variance / chains as f64).sqrt())
}

#[test]
fn mean_energies_are_derivatives_of_log_z() {
    let even = [4, 6].into_iter().flat_map(|side| [0.2, 0.44, 1.0].map(|coupling| (side, coupling)));
    let both = even.flat_map(|(side, coupling)| [(side, coupling), (side, -coupling)]);
    let odd = [(5, 0.44), (5, -0.2), (5, -0.5), (5, -1.0), (7, -1.0), (3, -3.0)];
    for (side, coupling) in both.chain(odd).chain([(5, 0.0), (4, 1e-3)]) {
        let (mean, error) = mean_bond_sum(&ising(side, coupling), 1000, 10);
        // The central difference is off by about h^2 / 6 d^3 log Z, below 1e-4, and the rounding of log Z over h.
        let h = 1e-4;
        let exact = (exact::log_z(side, coupling + h).unwrap() - exact::log_z(side, coupling - h).unwrap()) / (2.0 * h);
        // Four standard errors: one in 16,000 for each of these fixed seeds.
        assert!((mean - exact).abs() < 4.0 * error + 1e-4, "{side} {coupling}: {mean} +- {error}, exact {exact}");
    }
}

#[test]
fn first_and_later_samples_have_the_exact_distribution_of_energies() {
    let chains = 20_000;
    for coupling in [0.2, 0.4, -0.3, -0.5] {
        let target = ising(3, coupling);
        let log_z = target.log_z().unwrap();
        let mut exact = [0.0; 37];
        for row in Objects::numbered(9, 2, 0..512).rows() {
            let bonds = bond_sum(3, row);
            exact[(bonds + 18) as usize] += (coupling * bonds as f64 - log_z).exp();
        }
        let mut sampler = target.sampler(5, chains).unwrap();
        for iteration in 0..2 {
            let mut counts = [0.0; 37];
            for row in sampler.sample(&draw(iteration)).rows() {
                counts[(bond_sum(3, row) + 18) as usize] += 1.0;
            }
            // Levels with fewer than 5 expected are counted as one.
            let expected = exact.map(|probability| probability * chains as f64);
            let pool = |of: &[f64; 37]| of.iter().zip(expected).filter(|(_, e)| *e < 5.0).map(|(x, _)| x).sum::<f64>();
            let common = counts.iter().zip(expected).filter(|(_, expected)| *expected >= 5.0);
            let cells: Vec<_> = common.map(|(&count, expected)| (count, expected)).collect();
            assert!(cells.len() >= 4, "a test of too few levels");
            let rare = (pool(&counts) - pool(&expected)).powi(2) / pool(&expected).max(1.0);
            let chi_square = rare + cells.iter().map(|(count, e)| (count - e).powi(2) / e).sum::<f64>();
            // Six levels, so at most 5 degrees of freedom: chi-square is above 25.7 once in 10,000.
            assert!(chi_square < 25.7, "{coupling}, sample {iteration}: {chi_square}");
        }
    }
}

#[test]
fn successive_samples_are_nearly_independent() {
    for target in [ising(10, 0.44), ising(10, 0.2), ising(6, -1.0), ising(5, -0.5), ising(7, -1.0)] {
        let mut sampler = target.sampler(1, 1000).unwrap();
        let bonds = |objects: Objects| objects.rows().map(|row| bond_sum(target.side, row) as f64).collect::<Vec<_>>();
        let (first, second) = (bonds(sampler.sample(&draw(0))), bonds(sampler.sample(&draw(1))));
        let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
        let covariance = |x: &[f64], y: &[f64]| {
            let products: Vec<f64> = x.iter().zip(y).map(|(x, y)| (x - mean(&first)) * (y - mean(&second))).collect();
            mean(&products)
        };
        let correlation = covariance(&first, &second) / covariance(&first, &first);
        // 1,000 independent pairs scatter by 0.03.
        assert!(correlation.abs() < 0.2, "{target:?}: {correlation}");
    }
}

#[test]
fn a_restored_sampler_continues_as_the_one_it_was_saved_from() {
    for target in all_kinds() {
        let mut sampler = target.sampler(1, 6).unwrap();
        sampler.sample(&draw(0));
        let state = sampler.state();
        let next = sampler.sample(&draw(1));
        let mut other = target.sampler(2, 6).unwrap();
        assert_ne!(other.state(), state);
        other.restore(&state).unwrap();
        assert_eq!(other.sample(&draw(1)), next);
        assert_eq!(other.state(), sampler.state());
    }
}

#[test]
fn foreign_states_are_refused_and_change_nothing() {
    for target in all_kinds() {
        let mut sampler = target.sampler(1, 4).unwrap();
        let state = sampler.state();
        let mut odd_value = state.clone();
        *odd_value.last_mut().unwrap() = 2;
        let endless = [&[255; 4], &state[4..]].concat();
        for foreign in [&endless, &[][..], &state[..3], &state[1..], &[&state[..], &[0]].concat(), &odd_value] {
            let message = sampler.restore(foreign).unwrap_err().to_string();
            assert!(message.starts_with("a sampler state"), "{message}");
            assert_eq!(sampler.state(), state);
        }
    }
}

#[test]
fn samples_do_not_depend_on_the_number_of_threads() {
    for target in all_kinds() {
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| target.sampler(9, 30).unwrap().sample(&draw(0)))
        };
        assert_eq!(run(1), run(3));
    }
}

#[test]
fn no_chains_give_no_objects() {
    for target in all_kinds() {
        assert_eq!(target.sampler(1, 0).unwrap().sample(&draw(0)).count(), 0);
    }
}
