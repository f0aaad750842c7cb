//! The GPU engine against the native one in f64. Needs an adapter; a software one is enough, and the environment
//! variable WGFLOW_ADAPTER chooses another.

mod common;

use std::sync::Arc;

use common::compare::{assert_close, assert_finite, assert_layers_close};
use common::gpu::{DRAW, KERNEL_SETS, assert_refused, gpu, gpu_with, open, replay_of};
use common::{Setting, Wave, assert_steps_agree, coefficients, term_sizes};
use wgflow::engine::gpu::{AdapterKind, GpuEngine, GpuOptions, KernelSet, Tiling};
use wgflow::engine::{Batch, Differentiate, EngineError, Given, Roll, Rollout};
use wgflow::network::{Activation, Layout};
use wgflow::process::{Objects, Order, Trajectories};
use wgflow::random::Draw;
use wgflow::targets::{RewardKernel, Target};

/// Every activation, both encodings, both orders, one to five hidden layers, widths that fill tiles and that do not.
fn settings() -> Vec<Setting> {
    vec![
        Setting::wave(9, 2, Order::Uniform, &[8], Activation::Relu),
        Setting::wave(7, 2, Order::Uniform, &[24, 40], Activation::LeakyRelu),
        Setting::wave(6, 3, Order::Uniform, &[64, 64, 64], Activation::Swish),
        Setting::wave(5, 3, Order::Fixed, &[24, 40], Activation::Elu),
        Setting::wave(12, 2, Order::Fixed, &[8, 8, 8, 8, 8], Activation::Tanh),
        Setting::wave(40, 2, Order::Uniform, &[17, 33, 5], Activation::Swish),
        Setting::wave(4, 7, Order::Uniform, &[130, 20], Activation::Tanh),
        Setting::wave(5, 5, Order::Uniform, &[72, 268], Activation::LeakyRelu),
    ]
}

/// Sums of log-probabilities of up to 40 steps, each from logits of some tens of f32 terms of order one: 1e-6 a step.
const LOG_TOLERANCE: f64 = 4e-5;
/// Relative to the size of a gradient's terms. A delta and an input are each at the end of up to six layers of dot products
/// of up to 130 terms; of some hundred roundings of either sign some ten are left, and trajectories share few of them.
const GRADIENT_TOLERANCE: f64 = 16.0 * f32::EPSILON as f64;
/// A trajectory by itself has them all.
const SINGLE_TOLERANCE: f64 = 64.0 * f32::EPSILON as f64;

#[test]
fn log_probabilities_and_gradients_follow_f64() {
    for (setting, kernels) in settings().iter().flat_map(|setting| KERNEL_SETS.map(|set| (setting, set))) {
        let (mut oracle, mut engine) = (setting.native::<f64>(), gpu(setting, kernels));
        for scored_from in [0, 3] {
            // The deltas of a single trajectory may nearly cancel, and are then rounded at the size that they have in
            // others: |h| as it is in 300, root mean square.
            oracle.rollout(&Rollout::sample(DRAW, 300)).unwrap();
            let trajectories = oracle.trajectories().unwrap();
            oracle.rollout(&replay_of(&trajectories, scored_from)).unwrap();
            let score = term_sizes(&mut oracle, &[1.0 / 300.0; 300]);
            for count in [1, 63, 64, 100, 300] {
                let of = (&setting.layout.widths, setting.activation, kernels);
                let label = format!("{of:?}, {count} from {scored_from}");
                oracle.rollout(&Rollout::sample(DRAW, count)).unwrap();
                let trajectories = oracle.trajectories().unwrap();
                let replay = replay_of(&trajectories, scored_from);
                let expected = oracle.rollout(&replay).unwrap();
                let found = engine.rollout(&replay).unwrap();
                assert_close(&found.log_forward, &expected.log_forward, LOG_TOLERANCE, &label);
                assert_eq!(found.log_backward, expected.log_backward);
                assert_eq!(found.log_reward, expected.log_reward);
                assert_eq!(engine.trajectories().unwrap(), trajectories);
                assert_eq!(engine.objects().unwrap(), oracle.objects().unwrap());
                let coefficients = coefficients(count);
                let total: f64 = coefficients.iter().map(|c| c.abs()).sum();
                let terms: Vec<f64> = score.iter().map(|size| total * size).collect();
                let (found, expected) =
                    (engine.gradient(&coefficients).unwrap(), oracle.gradient(&coefficients).unwrap());
                let tolerance = if count == 1 { SINGLE_TOLERANCE } else { GRADIENT_TOLERANCE };
                assert_layers_close(&setting.layout, &found, &expected, &terms, tolerance, &label);
            }
        }
    }
}

