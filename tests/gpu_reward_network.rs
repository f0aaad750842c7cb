//! log R that is the output of a network, on the GPU engine against the native one in f64. Needs an adapter, as gpu_engine.rs does.

mod common;

use std::sync::{Arc, Mutex};

use common::compare::{absolute_sum, assert_close, assert_layers_close};
use common::gpu::{DRAW, KERNEL_SETS, assert_refused, gpu, gpu_with, replay_of};
use common::{Setting, coefficients};
use wgflow::engine::gpu::{AdapterKind, GpuEngine, GpuOptions, KernelSet, Tiling};
use wgflow::engine::{Differentiate, Roll, Rollout};
use wgflow::network::{Activation, Initialisation, Layout, initialise};
use wgflow::process::{Encoding, Objects, Order};
use wgflow::random::Stream;
use wgflow::targets::{RewardNetwork, Target};

/// A target whose log R is a network on objects of three or two values.
struct Dense {
    sites: usize,
    values: usize,
    activation: Activation,
    layout: Layout,
    parameters: Mutex<(u64, Arc<[f64]>)>,
}

impl Dense {
    fn new(sites: usize, values: usize, hidden: &[usize], activation: Activation) -> Self {
        let layout = Layout::new(if values == 2 { sites } else { sites * values }, hidden, 1);
        let target = Self { sites, values, activation, layout, parameters: Mutex::new((0, Arc::new([]))) };
        target.initialise(1);
        target
    }

    /// Other parameters, large enough for log R to differ by some units between objects.
    fn initialise(&self, seed: u64) {
        let small = initialise(&self.layout, Initialisation::FanIn, seed, Stream::EnergyInitialisation);
        let parameters = small.iter().map(|value| f64::from((3.0 * value) as f32)).collect();
        *self.parameters.lock().unwrap() = (seed, parameters);
    }
}

impl Target for Dense {
    fn sites(&self) -> usize {
        self.sites
    }

    fn values(&self) -> usize {
        self.values
    }

    fn encoding(&self) -> Encoding {
        if self.values == 2 { Encoding::Scalar { unset: -1.0, codes: vec![0.5, 2.0] } } else { Encoding::OneHot }
    }

    fn log_reward(&self, _: &Objects, _: &mut [f64]) {
        panic!("engines evaluate the network by themselves");
    }

    fn network(&self) -> Option<RewardNetwork> {
        let (version, parameters) = self.parameters.lock().unwrap().clone();
        Some(RewardNetwork { layout: self.layout.clone(), activation: self.activation, parameters, version })
    }
}

/// Sums of some tens of f32 terms of order one, layer after layer.
const REWARD_TOLERANCE: f64 = 1e-5;
/// As for a policy's gradient, with weights that are larger: activations reach ten, and their roundings with them.
const REWARD_GRADIENT_TOLERANCE: f64 = 160.0 * f32::EPSILON as f64;

