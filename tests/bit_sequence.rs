//! Bit sequences on both engines, and a policy trained on all 64 of a small one.

mod common;

use std::sync::Arc;

use common::Setting;
use common::compare::assert_close;
use wgflow::config::{Config, Inputs};
use wgflow::engine::gpu::{GpuEngine, GpuOptions};
use wgflow::engine::{Differentiate, Roll};
use wgflow::network::Activation;
use wgflow::process::{Objects, Order};
use wgflow::targets::Target;
use wgflow::targets::bit_sequence::BitSequence;
use wgflow::trainer::{Builder, Trainer};

/// Whole numbers times a scale: the same to the last bit.
#[test]
fn log_r_is_the_same_on_both_engines() {
    let mut compared = 0;
    for (length, word, modes) in
        [(6, 2, 3), (9, 3, 5), (32, 1, 7), (120, 8, 60), (120, 1, 60), (75, 5, 40), (128, 4, 1)]
    {
        let target = Arc::new(BitSequence::new(length, word, modes, 3, 3.7).unwrap());
        let setting = Setting::new(target.clone(), Order::Fixed, &[8], Activation::Relu);
        let options = GpuOptions { adapter: std::env::var("WGFLOW_ADAPTER").ok(), ..GpuOptions::default() };
        let (process, layout) = (setting.process.clone(), setting.layout.clone());
        let mut engine = GpuEngine::new(process, layout, setting.activation, setting.target.clone(), options)
            .expect("an adapter, for the GPU tests");
        engine.set_parameters(&setting.parameters()).unwrap();
        let objects = target.test_objects().unwrap();
        let objects =
            Objects::new(objects.sites(), objects.values()[..objects.sites() * objects.count().min(500)].to_vec());
        let mut expected = vec![f64::NAN; objects.count()];
        target.log_reward(&objects, &mut expected);
        assert!(expected.iter().any(|log_reward| *log_reward < -0.5), "{expected:?}");
        assert_eq!(engine.log_reward(&objects).unwrap(), expected, "{length} bits, words of {word}, {modes} modes");
        compared += expected.len();
    }
    assert!(compared > 1000, "{compared}");
}

fn small(changes: &[&str]) -> Trainer {
    let text = "target = { kind = 'bit_sequence', length = 6, word = 2, modes = 3, mode_seed = 4, beta = 12 }
        policy = { hidden = [32, 32], order = 'fixed', activation = 'relu', initialisation = 'fan_in' }
        objective = { kind = 'trajectory_balance' }
        optimizer = { learning_rate = 5e-3 }
        evaluation = { samples = 4096 }
        training = { iterations = 400, batch = 64 }
        engine = { kind = 'cpu' }";
    let changes: Vec<String> = changes.iter().map(ToString::to_string).collect();
    let config = Config::parse(text, &changes).unwrap();
    Builder::of(&config, Inputs::Files).unwrap().build().unwrap().0
}

#[test]
fn a_policy_learns_all_objects_of_a_small_one() {
    let mut trainer = small(&[]);
    while !trainer.is_done() {
        trainer.step().unwrap();
    }
    let all = Objects::numbered(3, 4, 0..64);
    // In the fixed order an object has one trajectory.
    let batch = trainer.evaluate_backward(1, 0, &all).unwrap();
    let log_z = trainer.target().log_z().unwrap();
    let made: Vec<f64> = batch.log_forward.iter().map(|log_forward| log_forward.exp()).collect();
    let wanted: Vec<f64> = batch.log_reward.iter().map(|log_reward| (log_reward - log_z).exp()).collect();
    assert_close(&[made.iter().sum(), wanted.iter().sum()], &[1.0, 1.0], 1e-5, "probabilities add up");
    let variation: f64 = made.iter().zip(&wanted).map(|(made, wanted)| (made - wanted).abs() / 2.0).sum();
    assert!(variation < 0.03, "total variation {variation}");
    assert!((trainer.zeta().unwrap() - log_z).abs() < 0.05, "{:?} is not {log_z}", trainer.zeta());
}