#[test]
fn trajectories_are_those_of_f64_but_for_rounding_at_a_threshold() {
    for setting in settings() {
        let mut oracle = setting.native::<f64>();
        oracle.rollout(&Rollout::sample(DRAW, 500)).unwrap();
        let expected = oracle.trajectories().unwrap();
        for kernels in KERNEL_SETS {
            let mut engine = gpu(&setting, kernels);
            engine.rollout(&Rollout::sample(DRAW, 500)).unwrap();
            assert_steps_agree(&setting, &DRAW, &engine.trajectories().unwrap(), &expected);
        }
    }
}

#[test]
fn a_given_prefix_is_kept_and_the_rest_is_sampled() {
    KERNEL_SETS.into_iter().for_each(given_prefix);
}

fn given_prefix(kernels: KernelSet) {
    let setting = Setting::wave(9, 2, Order::Uniform, &[24, 16], Activation::Tanh);
    let (mut oracle, mut engine) = (setting.native::<f64>(), gpu(&setting, kernels));
    oracle.rollout(&Rollout::sample(DRAW, 80)).unwrap();
    let before = oracle.trajectories().unwrap();
    let given = Given { trajectories: &before, scored_from: 4, sampled_from: 6 };
    let request = Rollout {
        draw: Draw { iteration: 99, ..DRAW },
        count: 80,
        given: Some(given),
        keep: true,
        stepwise: false,
        behaviour: Default::default(),
    };
    let expected = oracle.rollout(&request).unwrap();
    let found = engine.rollout(&request).unwrap();
    let (proposed, after) = (oracle.trajectories().unwrap(), engine.trajectories().unwrap());
    assert_eq!(proposed, after, "80 * 3 draws are too few to meet a threshold");
    assert_ne!(before, after);
    assert_close(&found.log_forward, &expected.log_forward, LOG_TOLERANCE, "log P_F");
    let coefficients = coefficients(80);
    let (found, expected) = (engine.gradient(&coefficients).unwrap(), oracle.gradient(&coefficients).unwrap());
    let terms = term_sizes(&mut oracle, &coefficients);
    assert_layers_close(&setting.layout, &found, &expected, &terms, GRADIENT_TOLERANCE, "gradient");
}

/// A batch rolled out by sampling, and its gradient.
fn sampled(engine: &mut GpuEngine, count: usize) -> (Batch, Trajectories, Vec<f64>) {
    let batch = engine.rollout(&Rollout::sample(DRAW, count).kept()).unwrap();
    let trajectories = engine.trajectories().unwrap();
    (batch, trajectories, engine.gradient(&coefficients(count)).unwrap())
}

#[test]
fn neither_memory_nor_repetition_nor_replay_nor_splitting_changes_a_bit() {
    KERNEL_SETS.into_iter().for_each(same_bits);
}

