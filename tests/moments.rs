//! Gradient statistics of single trajectories, against their definition: one gradient a trajectory. The GPU engine's need
//! an adapter; a software one is enough.

mod common;

use std::sync::Arc;

use common::compare::{assert_close_at_scale, assert_layers_close, largest};
use common::gpu::gpu_with;
use common::hooked::Hooked;
use common::{Setting, coefficients, left_out_sizes, moments_of, term_sizes};
use wgflow::engine::cpu::CpuEngine;
use wgflow::engine::gpu::{AdapterKind, GpuOptions, Tiling};
use wgflow::engine::{BLOCK, Differentiate, Engine, Given, Moments, Roll, Rollout};
use wgflow::network::{Activation, Real};
use wgflow::objective::{Extent, batch_form};
use wgflow::process::{Order, Trajectories};
use wgflow::random::{Draw, Stream};
use wgflow::targets::ising::Ising;

const DRAW: Draw = Draw { seed: 11, iteration: 3, stream: Stream::Training, first_trajectory: 0 };
/// Two blocks, the second one not full.
const COUNT: usize = 70;

/// A score is a sum over at most nine steps of products of a delta and an input, each at the end of up to four layers of
/// dot products of up to 140 terms. Of some hundred roundings of either sign some ten are left, twice as many in squares;
/// 64 leave room for a seed that is worse.
const F32: f64 = 64.0 * f32::EPSILON as f64;
/// As much, and norms are sums of up to 22,000 squares in another order.
const F64: f64 = 512.0 * f64::EPSILON;

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

/// The square norms of the trajectories, moments and the leave-one-out gradient of the batch that an engine holds.
#[derive(Clone, Debug, PartialEq)]
struct Statistics {
    norms: Vec<f64>,
    moments: Moments,
    left_out: Vec<f64>,
}

impl Statistics {
    fn of(engine: &mut dyn Engine, coefficients: &[f64]) -> Self {
        let norms = engine.square_norms().unwrap();
        let moments = engine.moments(coefficients).unwrap();
        let left_out = engine.leave_one_out_gradient(coefficients, &moments).unwrap();
        let order = engine.arrangement();
        Self { norms, moments: moments.restored(order), left_out: order.restore(&left_out) }
    }

    /// Lists of as many numbers as there are parameters.
    fn lists(&self) -> [&Vec<f64>; 5] {
        let Moments { sum, weighted_sum, squares, weighted_squares } = &self.moments;
        [sum, weighted_sum, squares, weighted_squares, &self.left_out]
    }
}

/// The statistics of an engine against those of the definition, each relative to the size of its terms. The square norm
/// of a trajectory is a sum of positive numbers, its own scale.
fn assert_follows(setting: &Setting, found: &mut dyn Engine, definition: &mut dyn Engine, tolerance: f64) {
    let coefficients = coefficients(COUNT);
    let absolute: Vec<f64> = coefficients.iter().map(|c| c.abs()).collect();
    let expected = Statistics::of(definition, &coefficients);
    let found = Statistics::of(found, &coefficients);
    let label = format!("{:?} {:?}", setting.layout.widths, setting.activation);
    assert_eq!(expected.norms.len(), COUNT);
    assert_close_at_scale(&found.norms, &expected.norms, &expected.norms, tolerance, &format!("{label}: square norms"));

    // sum c h^2 with |c|, and from it and sum h^2 by Cauchy and Schwarz what sum |h| and sum |c h| are at most.
    let absolute_squares = moments_of(definition, &absolute).weighted_squares;
    let bound = |squares: &[f64], total: f64| squares.iter().map(|s| (total * s).sqrt()).collect::<Vec<f64>>();
    let of_sum = bound(&expected.moments.squares, COUNT as f64);
    let of_weighted = bound(&absolute_squares, absolute.iter().sum());
    let of_left_out = left_out_sizes(definition, &coefficients);
    let sizes = [&of_sum, &of_weighted, &expected.moments.squares, &absolute_squares, &of_left_out];
    let names = ["sum h", "sum c h", "sum h^2", "sum c h^2", "leave-one-out gradient"];
    for (list, name) in names.into_iter().enumerate() {
        let (found, expected) = (found.lists()[list], expected.lists()[list]);
        assert_layers_close(&setting.layout, found, expected, sizes[list], tolerance, &format!("{label}: {name}"));
    }
}

