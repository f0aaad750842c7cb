//! Coefficients of single steps on both engines: against f64, against those of trajectories, and beside them.

mod common;

use std::sync::Arc;

use common::Setting;
use common::compare::{absolute_sum, assert_close_at_scale, assert_layers_close};
use common::gpu::gpu_with;
use wgflow::engine::gpu::{GpuEngine, GpuOptions};
use wgflow::engine::{BLOCK, Coefficients, Engine, Given, Roll, Rollout};
use wgflow::network::Activation;
use wgflow::process::{Order, Trajectories};
use wgflow::random::{Draw, Stream};
use wgflow::targets::ising::Ising;

const DRAW: Draw = Draw { seed: 3, iteration: 1, stream: Stream::Training, first_trajectory: 0 };
/// Two blocks, the second one not full.
const COUNT: usize = BLOCK + 6;

fn settings() -> [Setting; 4] {
    [
        Setting::wave(7, 2, Order::Uniform, &[24, 40], Activation::Swish),
        Setting::wave(5, 3, Order::Uniform, &[16], Activation::Tanh),
        Setting::wave(6, 2, Order::Fixed, &[16, 8, 24], Activation::Elu),
        Setting::new(Arc::new(Ising::new(3, 0.4).unwrap()), Order::Uniform, &[8, 8], Activation::Relu),
    ]
}

fn gpu(setting: &Setting, memory_budget: u64) -> GpuEngine {
    gpu_with(setting, GpuOptions { memory_budget, ..GpuOptions::default() })
}

fn coefficients(steps: usize) -> Vec<f64> {
    (0..COUNT * steps).map(|i| (1.7 * i as f64 + 0.3).sin() / COUNT as f64).collect()
}

fn replay(trajectories: &Trajectories, scored_from: usize) -> Rollout<'_> {
    let given = Given { trajectories, scored_from, sampled_from: trajectories.max_steps() };
    Rollout { draw: DRAW, count: COUNT, given: Some(given), keep: true, stepwise: true, behaviour: Default::default() }
}

/// In the order of the policy's layout.
fn gradient(engine: &mut dyn Engine, coefficients: Coefficients) -> Vec<f64> {
    let mut total = vec![0.0; engine.arrangement().length()];
    engine.accumulate(&coefficients, &mut total).unwrap();
    engine.arrangement().restore(&total)
}

#[test]
fn both_engines_in_f32_follow_f64() {
    for setting in settings() {
        let mut double = setting.native::<f64>();
        double.rollout(&Rollout::sample(DRAW, COUNT).kept()).unwrap();
        let trajectories = double.trajectories().unwrap();
        let steps = trajectories.max_steps();
        let weights = coefficients(steps);
        let mut engines: [Box<dyn Engine>; 3] =
            [Box::new(setting.native::<f32>()), Box::new(gpu(&setting, 1 << 30)), Box::new(gpu(&setting, 0))];
        for scored_from in [0, 2] {
            let batch = double.rollout(&replay(&trajectories, scored_from)).unwrap();
            let told = batch.steps.expect("asked for");
            let expected = gradient(&mut double, Coefficients::Steps(weights.clone().into()));
            // What the sum's rounding is relative to: the terms of every step by themselves, all trajectories of a sign.
            let single = |t: usize, sign: f64| {
                let kept =
                    weights.iter().enumerate().map(|(i, &c)| if i % steps == t && c * sign > 0.0 { c } else { 0.0 });
                gradient(&mut double, Coefficients::Steps(kept.collect::<Vec<f64>>().into()))
            };
            let places: Vec<(usize, f64)> = (scored_from..steps).flat_map(|t| [(t, 1.0), (t, -1.0)]).collect();
            let mut single = single;
            let terms = absolute_sum(places.into_iter().map(|(t, sign)| single(t, sign)));
            for engine in &mut engines {
                let found = engine.rollout(&replay(&trajectories, scored_from)).unwrap().steps.expect("asked for");
                let scales: Vec<f64> = told.log_forward.iter().map(|log| log.abs().max(1.0)).collect();
                assert_close_at_scale(&found.log_forward, &told.log_forward, &scales, 3e-6, "log P_F of steps");
                assert_eq!(found.log_backward, told.log_backward);
                assert_eq!(found.lengths, told.lengths);
                let found = gradient(engine.as_mut(), Coefficients::Steps(weights.clone().into()));
                let label = format!("{}: {:?} from {scored_from}", engine.name(), setting.layout.widths);
                // Some ten roundings of either sign along a path through the layers; terms of one sign add up to less than
                // the absolute sum by at most a few times.
                assert_layers_close(
                    &setting.layout,
                    &found,
                    &expected,
                    &terms,
                    128.0 * f64::from(f32::EPSILON),
                    &label,
                );
            }
        }
    }
}

#[test]
fn equal_coefficients_of_all_steps_are_those_of_trajectories_and_neither_disturbs_the_other() {
    let setting = Setting::wave(7, 2, Order::Uniform, &[24, 40], Activation::Swish);
    let mut engines: [Box<dyn Engine>; 3] =
        [Box::new(setting.native::<f32>()), Box::new(gpu(&setting, 1 << 30)), Box::new(gpu(&setting, 0))];
    for engine in &mut engines {
        let batch = engine.rollout(&Rollout::sample(DRAW, COUNT).kept().with_steps(true)).unwrap();
        let told = batch.steps.expect("asked for");
        for (row, &sum) in told.log_forward.chunks_exact(told.max_steps).zip(&batch.log_forward) {
            assert!((row.iter().sum::<f64>() - sum).abs() < 1e-5);
        }
        let whole = common::coefficients(COUNT);
        let each: Vec<f64> = whole.iter().flat_map(|&c| vec![c; told.max_steps]).collect();
        let by_trajectory = gradient(engine.as_mut(), Coefficients::Trajectories(whole.clone()));
        let by_step = gradient(engine.as_mut(), Coefficients::Steps(each.clone().into()));
        let largest = by_trajectory.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
        assert!(largest > 0.0 && by_trajectory.iter().all(|value| value.is_finite()));
        // The same products in another order of factors.
        let scales = vec![largest; by_step.len()];
        assert_close_at_scale(&by_step, &by_trajectory, &scales, 64.0 * f64::from(f32::EPSILON), &engine.name());
        assert_eq!(gradient(engine.as_mut(), Coefficients::Trajectories(whole)), by_trajectory);
        assert_eq!(gradient(engine.as_mut(), Coefficients::Steps(each.into())), by_step);
    }
}