fn same_bits(kernels: KernelSet) {
    let setting = Setting::wave(40, 2, Order::Uniform, &[24, 40], Activation::Swish);
    let kernels = Some(kernels);
    let options = GpuOptions { kernels, ..GpuOptions::default() };
    let mut engine = gpu_with(&setting, options.clone());
    let expected = sampled(&mut engine, 300);
    assert_eq!(sampled(&mut engine, 300), expected, "the same call again");
    assert_eq!(engine.gradient(&coefficients(300)).unwrap(), expected.2, "a second gradient of the same batch");

    let replayed = engine.rollout(&replay_of(&expected.1, 0)).unwrap();
    assert_eq!(replayed, expected.0);
    assert_eq!(engine.gradient(&coefficients(300)).unwrap(), expected.2);

    // One block fits, then two of the five: padded widths are 32 and 48.
    for memory_budget in [0, 2 * 40 * 64 * (2 * 80 + 2) * 4] {
        let mut engine = gpu_with(&setting, GpuOptions { memory_budget, ..options.clone() });
        assert_eq!(sampled(&mut engine, 300), expected, "with {memory_budget} bytes");
    }

    // Every step, every slice its own dispatch.
    let short = Tiling { dispatch: 1, ..Tiling::suggested(AdapterKind::Software, 40) };
    let mut engine = gpu_with(&setting, GpuOptions { tiling: Some(short), ..options });
    assert_eq!(sampled(&mut engine, 300), expected, "in short dispatches");
}

#[test]
fn batches_can_be_put_together_from_smaller_ones() {
    // For many trajectories of the second, hardware kernels have another shape than for some.
    let settings = [
        Setting::wave(9, 2, Order::Uniform, &[24], Activation::Elu),
        Setting::wave(3, 2, Order::Uniform, &[132, 20], Activation::Elu),
    ];
    for ((setting, count), kernels) in settings.iter().zip([100, 1100]).flat_map(|it| KERNEL_SETS.map(|set| (it, set)))
    {
        let mut engine = gpu(setting, kernels);
        let whole = engine.rollout(&Rollout::sample(DRAW, count)).unwrap();
        for first in [0, 30, 64, count - 36] {
            let draw = Draw { first_trajectory: DRAW.first_trajectory + first as u32, ..DRAW };
            let part = engine.rollout(&Rollout::sample(draw, 36)).unwrap();
            assert_eq!(part.log_forward, whole.log_forward[first..first + 36], "{kernels:?}");
            assert_eq!(part.log_reward, whole.log_reward[first..first + 36]);
        }
    }
}

#[test]
fn every_tiling_gives_the_same_result() {
    let setting = Setting::wave(6, 2, Order::Uniform, &[24, 40], Activation::Swish);
    let expected = sampled(&mut gpu(&setting, KernelSet::Software), 100);
    let mut oracle = setting.native();
    oracle.rollout(&Rollout::replay(DRAW, &expected.1).kept()).unwrap();
    let terms = term_sizes(&mut oracle, &coefficients(100));
    for (rows, units, trajectories, group) in [(1, 1, 4, 8), (1, 2, 16, 128), (2, 2, 32, 16), (2, 4, 64, 64)] {
        let tiling = Some(Tiling { rows, units, trajectories, group, ..Tiling::suggested(AdapterKind::Software, 40) });
        let options = GpuOptions { tiling, kernels: Some(KernelSet::Software), ..GpuOptions::default() };
        let found = sampled(&mut gpu_with(&setting, options), 100);
        assert_eq!(found.1, expected.1);
        // Compilers may fuse other pairs of operations in another tiling.
        assert_close(&found.0.log_forward, &expected.0.log_forward, 1e-6, "log P_F");
        assert_layers_close(&setting.layout, &found.2, &expected.2, &terms, GRADIENT_TOLERANCE, "gradient");
    }
    // A single invocation makes several hundred thousand iterations, and software drivers allow 65535 in a dispatch.
    let setting = Setting::wave(64, 2, Order::Uniform, &[64, 64], Activation::Tanh);
    let expected = sampled(&mut gpu(&setting, KernelSet::Software), 64);
    let alone = Tiling { group: 1, ..Tiling::suggested(AdapterKind::Software, 64) };
    let options = GpuOptions { tiling: Some(alone), kernels: Some(KernelSet::Software), ..GpuOptions::default() };
    let found = sampled(&mut gpu_with(&setting, options), 64);
    assert_eq!(found, expected);

    let tiling = Some(Tiling { rows: 3, units: 1, trajectories: 12, ..alone });
    assert_refused(open(&setting, GpuOptions { tiling, ..GpuOptions::default() }), "a tile of 3 x 1 quads");
}