#[test]
fn f64_statistics_follow_the_definition() {
    for setting in settings() {
        let mut engine = setting.native::<f64>();
        engine.rollout(&Rollout::sample(DRAW, COUNT).kept()).unwrap();
        let mut definition = Hooked::by_definition(setting.native::<f64>());
        definition.rollout(&Rollout::sample(DRAW, COUNT).kept()).unwrap();
        assert_follows(&setting, &mut engine, &mut definition, F64);
    }
}

#[test]
fn f32_statistics_follow_the_f64_definition() {
    for setting in settings() {
        let (mut double, mut single) = (Hooked::by_definition(setting.native::<f64>()), setting.native::<f32>());
        double.rollout(&Rollout::sample(DRAW, COUNT).kept()).unwrap();
        let trajectories = double.trajectories().unwrap();
        single.rollout(&Rollout::replay(DRAW, &trajectories).kept()).unwrap();
        assert_follows(&setting, &mut single, &mut double, F32);
    }
}

#[test]
fn moments_contain_the_gradient_and_the_square_norms() {
    let setting = Setting::wave(7, 2, Order::Uniform, &[24, 40], Activation::Swish);
    let mut engine = setting.native::<f64>();
    engine.rollout(&Rollout::sample(DRAW, COUNT).kept()).unwrap();
    let coefficients = coefficients(COUNT);
    let moments = moments_of(&mut engine, &coefficients);
    let terms = term_sizes(&mut engine, &coefficients);
    let gradient = engine.gradient(&coefficients).unwrap();
    assert_layers_close(&setting.layout, &moments.weighted_sum, &gradient, &terms, F64, "sum c h");
    let norms = engine.square_norms().unwrap();
    let (total, weighted) =
        (norms.iter().sum::<f64>(), norms.iter().zip(&coefficients).map(|(n, c)| n * c).sum::<f64>());
    assert!((moments.squares.iter().sum::<f64>() / total - 1.0).abs() < 1e-12);
    assert!((moments.weighted_squares.iter().sum::<f64>() / weighted - 1.0).abs() < 1e-12);
}

/// All statistics as the native engine computes them within a memory budget.
fn within<T: Real>(setting: &Setting, budget: u64) -> Statistics {
    let mut engine: CpuEngine<T> = setting.native_within(budget);
    engine.rollout(&Rollout::sample(DRAW, COUNT).kept()).unwrap();
    Statistics::of(&mut engine, &coefficients(COUNT))
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
    let batch = batch_form(&moments, Extent::PerParameter);
    assert!(largest(&moments.weighted_sum) > 0.1 && largest(&batch) < 1e-6, "{batch:?}");
}

#[test]
fn what_is_not_finite_is_handed_on() {
    let setting = Setting::wave(6, 3, Order::Uniform, &[8, 8], Activation::Swish);
    let mut engine = setting.native::<f32>();
    engine.set_parameters(&vec![f64::NAN; setting.layout.parameters()]).unwrap();
    engine.rollout(&Rollout::sample(DRAW, COUNT).kept()).unwrap();
    let found = Statistics::of(&mut engine, &coefficients(COUNT));
    for list in found.lists().into_iter().chain([&found.norms]) {
        assert!(list.iter().any(|value| value.is_nan()));
    }
}

/// Trajectories whose scores count from `scored_from` on, for statistics.
fn replay(trajectories: &Trajectories, scored_from: usize) -> Rollout<'_> {
    let given = Given { trajectories, scored_from, sampled_from: trajectories.max_steps() };
    Rollout { given: Some(given), ..Rollout::replay(DRAW, trajectories).kept() }
}

