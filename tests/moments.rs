//! Gradient statistics of single trajectories, against their definition: one gradient a trajectory. The GPU engine's need
//! an adapter; a software one is enough.

mod common;

use std::sync::Arc;

use common::{Setting, coefficients, relative_difference};
use wgflow::engine::cpu::{CpuEngine, Real};
use wgflow::engine::gpu::{AdapterKind, GpuEngine, GpuOptions, Tiling};
use wgflow::engine::{BLOCK, Batch, Engine, EngineError, Given, Rollout};
use wgflow::objective::{Extent, Moments};
use wgflow::policy::Activation;
use wgflow::process::{Objects, Order, Trajectories};
use wgflow::random::{Draw, Stream};
use wgflow::target::ising::Ising;

const DRAW: Draw = Draw { seed: 11, iteration: 3, stream: Stream::Training, first_trajectory: 0 };
/// Two blocks, the second one not full.
const COUNT: usize = 70;

/// An engine that leaves the statistics to the definitions that the trait comes with.
struct ByDefinition<E>(E);

impl<E: Engine> Engine for ByDefinition<E> {
    fn name(&self) -> String {
        self.0.name()
    }

    fn adapter(&self) -> String {
        self.0.adapter()
    }

    fn set_parameters(&mut self, parameters: &[f64]) -> Result<(), EngineError> {
        self.0.set_parameters(parameters)
    }

    fn rollout(&mut self, request: &Rollout) -> Result<Batch, EngineError> {
        self.0.rollout(request)
    }

    fn trajectories(&mut self) -> Result<Trajectories, EngineError> {
        self.0.trajectories()
    }

    fn objects(&mut self) -> Result<Objects, EngineError> {
        self.0.objects()
    }

    fn gradient(&mut self, coefficients: &[f64]) -> Result<Vec<f64>, EngineError> {
        self.0.gradient(coefficients)
    }

    fn log_reward(&mut self, objects: &Objects) -> Result<Vec<f64>, EngineError> {
        self.0.log_reward(objects)
    }

    fn reward_gradient(&mut self, objects: &Objects, coefficients: &[f64]) -> Result<Vec<f64>, EngineError> {
        self.0.reward_gradient(objects, coefficients)
    }
}

fn settings() -> Vec<Setting> {
    // The third has a weight that is formed in several tiles, none of which is full.
    let shapes: [&[usize]; 4] = [&[8], &[24, 40], &[136, 140], &[16, 8, 24]];
    let mut settings = Vec::new();
    for (index, activation) in Activation::ALL.into_iter().enumerate() {
        let hidden = shapes[index % shapes.len()];
        // Unset sites coded as -1, one-hot inputs, a fixed order, and unset sites coded as 0.
        settings.push(Setting::wave(7, 2, Order::Uniform, hidden, activation));
        settings.push(Setting::wave(5, 3, Order::Uniform, hidden, activation));
        settings.push(Setting::wave(6, 2, Order::Fixed, hidden, activation));
        settings.push(Setting::new(Arc::new(Ising::new(3, 0.4).unwrap()), Order::Uniform, hidden, activation));
    }
    settings
}

/// Everything that is to be compared, each relative to its own largest value.
fn statistics(engine: &mut dyn Engine) -> [Vec<f64>; 6] {
    let coefficients = coefficients(COUNT);
    let norms = engine.square_norms().unwrap();
    let moments = engine.moments(&coefficients).unwrap();
    let left_out = engine.leave_one_out_gradient(&coefficients, &moments).unwrap();
    let Moments { sum, weighted_sum, squares, weighted_squares } = moments;
    [norms, sum, weighted_sum, squares, weighted_squares, left_out]
}

fn assert_close(found: &[Vec<f64>; 6], expected: &[Vec<f64>; 6], tolerance: f64) {
    let names = ["square norms", "sum h", "sum c h", "sum h^2", "sum c h^2", "leave-one-out gradient"];
    for ((found, expected), name) in found.iter().zip(expected).zip(names) {
        let difference = relative_difference(found, expected);
        assert!(difference < tolerance, "{name}: {difference}");
    }
}

#[test]
fn f64_statistics_follow_the_definition() {
    for setting in settings() {
        let mut engine = setting.native::<f64>();
        engine.rollout(&Rollout::sample(DRAW, COUNT).kept()).unwrap();
        let found = statistics(&mut engine);
        assert_close(&found, &statistics(&mut ByDefinition(engine)), 1e-10);
    }
}