/// What is chosen by timing on hardware does not show: neither workgroups' sizes, nor where large batches begin, nor tiles, nor which
/// go back through all layers at once, nor how much is a dispatch.
#[test]
fn sizes_of_hardware_kernels_do_not_show_in_a_single_bit() {
    for setting in [
        Setting::wave(6, 3, Order::Uniform, &[136, 72, 136], Activation::Swish),
        Setting::wave(7, 2, Order::Fixed, &[24, 40], Activation::Tanh),
        Setting::wave(3, 2, Order::Uniform, &[520, 24], Activation::Elu),
    ] {
        let usual = Tiling::suggested(AdapterKind::Discrete, setting.layout.widths[1]);
        let found = |tiling| {
            let options =
                GpuOptions { tiling: Some(tiling), kernels: Some(KernelSet::Hardware), ..GpuOptions::default() };
            sampled(&mut gpu_with(&setting, options), 150)
        };
        let expected = found(usual);
        assert!(expected.2.iter().any(|&entry| entry != 0.0));
        for tiling in [
            Tiling { small_quads: 2, ..usual },
            Tiling { large_from: 0, large_quads: 1, ..usual },
            Tiling { large_from: 0, large_split: true, ..usual },
            Tiling { large_from: 0, gradient_tile: 64, ..usual },
            Tiling { fused_below: 0, ..usual },
            Tiling { fused_below: usize::MAX, large_from: 0, ..usual },
            Tiling { dispatch: 50_000, ..usual },
        ] {
            assert_eq!(found(tiling), expected, "{tiling:?}");
        }
    }
    let setting = Setting::wave(4, 2, Order::Fixed, &[8], Activation::Relu);
    let tiling = Some(Tiling { small_quads: 3, ..Tiling::suggested(AdapterKind::Discrete, 8) });
    assert_refused(open(&setting, GpuOptions { tiling, ..GpuOptions::default() }), "3 and 2 quads");
}

/// Whether all layers are gone back through in one dispatch is for a batch as a whole to say, not for the parts that memory makes of it.
#[test]
fn small_batches_go_back_through_all_layers_in_one_dispatch() {
    let setting = Setting::wave(6, 2, Order::Uniform, &[24, 40, 16], Activation::Tanh);
    let dispatches = |fused_below, memory_budget, count: usize| {
        let tiling = Some(Tiling { fused_below, ..Tiling::suggested(AdapterKind::Discrete, 40) });
        let options = GpuOptions { tiling, memory_budget, kernels: Some(KernelSet::Hardware), ..GpuOptions::default() };
        let mut engine = gpu_with(&setting, options);
        engine.rollout(&Rollout::sample(DRAW, count).kept()).unwrap();
        let before = engine.counts().unwrap().dispatches;
        engine.gradient(&coefficients(count)).unwrap();
        engine.counts().unwrap().dispatches - before
    };
    // Six steps of three blocks are 18 workgroups of a layer's kernel.
    for (memory_budget, parts) in [(1 << 30, 1), (0, 3)] {
        let layer_by_layer = dispatches(0, memory_budget, 150);
        assert_eq!(dispatches(18, memory_budget, 150), layer_by_layer);
        // In place of one for the head and one for each of two layers.
        assert_eq!(dispatches(19, memory_budget, 150), layer_by_layer - 2 * parts);
    }
    assert!(dispatches(18, 1 << 30, 128) < dispatches(18, 1 << 30, 129));
}

