//! Training on other trajectories than the policy's own: replayed objects, and exploration.

mod common;

use common::compare::{assert_close, distance};
use wgflow::config::{Config, Inputs};
use wgflow::objective::{Estimator, Loss, Source, Term};
use wgflow::process::Objects;
use wgflow::trainer::{Builder, Trainer};

fn built(changes: &[&str]) -> Result<Trainer, String> {
    let text = "target = { kind = 'bit_sequence', length = 6, word = 2, modes = 3, mode_seed = 4, beta = 12 }
        policy = { hidden = [32, 32], order = 'uniform', activation = 'relu', initialisation = 'fan_in' }
        objective = { kind = 'trajectory_balance' }
        optimizer = { learning_rate = 5e-3 }
        evaluation = { samples = 4096 }
        training = { iterations = 400, batch = 64 }
        engine = { kind = 'cpu' }";
    let changes: Vec<String> = changes.iter().map(ToString::to_string).collect();
    let builder = Config::parse(text, &changes).and_then(|config| Builder::of(&config, Inputs::Files));
    let builder = builder.map_err(|error| error.to_string())?;
    Ok(builder.build().map_err(|error| error.to_string())?.0)
}

fn train(trainer: &mut Trainer, iterations: u32) {
    (0..iterations).for_each(|_| drop(trainer.step().unwrap()));
}

/// Total variation of the policy's objects and the target's, in the fixed order.
fn variation(trainer: &mut Trainer) -> f64 {
    let batch = trainer.evaluate_backward(1, 0, &Objects::numbered(3, 4, 0..64)).unwrap();
    let log_z = trainer.target().log_z().unwrap();
    let made: Vec<f64> = batch.log_forward.iter().map(|log_forward| log_forward.exp()).collect();
    assert_close(&[made.iter().sum()], &[1.0], 1e-5, "the sum of all probabilities");
    let wanted = batch.log_reward.iter().map(|log_reward| (log_reward - log_z).exp());
    made.iter().zip(wanted).map(|(made, wanted)| (made - wanted).abs() / 2.0).sum()
}

const REPLAYS: [&str; 2] =
    ["replay={capacity=20, fraction=0.5, sampling='ranked', start=3}", "replay={capacity=1000, fraction=0.25}"];

#[test]
fn a_replaying_policy_learns_all_objects_of_a_small_target() {
    for replay in REPLAYS {
        for objective in ["trajectory_balance", "log_variance", "subtrajectory_balance"] {
            let objective = &format!("objective.kind={objective}");
            let mut trainer = built(&[replay, objective, "policy.order=fixed"]).unwrap();
            train(&mut trainer, 400);
            let found = variation(&mut trainer);
            assert!(found < 0.03, "{replay}, {objective}: {found}");
        }
    }
}

#[test]
fn replay_resumes_bit_for_bit() {
    for engine in ["engine.kind=cpu", "engine.kind=gpu"] {
        for replay in REPLAYS {
            let build = || built(&[replay, engine]).unwrap();
            let (mut whole, mut first, mut second) = (build(), build(), build());
            train(&mut whole, 12);
            train(&mut first, 7);
            second.restore(&first.checkpoint()).unwrap();
            train(&mut second, 5);
            assert_eq!(second.checkpoint(), whole.checkpoint(), "{engine}, {replay}");
            let mut plain = built(&[engine]).unwrap();
            train(&mut plain, 12);
            assert!(distance(&plain.parameters(), &whole.parameters()) > 1e-3, "{replay} does something");
        }
    }
}

#[test]
fn a_checkpoint_of_a_run_without_replay_is_refused() {
    let checkpoint = built(&[]).unwrap().checkpoint();
    let error = built(&[REPLAYS[0]]).unwrap().restore(&checkpoint).unwrap_err().to_string();
    assert!(error.contains("replay.objects"), "{error}");
}

#[test]
fn before_its_start_replay_changes_nothing() {
    let mut plain = built(&[]).unwrap();
    let mut late = built(&["replay={capacity=50, start=8}"]).unwrap();
    train(&mut plain, 8);
    train(&mut late, 8);
    assert_eq!(plain.parameters(), late.parameters());
    train(&mut plain, 1);
    train(&mut late, 1);
    assert_ne!(plain.parameters(), late.parameters());
}

#[test]
fn a_term_is_shared_by_fresh_and_replayed_trajectories() {
    let term = Term { source: Source::Forward, weight: 0.5, estimator: Estimator::Regression(Loss::Squared) };
    let [fresh, replayed] = term.replaying(0.25);
    assert_eq!((fresh.source, fresh.weight), (Source::Forward, 0.375));
    assert_eq!((replayed.source, replayed.weight), (Source::Replay, 0.125));
}

#[test]
fn objectives_on_samples_of_the_policy_refuse_what_is_replayed() {
    for objective in [
        "kind='reverse_kl'",
        "kind='snis_forward_kl'",
        "kind='alpha_kl', alpha=0.5",
        "kind='renyi', divergence_order=2",
        "kind='tsallis', divergence_order=0.5",
    ] {
        let error = built(&[&format!("objective={{{objective}}}"), REPLAYS[1]]).err().unwrap();
        let words = ["replay.capacity = 1000", "importance weights", "log_variance"];
        assert!(words.iter().all(|word| error.contains(word)), "{objective}: {error}");
    }
    assert!(built(&["replay.capacity=10", "training.batch=3"]).err().unwrap().contains("replay.fraction"));
    assert!(built(&["replay.sampling=best"]).err().unwrap().contains("replay.sampling"));
}
