//! The native engine: f64 against first principles and central differences, f32 against f64.

mod common;

use common::compare::{assert_close, assert_layers_close};
use common::{Setting, assert_steps_agree, coefficients, log_forward_by_definition, term_sizes};
use wgflow::engine::{Differentiate, Given, Roll, Rollout};
use wgflow::network::Activation;
use wgflow::process::{Order, Process};
use wgflow::random::{Draw, Stream};

const DRAW: Draw = Draw { seed: 11, iteration: 3, stream: Stream::Training, first_trajectory: 0 };

fn settings() -> Vec<Setting> {
    let shapes: [&[usize]; 4] = [&[8], &[24, 40], &[16, 8, 24], &[8, 8, 8, 8, 8]];
    let mut settings = Vec::new();
    for (index, activation) in Activation::ALL.into_iter().enumerate() {
        let hidden = shapes[index % shapes.len()];
        settings.push(Setting::wave(9, 2, Order::Uniform, hidden, activation));
        settings.push(Setting::wave(5, 3, Order::Uniform, hidden, activation));
        settings.push(Setting::wave(6, 2, Order::Fixed, hidden, activation));
    }
    settings
}

#[test]
fn log_probabilities_follow_the_definition_sampled_or_replayed() {
    for setting in settings() {
        let mut engine = setting.native::<f64>();
        let sampled = engine.rollout(&Rollout::sample(DRAW, 70)).unwrap();
        let trajectories = engine.trajectories().unwrap();
        let replayed = engine.rollout(&Rollout::replay(DRAW, &trajectories)).unwrap();
        assert_eq!(sampled, replayed);
        assert_eq!(sampled.log_forward.len(), 70);
        for (i, &log_forward) in sampled.log_forward.iter().enumerate() {
            let expected = log_forward_by_definition(&setting, &setting.parameters(), trajectories.row(i), 0);
            assert!((log_forward - expected).abs() < 1e-11, "{log_forward} is not {expected}");
        }
    }
}

#[test]
fn trajectories_set_every_site_once() {
    for setting in settings() {
        let mut engine = setting.native::<f32>();
        engine.rollout(&Rollout::sample(DRAW, 65)).unwrap();
        let trajectories = engine.trajectories().unwrap();
        for i in 0..65 {
            let mut sites: Vec<_> = trajectories.row(i).iter().map(|&a| a as usize / setting.process.values).collect();
            if setting.process.order == Order::Uniform {
                sites.sort_unstable();
            }
            assert!(sites.into_iter().eq(0..setting.process.sites));
        }
    }
}

#[test]
fn a_given_prefix_is_kept_and_the_rest_is_sampled() {
    let setting = Setting::wave(9, 2, Order::Uniform, &[24, 16], Activation::Tanh);
    let mut engine = setting.native::<f64>();
    engine.rollout(&Rollout::sample(DRAW, 80)).unwrap();
    let before = engine.trajectories().unwrap();
    let given = Given { trajectories: &before, scored_from: 4, sampled_from: 6 };
    let other = Draw { iteration: 99, ..DRAW };
    let batch = engine
        .rollout(&Rollout {
            draw: other,
            count: 80,
            given: Some(given),
            keep: false,
            stepwise: false,
            behaviour: Default::default(),
        })
        .unwrap();
    let after = engine.trajectories().unwrap();
    let mut changed = 0;
    for i in 0..80 {
        assert_eq!(before.row(i)[..6], after.row(i)[..6]);
        assert!(before.row(i)[6..].iter().zip(&after.row(i)[6..]).all(|(b, a)| b / 2 == a / 2));
        changed += usize::from(before.row(i) != after.row(i));
        let expected = log_forward_by_definition(&setting, &setting.parameters(), after.row(i), 4);
        assert!((batch.log_forward[i] - expected).abs() < 1e-11);
    }
    assert!(changed > 20, "values were drawn anew in only {changed} of 80 trajectories");
}