#[test]
fn log_r_of_a_network_and_its_gradient_follow_f64() {
    let targets = [
        Dense::new(9, 2, &[8], Activation::Elu),
        Dense::new(32, 2, &[64, 64, 64], Activation::Elu),
        Dense::new(6, 3, &[24, 40], Activation::Swish),
        Dense::new(7, 2, &[17, 33, 5, 20], Activation::Tanh),
        Dense::new(5, 4, &[130], Activation::LeakyRelu),
    ];
    let targets = targets.map(Arc::new);
    for (target, kernels) in targets.iter().flat_map(|target| KERNEL_SETS.map(|set| (target, set))) {
        let setting = Setting::new(target.clone(), Order::Uniform, &[16, 24], Activation::Relu);
        let (mut oracle, mut engine) = (setting.native::<f64>(), gpu(&setting, kernels));
        for (count, version) in [(1, 2), (63, 3), (64, 3), (300, 4), (100, 4)] {
            target.initialise(version);
            let label = format!("{:?} {kernels:?}, {count}", target.layout.widths);
            engine.rollout(&Rollout::sample(DRAW, count).kept()).unwrap();
            let trajectories = engine.trajectories().unwrap();
            let objects = engine.objects().unwrap();
            let expected = oracle.rollout(&replay_of(&trajectories, 0)).unwrap();
            let batch = engine.rollout(&replay_of(&trajectories, 0)).unwrap();
            assert_close(&batch.log_reward, &expected.log_reward, REWARD_TOLERANCE, &label);
            let of_policy = engine.gradient(&coefficients(count)).unwrap();
            engine.rollout(&replay_of(&trajectories, 0)).unwrap();

            assert_eq!(engine.log_reward(&objects).unwrap(), batch.log_reward, "asked for by themselves: {label}");
            // Of either sign, but not so that they cancel in the derivative of the bias.
            let weights: Vec<f64> = coefficients(count).iter().map(|c| c + 0.3 / count as f64).collect();
            let expected = oracle.reward_gradient(&objects, &weights).unwrap();
            let found = engine.reward_gradient(&objects, &weights).unwrap();
            assert_eq!(found, engine.reward_gradient(&objects, &weights).unwrap(), "again: {label}");
            // A single object's deltas may nearly cancel, and are then rounded at the size that they have for others.
            oracle.rollout(&Rollout::sample(DRAW, count.max(64))).unwrap();
            let others = oracle.objects().unwrap();
            let total: f64 = weights.iter().map(|weight| weight.abs()).sum();
            let terms = absolute_sum(others.rows().map(|object| {
                let object = Objects::new(target.sites, object.to_vec());
                oracle.reward_gradient(&object, &[total / others.count() as f64]).unwrap()
            }));
            assert_layers_close(&target.layout, &found, &expected, &terms, REWARD_GRADIENT_TOLERANCE, &label);
            assert_eq!(engine.gradient(&coefficients(count)).unwrap(), of_policy, "the batch held stays: {label}");
            assert_eq!(engine.objects().unwrap(), objects);
        }
    }
}

#[test]
fn neither_memory_nor_dispatches_change_a_bit_of_a_networks_log_r() {
    KERNEL_SETS.into_iter().for_each(same_bits);
}

fn same_bits(kernels: KernelSet) {
    let target = Arc::new(Dense::new(12, 2, &[24, 40], Activation::Elu));
    let setting = Setting::new(target.clone(), Order::Uniform, &[16], Activation::Relu);
    let objects = Objects::numbered(12, 2, 0..300);
    let all = |engine: &mut GpuEngine| {
        let gradient = engine.reward_gradient(&objects, &coefficients(300)).unwrap();
        (engine.log_reward(&objects).unwrap(), gradient)
    };
    let expected = all(&mut gpu(&setting, kernels));
    let short = Tiling { dispatch: 1, ..Tiling::suggested(AdapterKind::Software, 40) };
    // One block of objects at a time, then two: padded widths are 32 and 48.
    for (memory_budget, tiling) in [(0, None), (2 * 64 * 2 * 80 * 4, None), (u64::MAX, Some(short))] {
        let mut engine =
            gpu_with(&setting, GpuOptions { memory_budget, tiling, kernels: Some(kernels), ..GpuOptions::default() });
        assert_eq!(all(&mut engine), expected, "with {memory_budget} bytes");
    }
}

#[test]
fn objects_of_another_shape_are_refused() {
    let objects = Objects::numbered(6, 2, 0..4);
    let target = Arc::new(Dense::new(6, 2, &[8], Activation::Elu));
    let mut engine = gpu(&Setting::new(target, Order::Uniform, &[8], Activation::Relu), KernelSet::Software);
    for wrong in [Objects::numbered(5, 2, 0..4), Objects::new(6, vec![3; 24])] {
        let words = format!("objects of {} sites, where log R is of 6 sites of 2 values", wrong.sites());
        assert_refused(engine.log_reward(&wrong), &words);
        assert_refused(engine.reward_gradient(&wrong, &[1.0; 4]), &words);
    }
    assert_refused(engine.reward_gradient(&objects, &[1.0; 3]), "3 coefficients for 4 objects");
    assert!(engine.log_reward(&Objects::new(6, Vec::new())).unwrap().is_empty());
}