/// log R = scale * number of neighbours that agree, in WGSL and in Rust; or WGSL that is wrong.
struct Agreement {
    sites: usize,
    source: &'static str,
}

const AGREEMENT: &str = "
    fn log_reward(trajectory: u32) -> f32 {
        var agreeing = 0.0;
        for (var site = 1u; site < SITES; site++) {
            agreeing += select(0.0, 1.0, value(trajectory, site - 1u) == value(trajectory, site));
        }
        return parameter(1u) * agreeing;
    }";

impl Target for Agreement {
    fn sites(&self) -> usize {
        self.sites
    }

    fn values(&self) -> usize {
        3
    }

    fn log_reward(&self, objects: &Objects, log_reward: &mut [f64]) {
        for (object, out) in objects.rows().zip(log_reward) {
            *out = 0.5 * object.windows(2).filter(|pair| pair[0] == pair[1]).count() as f64;
        }
    }

    fn kernel(&self) -> Option<RewardKernel> {
        Some(RewardKernel { source: self.source.into(), parameters: vec![9.0, 0.5], ..RewardKernel::default() })
    }
}

#[test]
fn a_target_with_a_kernel_gives_what_its_rust_gives() {
    let target = Arc::new(Agreement { sites: 7, source: AGREEMENT });
    let setting = Setting::new(target, Order::Uniform, &[16], Activation::Relu);
    let (mut oracle, mut engine) = (setting.native::<f64>(), gpu(&setting, KernelSet::Software));
    engine.rollout(&Rollout::sample(DRAW, 100)).unwrap();
    let trajectories = engine.trajectories().unwrap();
    let found = engine.rollout(&Rollout::replay(DRAW, &trajectories)).unwrap();
    let expected = oracle.rollout(&Rollout::replay(DRAW, &trajectories)).unwrap();
    // Halves of small numbers are exact in f32.
    assert_eq!(found.log_reward, expected.log_reward);
    assert!(found.log_reward.iter().any(|&value| value != found.log_reward[0]));
}

#[test]
fn a_wrong_kernel_is_an_error_that_says_where() {
    let missing = ("fn reward_of(trajectory: u32) -> f32 { return 0.0; }", "log_reward");
    let untyped = ("fn log_reward(trajectory: u32) -> f32 { return value(trajectory, 0u); }", "log_reward");
    let nonsense = ("fn log_reward(trajectory: u32) -> f32 { return spin; }", "spin");
    let garbage = ("<<< not WGSL >>>", "<<<");
    for (source, expected) in [missing, untyped, nonsense, garbage] {
        let target = Arc::new(Agreement { sites: 4, source });
        let setting = Setting::new(target, Order::Uniform, &[16], Activation::Relu);
        let Err(EngineError::Kernel(message)) = open(&setting, GpuOptions::default()) else {
            panic!("{source} was accepted, or refused as something else")
        };
        assert!(message.contains("`reward`") && message.contains(expected), "{message}");
    }
}

#[test]
fn weights_that_are_not_finite_neither_hang_nor_panic() {
    KERNEL_SETS.into_iter().for_each(weights_not_finite);
}

fn weights_not_finite(kernels: KernelSet) {
    let setting = Setting::wave(6, 3, Order::Uniform, &[8, 8], Activation::Swish);
    let mut engine = gpu(&setting, kernels);
    for weight in [f64::NAN, f64::INFINITY, 1e30, 1e-40] {
        engine.set_parameters(&vec![weight; setting.layout.parameters()]).unwrap();
        let batch = engine.rollout(&Rollout::sample(DRAW, 10).kept()).unwrap();
        assert_eq!(batch.log_forward.len(), 10);
        let objects = engine.objects().unwrap();
        assert!(objects.count() == 10 && objects.values().iter().all(|&value| value < 3), "{objects:?}");
        engine.gradient(&[1.0; 10]).unwrap();
    }
    engine.set_parameters(&setting.parameters()).unwrap();
    let batch = engine.rollout(&Rollout::sample(DRAW, 10)).unwrap();
    assert_finite(&batch.log_forward, "after what was not finite");
}