#[test]
fn f64_gradient_is_the_central_difference() {
    for (index, setting) in settings().into_iter().enumerate() {
        let mut engine = setting.native::<f64>();
        engine.rollout(&Rollout::sample(DRAW, 70)).unwrap();
        let trajectories = engine.trajectories().unwrap();
        let scored_from = if index % 2 == 0 { 0 } else { 3 };
        let given = Given { trajectories: &trajectories, scored_from, sampled_from: setting.process.max_steps() };
        let replay = Rollout {
            draw: DRAW,
            count: 70,
            given: Some(given),
            keep: true,
            stepwise: false,
            behaviour: Default::default(),
        };
        engine.rollout(&replay).unwrap();
        let coefficients = coefficients(70);
        let gradient = engine.gradient(&coefficients).unwrap();
        let parameters = setting.parameters();
        let mut value_at = |index: usize, shift: f64| {
            let mut shifted = parameters.clone();
            shifted[index] += shift;
            engine.set_parameters(&shifted).unwrap();
            let batch = engine.rollout(&replay).unwrap();
            batch.log_forward.iter().zip(&coefficients).map(|(l, c)| c * l).sum::<f64>()
        };
        for index in (0..parameters.len()).step_by(3) {
            // Error of the difference: third derivative times 1e-10, plus rounding 1e-16 / 1e-5. A pre-activation
            // that crosses a kink between the two points would show, and none does with these seeds.
            let difference = (value_at(index, 1e-5) - value_at(index, -1e-5)) / 2e-5;
            let tolerance = 1e-8 * gradient[index].abs().max(1.0);
            assert!((gradient[index] - difference).abs() < tolerance, "{index}: {} {difference}", gradient[index]);
        }
    }
}

#[test]
fn f32_follows_f64() {
    for setting in settings() {
        let (mut double, mut single) = (setting.native::<f64>(), setting.native::<f32>());
        let expected = double.rollout(&Rollout::sample(DRAW, 130).kept()).unwrap();
        let trajectories = double.trajectories().unwrap();
        let found = single.rollout(&Rollout::replay(DRAW, &trajectories).kept()).unwrap();
        // A logit is a sum of some tens of terms of order one: a few 1e-7 a step, nine steps at most.
        assert_close(&found.log_forward, &expected.log_forward, 1e-5, "log P_F");
        let coefficients = coefficients(130);
        let (found, expected) = (single.gradient(&coefficients).unwrap(), double.gradient(&coefficients).unwrap());
        let terms = term_sizes(&mut double, &coefficients);
        // A delta and an input are each at the end of up to six layers of dot products of up to 40 terms; of a hundred
        // roundings of either sign some ten are left, and trajectories share few of them.
        let tolerance = 16.0 * f64::from(f32::EPSILON);
        assert_layers_close(&setting.layout, &found, &expected, &terms, tolerance, "gradient");
    }
}

#[test]
fn engines_sample_the_same_trajectories_but_for_rounding_at_a_threshold() {
    for setting in settings() {
        let (mut double, mut single) = (setting.native::<f64>(), setting.native::<f32>());
        double.rollout(&Rollout::sample(DRAW, 500)).unwrap();
        single.rollout(&Rollout::sample(DRAW, 500)).unwrap();
        let (expected, found) = (double.trajectories().unwrap(), single.trajectories().unwrap());
        assert_steps_agree(&setting, &DRAW, &found, &expected);
    }
}

#[test]
fn the_memory_budget_changes_no_bit() {
    let setting = Setting::wave(9, 2, Order::Uniform, &[24, 16], Activation::Swish);
    let coefficients = coefficients(300);
    let gradient_within = |budget| {
        let mut engine = setting.native_within::<f32>(budget);
        engine.rollout(&Rollout::sample(DRAW, 300).kept()).unwrap();
        engine.gradient(&coefficients).unwrap()
    };
    let everything = gradient_within(u64::MAX);
    assert_eq!(everything, gradient_within(0));
    assert_eq!(everything, gradient_within(2 * 64 * 9 * (2 * 40 + 2) * 4));
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let setting = Setting::wave(9, 2, Order::Uniform, &[24, 16], Activation::Swish);
    let coefficients = coefficients(300);
    let with_threads = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut engine = setting.native::<f32>();
            let batch = engine.rollout(&Rollout::sample(DRAW, 300).kept()).unwrap();
            (batch, engine.gradient(&coefficients).unwrap())
        })
    };
    assert_eq!(with_threads(1), with_threads(3));
}

#[test]
fn weights_that_are_not_finite_do_not_panic() {
    let setting = Setting::wave(6, 3, Order::Uniform, &[8, 8], Activation::Swish);
    let mut engine = setting.native::<f32>();
    engine.set_parameters(&vec![f64::NAN; setting.layout.parameters()]).unwrap();
    let batch = engine.rollout(&Rollout::sample(DRAW, 10).kept()).unwrap();
    assert_eq!(batch.log_forward.iter().filter(|value| value.is_nan()).count(), 10);
    assert!(engine.gradient(&[1.0; 10]).unwrap().iter().any(|value| value.is_nan()));
}