#[test]
fn f32_statistics_follow_the_f64_definition() {
    for setting in settings() {
        let (mut double, mut single) = (ByDefinition(setting.native::<f64>()), setting.native::<f32>());
        double.rollout(&Rollout::sample(DRAW, COUNT).kept()).unwrap();
        let trajectories = double.trajectories().unwrap();
        single.rollout(&Rollout::replay(DRAW, &trajectories).kept()).unwrap();
        // Sums of 70 terms of either sign, each a sum over at most nine steps, in f32.
        assert_close(&statistics(&mut single), &statistics(&mut double), 2e-5);
    }
}

#[test]
fn moments_contain_the_gradient_and_the_square_norms() {
    let setting = Setting::wave(7, 2, Order::Uniform, &[24, 40], Activation::Swish);
    let mut engine = setting.native::<f64>();
    engine.rollout(&Rollout::sample(DRAW, COUNT).kept()).unwrap();
    let coefficients = coefficients(COUNT);
    let moments = engine.moments(&coefficients).unwrap();
    assert!(relative_difference(&moments.weighted_sum, &engine.gradient(&coefficients).unwrap()) < 1e-12);
    let norms = engine.square_norms().unwrap();
    let (total, weighted) =
        (norms.iter().sum::<f64>(), norms.iter().zip(&coefficients).map(|(n, c)| n * c).sum::<f64>());
    assert!((moments.squares.iter().sum::<f64>() / total - 1.0).abs() < 1e-12);
    assert!((moments.weighted_squares.iter().sum::<f64>() / weighted - 1.0).abs() < 1e-12);
}

/// All statistics as the native f32 engine computes them within a memory budget.
fn within<T: Real>(setting: &Setting, budget: u64) -> [Vec<f64>; 6] {
    let mut engine: CpuEngine<T> = setting.native_within(budget);
    engine.rollout(&Rollout::sample(DRAW, COUNT).kept()).unwrap();
    statistics(&mut engine)
}

#[test]
fn neither_memory_nor_threads_change_a_bit() {
    let setting = Setting::wave(9, 2, Order::Uniform, &[24, 16], Activation::Swish);
    let everything = within::<f32>(&setting, u64::MAX);
    assert_eq!(everything, within::<f32>(&setting, 0));
    assert_eq!(everything, within::<f32>(&setting, 64 * 9 * (2 * 40 + 2) * 4));
    for threads in [1, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        assert_eq!(everything, pool.install(|| within::<f32>(&setting, u64::MAX)));
    }
}

#[test]
fn a_trajectory_that_alone_moves_a_parameter_is_left_as_it_is() {
    // A batch of one: the others' squares are 0 for every parameter, so every k is.
    let setting = Setting::wave(7, 2, Order::Uniform, &[24, 40], Activation::Relu);
    let mut engine = setting.native::<f32>();
    engine.rollout(&Rollout::sample(DRAW, 1).kept()).unwrap();
    let moments = engine.moments(&[0.7]).unwrap();
    let left_out = engine.leave_one_out_gradient(&[0.7], &moments).unwrap();
    assert_eq!(left_out, moments.weighted_sum);
    // The batch form takes all there is.
    let batch = moments.gradient(Extent::PerParameter);
    assert!(relative_difference(&batch, &moments.weighted_sum) > 0.99 && batch.iter().all(|g| g.abs() < 1e-6));
}

#[test]
fn what_is_not_finite_is_handed_on() {
    let setting = Setting::wave(6, 3, Order::Uniform, &[8, 8], Activation::Swish);
    let mut engine = setting.native::<f32>();
    engine.set_parameters(&vec![f64::NAN; setting.layout.parameters()]).unwrap();
    engine.rollout(&Rollout::sample(DRAW, COUNT).kept()).unwrap();
    for list in statistics(&mut engine) {
        assert!(list.iter().any(|value| value.is_nan()));
    }
}

fn gpu(setting: &Setting, options: GpuOptions) -> GpuEngine {
    let options = GpuOptions { adapter: std::env::var("WGFLOW_ADAPTER").ok(), ..options };
    let (process, layout) = (setting.process.clone(), setting.layout.clone());
    let mut engine = GpuEngine::new(process, layout, setting.activation, setting.target.clone(), options)
        .unwrap_or_else(|error| panic!("{error}: to run the GPU tests, install the package mesa-vulkan-drivers"));
    engine.set_parameters(&setting.parameters()).unwrap();
    engine
}

/// Trajectories whose scores count from `scored_from` on, for statistics.
fn replay(trajectories: &Trajectories, scored_from: usize) -> Rollout<'_> {
    let given = Given { trajectories, scored_from, sampled_from: trajectories.steps() };
    Rollout { draw: DRAW, count: trajectories.count(), given: Some(given), keep: true }
}

