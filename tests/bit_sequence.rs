//! Bit sequences on both engines, and a policy trained on all 64 of a small one.

mod common;

use std::sync::Arc;

use common::Setting;
use common::compare::assert_close;
use common::gpu::gpu_with;
use wgflow::config::Inputs;
use wgflow::engine::gpu::GpuOptions;
use wgflow::engine::{Roll, Rollout};
use wgflow::network::Activation;
use wgflow::process::{Objects, Order, Trajectories};
use wgflow::random::{Draw, Stream};
use wgflow::targets::Target;
use wgflow::targets::bit_sequence::BitSequence;
use wgflow::trainer::Trainer;

/// Whole numbers times a scale: the same to the last bit.
#[test]
fn log_r_is_the_same_on_both_engines() {
    let mut compared = 0;
    for (length, word, modes) in
        [(6, 2, 3), (9, 3, 5), (32, 1, 7), (120, 8, 60), (120, 1, 60), (75, 5, 40), (128, 4, 1)]
    {
        let target = Arc::new(BitSequence::new(length, word, modes, 3, 3.7).unwrap());
        let setting = Setting::new(target.clone(), Order::Fixed, &[8], Activation::Relu);
        let mut engine = gpu_with(&setting, GpuOptions::default());
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
    common::built(text, changes, Inputs::Files).unwrap()
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

    let evaluation = wgflow::evaluate(&mut trainer, 4096).unwrap().evaluation;
    let test = evaluation.test_set.unwrap();
    assert_eq!((test.objects, test.trajectories), (3 * 6, 1));
    assert!(test.pearson.unwrap() > 0.99 && test.spearman.unwrap() > 0.8, "{test:?}");
    let tested = trainer.target().test_objects().unwrap();
    let expected = trainer.evaluate_backward(7, 0, &tested).unwrap().log_forward.iter().sum::<f64>() / 18.0;
    assert_close(&[test.log_likelihood], &[expected], 1e-12, "mean log P");
    let top = evaluation.top.unwrap();
    assert!(top.objects <= 64 && top.objects > 20 && top.diversity.unwrap() > 1.0, "{top:?}");
    assert_eq!(evaluation.modes.map(|modes| (modes.found, modes.of)), Some((3, 3)));
    assert_eq!(trainer.modes_found(), Some(3));
}

/// log P_F^T of an object is a sum over the orders in which its sites are filled: all six of them, against the estimate of an evaluation.
#[test]
fn likelihoods_by_backward_trajectories_are_those_of_all_orders() {
    let mut trainer = small(&["policy.order=uniform", "evaluation.nll_trajectories=1024"]);
    (0..60).for_each(|_| drop(trainer.step().unwrap()));
    let test = wgflow::evaluate(&mut trainer, 4096).unwrap().evaluation.test_set.unwrap();
    assert_eq!(test.trajectories, 1024);
    let tested = trainer.target().test_objects().unwrap();
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    let actions =
        |row: &[u8]| orders.iter().flatten().map(|&site| site as u32 * 4 + u32::from(row[site])).collect::<Vec<_>>();
    let trajectories = Trajectories::new(3, tested.rows().flat_map(actions).collect());
    let draw = Draw::new(0, 0, Stream::Evaluation);
    let batch = trainer.engine().rollout(&Rollout::replay(draw, &trajectories)).unwrap();
    let log_p: Vec<f64> =
        batch.log_forward.chunks(6).map(|orders| orders.iter().map(|log_p| log_p.exp()).sum::<f64>().ln()).collect();
    assert_eq!(log_p.len(), 18);
    // Six orders of some spread, each some 170 times: a hundredth or so an object.
    assert_close(&[test.log_likelihood], &[log_p.iter().sum::<f64>() / 18.0], 0.02, "mean log P");
}

#[test]
fn the_modes_found_in_training_resume() {
    let (mut whole, mut first, mut second) = (small(&[]), small(&[]), small(&[]));
    assert_eq!(whole.modes_found(), Some(0));
    (0..6).for_each(|_| drop(whole.step().unwrap()));
    (0..2).for_each(|_| drop(first.step().unwrap()));
    let checkpoint = first.checkpoint();
    second.restore(&checkpoint).unwrap();
    assert_eq!(second.modes_found(), first.modes_found());
    assert!(first.modes_found() > Some(0), "a batch of 64 among 64 objects");
    (0..4).for_each(|_| drop(second.step().unwrap()));
    assert_eq!(second.checkpoint(), whole.checkpoint());
    let mut foreign = checkpoint.clone();
    foreign.put_bytes("modes_found", &[0, 1, 2]);
    assert!(second.restore(&foreign).unwrap_err().to_string().contains("modes_found"));
}