#[test]
fn an_unknown_adapter_and_impossible_shapes_are_clear_errors() {
    let setting = Setting::wave(6, 2, Order::Uniform, &[8], Activation::Relu);
    let unknown = GpuOptions { adapter: Some("Voodoo 2".into()), ..GpuOptions::default() };
    let Err(EngineError::NoAdapter(message)) = open(&setting, unknown) else { panic!("there is no such adapter") };
    assert!(message.contains("Voodoo 2") && message.contains('('), "{message}");

    let mut shallow = setting.clone();
    shallow.layout.widths = vec![6, 12];
    assert_refused(open(&shallow, GpuOptions::default()), "at least one hidden layer");

    // 2^20 * 2^20 weights are more than any adapter binds.
    let wide = Setting::wave(6, 2, Order::Uniform, &[8], Activation::Relu);
    let layout = Layout::new(6, &[1 << 20, 1 << 20], 12);
    let engine =
        GpuEngine::new(wide.process.clone(), layout, wide.activation, wide.target.clone(), GpuOptions::default());
    assert_refused(engine, "narrower");

    let target: Arc<dyn Target> = Arc::new(Wave { sites: 40_000, values: 2 });
    let long = Setting::new(target, Order::Uniform, &[8], Activation::Relu);
    assert_refused(open(&long, GpuOptions::default()), "the number of sites is 40000");

    let mut engine = gpu(&setting, KernelSet::Software);
    assert_refused(engine.set_parameters(&[0.0; 3]), "3 parameters given");
    engine.rollout(&Rollout::sample(DRAW, 4).kept()).unwrap();
    assert_refused(engine.gradient(&[1.0; 5]), "5 coefficients for 4 trajectories");
}

#[test]
fn targets_without_a_network_have_no_gradient() {
    let setting = Setting::wave(6, 2, Order::Uniform, &[8], Activation::Relu);
    let mut engine = gpu(&setting, KernelSet::Software);
    let objects = Objects::numbered(6, 2, 0..4);
    assert_eq!(engine.log_reward(&objects).unwrap(), setting.native::<f64>().log_reward(&objects).unwrap());
    assert_refused(engine.reward_gradient(&objects, &[1.0; 4]), "not a network");

    let target = Arc::new(Agreement { sites: 6, source: AGREEMENT });
    let mut engine = gpu(&Setting::new(target, Order::Uniform, &[8], Activation::Relu), KernelSet::Software);
    assert_eq!(engine.log_reward(&Objects::new(6, vec![2; 6])).unwrap(), [2.5], "five pairs agree");
    assert_refused(engine.reward_gradient(&objects, &[1.0; 4]), "not a network");
}

/// An iteration gives the device two lists of commands, what comes before the host's coefficients and what comes after, and waits twice.
#[test]
fn an_iteration_submits_and_waits_twice() {
    let settings = toml::from_str(
        "policy = { hidden = [16, 16] }\nobjective = { kind = 'reverse_kl' }\ntraining = { batch = 128 }\nengine = { kind = 'gpu' }",
    );
    let target = Arc::new(wgflow::targets::ising::Ising::new(4, 0.3).unwrap());
    let mut trainer = wgflow::trainer::Trainer::build(&settings.unwrap(), target).unwrap().0;
    trainer.step().unwrap();
    let before = trainer.engine().counts().unwrap();
    for _ in 0..5 {
        trainer.step().unwrap();
    }
    let after = trainer.engine().counts().unwrap();
    assert_eq!((after.submits - before.submits, after.waits - before.waits), (10, 10));
    assert!(after.dispatches > before.dispatches + 40, "{before:?} {after:?}");
}