#[test]
fn gpu_statistics_follow_the_f64_definition() {
    // Every shape, activation, encoding and order once.
    for (index, setting) in settings().into_iter().step_by(3).enumerate() {
        // Tiles as on a CPU and as on a GPU.
        let kind = if index % 2 == 0 { AdapterKind::Software } else { AdapterKind::Discrete };
        let options = GpuOptions { tiling: Some(Tiling::suggested(kind, 40)), ..GpuOptions::default() };
        let (mut double, mut engine) = (ByDefinition(setting.native::<f64>()), gpu(&setting, options));
        double.rollout(&Rollout::sample(DRAW, COUNT)).unwrap();
        let trajectories = double.trajectories().unwrap();
        for scored_from in [0, 2] {
            double.rollout(&replay(&trajectories, scored_from)).unwrap();
            engine.rollout(&replay(&trajectories, scored_from)).unwrap();
            // As for the native engine in f32.
            assert_close(&statistics(&mut engine), &statistics(&mut double), 2e-5);
        }
    }
}

#[test]
fn gpu_square_norms_follow_f64_over_many_steps() {
    // 70 steps are several tiles of pairs, the last ones not full.
    let setting = Setting::wave(70, 2, Order::Uniform, &[24, 40], Activation::Swish);
    let (mut double, mut engine) = (setting.native::<f64>(), gpu(&setting, GpuOptions::default()));
    double.rollout(&Rollout::sample(DRAW, COUNT).kept()).unwrap();
    let trajectories = double.trajectories().unwrap();
    for scored_from in [0, 9, 69] {
        let expected = double.rollout(&replay(&trajectories, scored_from)).and_then(|_| double.square_norms()).unwrap();
        let found = engine.rollout(&replay(&trajectories, scored_from)).and_then(|_| engine.square_norms()).unwrap();
        // Sums over 2500 pairs of states, of either sign, in f32.
        assert!(relative_difference(&found, &expected) < 5e-5);
    }
    engine.rollout(&replay(&trajectories, 70)).unwrap();
    assert_eq!(engine.square_norms().unwrap(), [0.0; COUNT], "no step counts");
    assert!(engine.moments(&coefficients(COUNT)).unwrap().squares.iter().all(|&sum| sum == 0.0));
}

#[test]
fn memory_dispatches_and_what_was_asked_before_change_no_bit_on_the_gpu() {
    let setting = Setting::wave(9, 2, Order::Uniform, &[24, 16], Activation::Swish);
    let statistics_within = |memory_budget, tiling| {
        let mut engine = gpu(&setting, GpuOptions { memory_budget, tiling, ..GpuOptions::default() });
        engine.rollout(&Rollout::sample(DRAW, 3 * BLOCK + 6).kept()).unwrap();
        let c = coefficients(3 * BLOCK + 6);
        let gradient = engine.gradient(&c).unwrap();
        let moments = engine.moments(&c).unwrap();
        let left_out = engine.leave_one_out_gradient(&c, &moments).unwrap();
        let norms = engine.square_norms().unwrap();
        assert_eq!(engine.moments(&c).unwrap(), moments, "deltas serve again");
        assert_eq!(engine.gradient(&c).unwrap(), gradient, "deltas serve again");
        (gradient, moments, left_out, norms)
    };
    let expected = statistics_within(u64::MAX, None);
    // One block of 9 steps at a time, then two; padded widths are 32 and 16.
    let block = 64 * 9 * (2 * 48 + 2) * 4;
    assert!(statistics_within(0, None) == expected, "one block at a time");
    assert!(statistics_within(2 * block, None) == expected, "two blocks at a time");
    let short = Tiling { dispatch: 1, ..Tiling::suggested(AdapterKind::Software, 24) };
    assert!(statistics_within(u64::MAX, Some(short)) == expected, "in short dispatches");
}

#[test]
fn a_batch_of_one_on_the_gpu_is_left_as_it_is() {
    let setting = Setting::wave(7, 2, Order::Uniform, &[24, 40], Activation::Relu);
    let mut engine = gpu(&setting, GpuOptions::default());
    engine.rollout(&Rollout::sample(DRAW, 1).kept()).unwrap();
    let moments = engine.moments(&[0.7]).unwrap();
    let left_out = engine.leave_one_out_gradient(&[0.7], &moments).unwrap();
    assert_eq!(left_out, moments.weighted_sum);
}

#[test]
fn trajectories_without_a_scored_step_have_scores_of_zero() {
    let setting = Setting::wave(7, 2, Order::Uniform, &[24, 40], Activation::Swish);
    let mut engine = setting.native::<f64>();
    engine.rollout(&Rollout::sample(DRAW, COUNT)).unwrap();
    let trajectories = engine.trajectories().unwrap();
    engine.rollout(&replay(&trajectories, 7).kept()).unwrap();
    assert!(statistics(&mut engine).into_iter().flatten().all(|value| value == 0.0));
}