#[test]
fn gpu_statistics_follow_the_f64_definition() {
    // Every shape, activation, encoding and order once.
    for (index, setting) in settings().into_iter().step_by(3).enumerate() {
        // Tiles as on a CPU and as on a GPU.
        let kind = if index % 2 == 0 { AdapterKind::Software } else { AdapterKind::Discrete };
        let options = GpuOptions { tiling: Some(Tiling::suggested(kind, 40)), ..GpuOptions::default() };
        let (mut double, mut engine) = (Hooked::by_definition(setting.native::<f64>()), gpu_with(&setting, options));
        double.rollout(&Rollout::sample(DRAW, COUNT)).unwrap();
        let trajectories = double.trajectories().unwrap();
        for scored_from in [0, 2] {
            double.rollout(&replay(&trajectories, scored_from)).unwrap();
            engine.rollout(&replay(&trajectories, scored_from)).unwrap();
            assert_follows(&setting, &mut engine, &mut double, F32);
        }
    }
}

#[test]
fn gpu_square_norms_follow_f64_over_many_steps() {
    // 70 steps are several tiles of pairs, the last ones not full.
    let setting = Setting::wave(70, 2, Order::Uniform, &[24, 40], Activation::Swish);
    let (mut double, mut engine) = (setting.native::<f64>(), gpu_with(&setting, GpuOptions::default()));
    double.rollout(&Rollout::sample(DRAW, COUNT).kept()).unwrap();
    let trajectories = double.trajectories().unwrap();
    for scored_from in [0, 9, 69] {
        let expected = double.rollout(&replay(&trajectories, scored_from)).and_then(|_| double.square_norms()).unwrap();
        let found = engine.rollout(&replay(&trajectories, scored_from)).and_then(|_| engine.square_norms()).unwrap();
        // Sums over 2500 pairs of states, of either sign, in f32.
        assert_close_at_scale(&found, &expected, &expected, 5e-5, "square norms");
    }
    engine.rollout(&replay(&trajectories, 70)).unwrap();
    assert_eq!(engine.square_norms().unwrap(), [0.0; COUNT], "no step counts");
    assert_eq!(moments_of(&mut engine, &coefficients(COUNT)).squares, vec![0.0; setting.layout.parameters()]);
}

/// Mesa's software drivers leave all loops of an invocation after 65,535 iterations, which the loops over a register tile must
/// not be among: 1,950 steps are 62,720 without them.
#[test]
fn gpu_moments_follow_f64_over_as_many_steps_as_there_may_be() {
    let setting = Setting::wave(1950, 2, Order::Uniform, &[8, 8], Activation::Tanh);
    let (mut double, mut engine) = (setting.native::<f64>(), gpu_with(&setting, GpuOptions::default()));
    let count = BLOCK;
    double.rollout(&Rollout::sample(DRAW, count).kept()).unwrap();
    let trajectories = double.trajectories().unwrap();
    engine.rollout(&replay(&trajectories, 0)).unwrap();
    let (coefficients, layers) = (coefficients(count), setting.layout.layers());
    let expected = moments_of(&mut double, &coefficients);
    let found = moments_of(&mut engine, &coefficients);
    // The second layer, whose products are in tiles; the rounding of sums over 1,950 states in f32.
    let hidden = layers[1].weight.start..layers[1].bias.end;
    let sizes: Vec<f64> =
        expected.squares[hidden.clone()].iter().map(|square| (square * count as f64).sqrt()).collect();
    assert_close_at_scale(&found.sum[hidden.clone()], &expected.sum[hidden.clone()], &sizes, 1e-3, "sums");
    let squares = &expected.squares[hidden.clone()];
    assert_close_at_scale(&found.squares[hidden], squares, squares, 1e-3, "squares");
}

#[test]
fn memory_dispatches_and_what_was_asked_before_change_no_bit_on_the_gpu() {
    let setting = Setting::wave(9, 2, Order::Uniform, &[24, 16], Activation::Swish);
    let statistics_within = |memory_budget, tiling| {
        let mut engine = gpu_with(&setting, GpuOptions { memory_budget, tiling, ..GpuOptions::default() });
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
    let mut engine = gpu_with(&setting, GpuOptions::default());
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
    let found = Statistics::of(&mut engine, &coefficients(COUNT));
    assert_eq!(found.norms, [0.0; COUNT]);
    for list in found.lists() {
        assert_eq!(list, &vec![0.0; setting.layout.parameters()]);
    }
}
