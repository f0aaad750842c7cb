//! log R to its last digit: what f32 cannot hold is multiplied or evaluated in f64.

mod common;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use common::Setting;
use common::gpu::gpu_with;
use wgflow::config::Settings;
use wgflow::engine::gpu::{GpuEngine, GpuOptions};
use wgflow::engine::{Engine, Roll, Rollout};
use wgflow::evaluation::evaluate;
use wgflow::network::{Activation, Initialisation, initialise};
use wgflow::process::{Encoding, Objects, Order};
use wgflow::random::{Draw, Stream};
use wgflow::targets::energy_model::{self, EnergyModel};
use wgflow::targets::ising::Ising;
use wgflow::targets::{Sampler, Target, TargetError};
use wgflow::trainer::Trainer;

const DRAW: Draw = Draw { seed: 5, iteration: 0, stream: Stream::Training, first_trajectory: 0 };

fn gpu(setting: &Setting) -> GpuEngine {
    gpu_with(setting, GpuOptions::default())
}

fn log_rewards(target: &dyn Target, objects: &Objects) -> Vec<f64> {
    let mut log_reward = vec![f64::NAN; objects.count()];
    target.log_reward(objects, &mut log_reward);
    log_reward
}

/// The largest side is 70: the GPU engine takes 5,000 sites at most.
#[test]
fn isings_log_r_is_the_same_to_the_last_bit_on_both_engines() {
    for (side, trajectories) in [(3, 300), (6, 100), (70, 3)] {
        for coupling in [0.1, 0.44, -0.37, 100.0, 0.0] {
            let target = Arc::new(Ising::new(side, coupling).unwrap());
            let setting = Setting::new(target.clone(), Order::Fixed, &[4], Activation::Relu);
            let (mut engine, native) = (gpu(&setting), setting.native::<f32>());
            let batch = engine.rollout(&Rollout::sample(DRAW, trajectories)).unwrap();
            let objects = engine.objects().unwrap();
            assert_eq!(objects.count(), trajectories);
            assert_eq!(batch.log_reward, log_rewards(target.as_ref(), &objects), "side {side}, coupling {coupling}");
            // Ordered objects have the largest log R there is.
            let mut values = objects.values().to_vec();
            values.extend(vec![1; side * side]);
            values.extend((0..side * side).map(|site| ((site / side + site % side) % 2) as u8));
            let objects = Objects::new(side * side, values);
            let expected = log_rewards(target.as_ref(), &objects);
            assert_eq!(expected[trajectories], coupling * (2 * side * side) as f64);
            assert_eq!(engine.log_reward(&objects).unwrap(), expected, "side {side}, coupling {coupling}");
            let mut native = native;
            assert_eq!(native.log_reward(&objects).unwrap(), expected);
        }
    }
}

/// The largest torus's bond sum is below 2^24, up to where f32 holds every whole number.
#[test]
fn the_largest_torus_has_a_bond_sum_that_f32_holds() {
    let target = Ising::new(256, 100.0).unwrap();
    let kernel = target.kernel().unwrap();
    assert_eq!(kernel.scale, 100.0);
    let ordered = Objects::new(1 << 16, vec![1; 1 << 16]);
    let bonds = log_rewards(&target, &ordered)[0] / kernel.scale;
    assert_eq!(bonds, 131_072.0);
    assert!(bonds < 2f64.powi(f32::MANTISSA_DIGITS as i32));
    // f32 could not have held the product with another coupling.
    assert_ne!(f64::from(0.1_f32 * 131_072.0), 0.1 * 131_072.0);
}

fn settings(engine: &str) -> Settings {
    toml::from_str(&format!(
        "policy = {{ hidden = [8], initialisation = 'fan_in' }}\nengine = {{ kind = '{engine}' }}\ntraining = {{ iterations = 1 }}"
    ))
    .unwrap()
}

/// An energy model of 10 bits with log R of nearly 2e6, where f32 counts in eighths.
fn large() -> EnergyModel {
    let layout = energy_model::layout(10, &[16]);
    let mut parameters = initialise(&layout, Initialisation::FanIn, 1, Stream::EnergyInitialisation);
    // Flat enough for an untrained policy to have a small standard error.
    let [hidden, output] = layout.layers().try_into().ok().unwrap();
    parameters[hidden.weight].iter_mut().for_each(|weight| *weight *= 0.2);
    parameters[output.bias.start] = 1_999_999.875;
    EnergyModel::new(layout, &parameters)
}

#[test]
fn an_energy_of_two_million_does_not_cost_log_z_its_digits() {
    for engine in ["cpu", "gpu"] {
        let model = large();
        let objects = Objects::numbered(10, 2, 0..1024);
        let exact_rewards = log_rewards(&model, &objects);
        let (mut trainer, _) = Trainer::build(&settings(engine), Arc::new(model)).unwrap();
        // In f32 alone log R is off by a good part of an eighth, nearly the same for every object.
        let single = trainer.engine().log_reward(&objects).unwrap();
        let shifts = single.iter().zip(&exact_rewards).map(|(single, exact)| single - exact);
        let shift = (shifts.sum::<f64>() / 1024.0).abs();

        let found = evaluate(&mut trainer, 32_768).unwrap().evaluation;
        let exact = found.log_z_exact.unwrap();
        assert!(exact > 2e6);
        // Such a shift is more than what the standard error allows for.
        assert!(found.log_z_standard_error > 0.0 && shift > 4.0 * found.log_z_standard_error, "{shift} {found:?}");
        let error = (found.log_z_estimate - exact).abs();
        // Four standard errors; rounding is 2.3e-10 in f64 at this size.
        assert!(error < 4.0 * found.log_z_standard_error, "{engine}: {error}, {}", found.log_z_standard_error);
        assert!(found.elbo < exact + 4.0 * found.elbo_standard_error);
        let compared = found.exact.unwrap();
        // Sums of 1024 numbers, and logarithms of 2e6 with a spacing of 2.3e-10.
        assert!((compared.log_z - exact).abs() < 1e-8, "{} {exact}", compared.log_z);
    }
}

