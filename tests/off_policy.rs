//! Training on other trajectories than the policy's own: replayed objects, and exploration.

mod common;

use common::compare::{assert_close, distance};
use wgflow::config::Inputs;
use wgflow::engine::{Behaviour, Rollout};
use wgflow::objective::{Estimator, Loss, Source, Term};
use wgflow::process::Objects;
use wgflow::random::{Draw, Stream};
use wgflow::trainer::Trainer;

fn built(changes: &[&str]) -> Result<Trainer, String> {
    let text = "target = { kind = 'bit_sequence', length = 6, word = 2, modes = 3, mode_seed = 4, beta = 12 }
        policy = { hidden = [32, 32], order = 'uniform', activation = 'relu', initialisation = 'fan_in' }
        objective = { kind = 'trajectory_balance' }
        optimizer = { learning_rate = 5e-3 }
        evaluation = { samples = 4096 }
        training = { iterations = 400, batch = 64 }
        engine = { kind = 'cpu' }";
    common::built(text, changes, Inputs::Files)
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

/// How often each first action is taken of the policy `p` (its logarithms), by `count` trajectories that behave so.
fn frequencies(trainer: &mut Trainer, behaviour: Behaviour, actions: usize) -> Vec<f64> {
    const COUNT: usize = 20_000;
    let draw = Draw::new(11, 0, Stream::Training);
    let batch = trainer.engine().rollout(&Rollout::sample(draw, COUNT).behaving(behaviour).with_steps(true)).unwrap();
    let trajectories = trainer.engine().trajectories().unwrap();
    // log P_F is the policy's: that of the same trajectories replayed.
    let replayed = trainer.engine().rollout(&Rollout::replay(draw, &trajectories)).unwrap();
    assert_close(&batch.log_forward, &replayed.log_forward, 1e-4, "log P_F");
    let mut counts = vec![0.0; actions];
    (0..COUNT).for_each(|row| counts[trajectories.row(row)[0] as usize] += 1.0 / COUNT as f64);
    counts
}

/// Both engines, site filling and a process with masks: the first choice against what epsilon and the temperature make of the policy.
#[test]
fn choices_are_as_frequent_as_epsilon_and_the_temperature_say() {
    let masked = "target={kind='hypergrid', dimensions=3, height=5}";
    let mut compared = 0;
    for engine in ["engine.kind=cpu", "engine.kind=gpu"] {
        for (target, actions) in [("policy.order=fixed", 4), (masked, 4)] {
            let mut trainer = built(&[engine, target, "optimizer.learning_rate=1e-2"]).unwrap();
            train(&mut trainer, 60);
            let policy = frequencies(&mut trainer, Behaviour::default(), actions);
            assert!(policy.iter().all(|p| *p > 0.005) && distance(&policy, &[0.25; 4]) > 0.05, "{policy:?}");
            for (epsilon, temperature) in [(1.0, 1.0), (0.4, 1.0), (0.0, 3.0), (0.2, 0.5)] {
                let found = frequencies(&mut trainer, Behaviour { epsilon, temperature }, actions);
                let heated: Vec<f64> = policy.iter().map(|p: &f64| p.powf(1.0 / temperature)).collect();
                let sum: f64 = heated.iter().sum();
                let expected: Vec<f64> =
                    heated.iter().map(|p| epsilon / actions as f64 + (1.0 - epsilon) * p / sum).collect();
                // Deviations of 0.0035 of 20,000 draws each, and of the policy's own share as much, twice that at half the temperature.
                let what = format!("{engine}, {target}, epsilon {epsilon}, temperature {temperature}");
                assert_close(&found, &expected, 0.025, &what);
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 16);
}

#[test]
fn an_exploring_policy_learns_all_objects_and_resumes_bit_for_bit() {
    let exploration = "exploration={epsilon=0.3, temperature=2.0, fraction=0.8}";
    let mut trainer = built(&[exploration, "policy.order=fixed"]).unwrap();
    let first = trainer.step().unwrap();
    assert!(first.forward_log_weights.is_none(), "they are not the policy's");
    train(&mut trainer, 398);
    assert!(trainer.step().unwrap().forward_log_weights.is_some(), "it ended before");
    let found = variation(&mut trainer);
    assert!(found < 0.03, "{found}");
    let learned = ["policy.order=learned", "policy.backward=learned", "objective.kind=detailed_balance"];
    for (engine, more) in
        ["engine.kind=cpu", "engine.kind=gpu"].into_iter().flat_map(|engine| [(engine, &[][..]), (engine, &learned)])
    {
        let changes = [&[exploration, engine, REPLAYS[1]][..], more].concat();
        let build = || built(&changes).unwrap();
        let (mut whole, mut first, mut second) = (build(), build(), build());
        train(&mut whole, 12);
        train(&mut first, 7);
        second.restore(&first.checkpoint()).unwrap();
        train(&mut second, 5);
        assert_eq!(second.checkpoint(), whole.checkpoint(), "{changes:?}");
    }
}

#[test]
fn no_exploration_is_no_other_training() {
    for engine in ["engine.kind=cpu", "engine.kind=gpu"] {
        let mut plain = built(&[engine]).unwrap();
        let mut none = built(&[engine, "exploration={epsilon=0, temperature=1, fraction=0.3}"]).unwrap();
        let mut some = built(&[engine, "exploration.epsilon=0.5"]).unwrap();
        [&mut plain, &mut none, &mut some].into_iter().for_each(|trainer| train(trainer, 5));
        assert_eq!(plain.parameters(), none.parameters());
        assert_ne!(plain.parameters(), some.parameters());
    }
}

#[test]
fn what_a_policy_forbids_is_not_explored() {
    let text = "MARKOV 3 2 2 2 2 2 0 1 2 1 2 4 0 1 2 3 4 1 0 2 1";
    let target = format!("target={{kind='model', text={text:?}}}");
    for engine in ["engine.kind=cpu", "engine.kind=gpu"] {
        let mut trainer = built(&[engine, &target, "policy.guided=true", "policy.order=fixed"]).unwrap();
        let request = Rollout::sample(Draw::new(3, 0, Stream::Training), 2000);
        let behaviour = Behaviour { epsilon: 0.9, temperature: 5.0 };
        let batch = trainer.engine().rollout(&request.behaving(behaviour)).unwrap();
        assert!(batch.log_reward.iter().all(|log_reward| log_reward.is_finite()), "{engine}");
    }
}

#[test]
fn objectives_on_samples_of_the_policy_refuse_to_explore() {
    let exploration = "exploration.temperature=2";
    for objective in ["kind='reverse_kl'", "kind='renyi', divergence_order=2"] {
        let error = built(&[&format!("objective={{{objective}}}"), exploration]).err().unwrap();
        assert!(error.contains("temperature = 2") && error.contains("importance weights"), "{objective}: {error}");
    }
    let error = built(&["exploration.epsilon=2"]).err().unwrap();
    assert!(error.contains("exploration.epsilon = 2: must be 0 to 1"), "{error}");
    let mut trainer = built(&[]).unwrap();
    for (epsilon, temperature) in [(-0.1, 1.0), (f64::NAN, 1.0), (0.0, 0.0), (0.0, f64::INFINITY)] {
        let request =
            Rollout::sample(Draw::new(3, 0, Stream::Training), 2).behaving(Behaviour { epsilon, temperature });
        assert!(trainer.engine().rollout(&request).unwrap_err().to_string().contains("epsilon"));
    }
}