/// A target whose network is not what it says log R is: only who asks the target itself finds its log Z.
struct Shifted {
    model: EnergyModel,
    samples: Vec<u8>,
}

impl Target for Shifted {
    fn sites(&self) -> usize {
        self.model.sites()
    }

    fn values(&self) -> usize {
        2
    }

    fn encoding(&self) -> wgflow::process::Encoding {
        self.model.encoding()
    }

    fn log_reward(&self, objects: &Objects, log_reward: &mut [f64]) {
        self.model.log_reward(objects, log_reward);
        log_reward.iter_mut().for_each(|log_reward| *log_reward += 1.0);
    }

    fn network(&self) -> Option<wgflow::targets::RewardNetwork> {
        self.model.network()
    }

    fn sampler(&self, _: u64, chains: usize) -> Result<Box<dyn Sampler>, TargetError> {
        Ok(Box::new(Same(self.samples.repeat(chains), self.sites())))
    }
}

struct Same(Vec<u8>, usize);

impl Sampler for Same {
    fn sample(&mut self, _: &Draw) -> Objects {
        Objects::new(self.1, self.0.clone())
    }

    fn state(&self) -> Vec<u8> {
        Vec::new()
    }

    fn restore(&mut self, _: &[u8]) -> Result<(), TargetError> {
        Ok(())
    }
}

#[test]
fn every_estimate_is_made_with_the_targets_own_log_r() {
    let of = |shifted: bool| {
        let layout = energy_model::layout(6, &[4]);
        let parameters = initialise(&layout, Initialisation::FanIn, 2, Stream::EnergyInitialisation);
        let model = EnergyModel::new(layout, &parameters);
        let shifted_target = Shifted { model, samples: vec![1, 0, 0, 1, 1, 0] };
        let (mut trainer, _) = Trainer::build(&settings("cpu"), Arc::new(shifted_target)).unwrap();
        if shifted {
            let found = evaluate(&mut trainer, 4096).unwrap().evaluation;
            return [found.log_z_estimate, found.elbo, found.eubo.unwrap(), found.exact.unwrap().log_z];
        }
        // The same by the engine's log R.
        let seed = trainer.settings().seed;
        let (batch, _) = trainer.evaluate_forward(seed, 0, 4096).unwrap();
        let samples = Objects::new(6, [1, 0, 0, 1, 1, 0].repeat(4096));
        let backward = trainer.evaluate_backward(seed, 0, &samples).unwrap();
        let forward = batch.log_weights();
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let weights: Vec<f64> = forward.iter().map(|log| log.exp()).collect();
        let all = trainer.engine().log_reward(&Objects::numbered(6, 2, 0..64)).unwrap();
        let log_z = all.iter().map(|log| log.exp()).sum::<f64>().ln();
        [mean(&weights).ln(), mean(&forward), mean(&backward.log_weights()), log_z]
    };
    for (found, unshifted) in of(true).into_iter().zip(of(false)) {
        // log R near 0 in f32.
        assert!((found - unshifted - 1.0).abs() < 1e-5, "{found} {unshifted}");
    }
}

/// A target that is asked for whole batches, and counts how often.
struct Once(Ising, AtomicUsize, std::thread::ThreadId);

impl Target for Once {
    fn sites(&self) -> usize {
        self.0.sites()
    }

    fn values(&self) -> usize {
        self.0.values()
    }

    fn encoding(&self) -> Encoding {
        self.0.encoding()
    }

    fn log_reward(&self, objects: &Objects, log_reward: &mut [f64]) {
        assert_eq!(std::thread::current().id(), self.2, "asked from another thread");
        self.1.fetch_add(1, Relaxed);
        self.0.log_reward(objects, log_reward);
    }

    fn at_once(&self) -> bool {
        true
    }
}

#[test]
fn a_target_can_be_asked_for_a_batch_at_once_for_the_same_bits() {
    let ising = || Ising::new(4, 0.3).unwrap();
    let once = Arc::new(Once(ising(), AtomicUsize::new(0), std::thread::current().id()));
    let setting = Setting::new(once.clone(), Order::Uniform, &[8], Activation::Relu);
    let plain = Setting::new(Arc::new(ising()), Order::Uniform, &[8], Activation::Relu);
    let mut expected = plain.native::<f32>();
    let expected = expected.rollout(&Rollout::sample(DRAW, 300)).unwrap();
    for mut engine in [Box::new(setting.native::<f32>()) as Box<dyn Engine>, Box::new(gpu(&setting))] {
        once.1.store(0, Relaxed);
        let batch = engine.rollout(&Rollout::sample(DRAW, 300)).unwrap();
        assert_eq!(batch.log_reward, log_rewards(&once.0, &engine.objects().unwrap()), "{}", engine.name());
        assert_eq!(once.1.load(Relaxed), 1, "{}", engine.name());
        if engine.name().starts_with("native") {
            assert_eq!(
                (batch.log_forward, batch.log_reward),
                (expected.log_forward.clone(), expected.log_reward.clone())
            );
        }
    }
}
