//! Rewards of zero and rewards that are none: what training and evaluation make of them, on either engine.

use std::sync::Arc;

use wgflow::config::Settings;
use wgflow::engine::EngineError;
use wgflow::evaluation::{Evaluation, EvaluationError, evaluate};
use wgflow::process::Objects;
use wgflow::targets::{RewardKernel, Target, TargetError, enumeration};
use wgflow::trainer::{PATIENCE, TrainError, Trainer};
use wgflow::variance::{self, Candidate, GROUPS, Options};

/// Words of four letters out of four in which no two neighbours are equal; log R is 0.4 for each first letter in it. Of
/// the 256 words 108 are allowed.
struct Words {
    kernel: bool,
}

/// `-3e38` is how a kernel says that R = 0.
const KERNEL: &str = "
    fn log_reward(trajectory: u32) -> f32 {
        var sum = select(0.0, 0.4, value(trajectory, 0u) == 0u);
        for (var site = 1u; site < SITES; site++) {
            sum += select(0.0, 0.4, value(trajectory, site) == 0u);
            if value(trajectory, site) == value(trajectory, site - 1u) {
                return -3e38;
            }
        }
        return sum;
    }";

impl Target for Words {
    fn sites(&self) -> usize {
        4
    }

    fn values(&self) -> usize {
        4
    }

    fn log_reward(&self, objects: &Objects, log_reward: &mut [f64]) {
        for (word, log_reward) in objects.rows().zip(log_reward) {
            let allowed = word.windows(2).all(|pair| pair[0] != pair[1]);
            let first = word.iter().filter(|letter| **letter == 0).count();
            *log_reward = if allowed { 0.4 * first as f64 } else { f64::NEG_INFINITY };
        }
    }

    fn log_z(&self) -> Result<f64, TargetError> {
        enumeration::log_z(self)
    }

    fn kernel(&self) -> Option<RewardKernel> {
        self.kernel.then(|| RewardKernel { source: KERNEL.into(), parameters: vec![0.0], ..RewardKernel::default() })
    }
}

fn settings(objective: &str, engine: &str, iterations: u32) -> Settings {
    toml::from_str(&format!(
        "seed = 2\n\
         policy = {{ hidden = [32, 32], initialisation = 'fan_in', activation = 'tanh', order = 'fixed' }}\n\
         objective = {{ {objective} }}\n\
         training = {{ iterations = {iterations}, batch = 128 }}\n\
         optimizer = {{ learning_rate = 1e-2, zeta_learning_rate = 0.1, schedule = 'cosine' }}\n\
         engine = {{ kind = '{engine}' }}"
    ))
    .unwrap()
}

fn trainer(settings: &Settings, target: impl Target + 'static) -> Trainer {
    Trainer::build(settings, Arc::new(target)).unwrap().0
}

fn train(trainer: &mut Trainer) -> Result<(), TrainError> {
    while !trainer.is_done() {
        trainer.step()?;
    }
    Ok(())
}

/// With R = 0 for a share of samples: weights of 0, an ELBO of minus infinity, and all else as ever.
fn assert_tells_of_forbidden_objects(found: &Evaluation) {
    let share = found.forbidden_fraction.unwrap();
    assert!(share > 0.0 && found.elbo == f64::NEG_INFINITY, "{found:?}");
    assert!(found.log_z_estimate.is_finite() && found.log_z_standard_error.is_finite() && found.ess > 1.0);
    let lines = found.to_string();
    assert!(lines.contains("minus infinity, by samples with R = 0") && lines.contains("% have R = 0"), "{lines}");
    let json = serde_json::to_value(found).unwrap();
    assert!(json["elbo"].is_null() && json["elbo_standard_error"].is_null() && json["log_z_estimate"].is_f64());
    assert_eq!(json["forbidden_fraction"], share);
}

#[test]
fn with_a_floor_training_reaches_the_log_z_of_the_allowed_objects_on_every_engine() {
    let exact = enumeration::log_z(&Words { kernel: false }).unwrap();
    assert!(exact > 108_f64.ln() && exact < 108_f64.ln() + 0.8, "{exact}");
    for (engine, kernel, iterations) in [("cpu", false, 300), ("gpu", false, 200), ("gpu", true, 200)] {
        for objective in ["reverse_kl", "trajectory_balance", "log_variance"] {
            let objective = format!("kind = '{objective}', log_reward_floor = -8");
            let mut trainer = trainer(&settings(&objective, engine, iterations), Words { kernel });
            let before = evaluate(&mut trainer, 4096).unwrap().evaluation;
            assert_tells_of_forbidden_objects(&before);
            // 148 of 256 words are forbidden, and the policy starts near the uniform one.
            assert!((before.forbidden_fraction.unwrap() - 0.578).abs() < 0.1);
            let first = trainer.step().unwrap();
            assert!(!first.skipped && first.forbidden_fraction > 0.4);
            assert!(first.forward_log_weights.unwrap().iter().all(|log_weight| log_weight.is_finite()));
            train(&mut trainer).unwrap();
            assert_eq!(trainer.skipped(), 0);
            let after = evaluate(&mut trainer, 4096).unwrap().evaluation;
            let name = format!("{engine} {kernel} {objective}");
            assert!(after.forbidden_fraction.unwrap() < 0.05 && after.ess_fraction > 0.8, "{name}: {after:?}");
            let error = (after.log_z_estimate - exact).abs();
            assert!(error < 4.0 * after.log_z_standard_error && error < 0.1, "{name}: {after:?}, exact {exact}");
        }
    }
}

#[test]
fn zeta_starts_from_the_objects_that_count() {
    let objective = "kind = 'trajectory_balance', log_reward_floor = -1000";
    let step = trainer(&settings(objective, "cpu", 5), Words { kernel: false }).step().unwrap();
    let counted: Vec<f64> = step.forward_log_weights.unwrap().into_iter().filter(|log| *log > -500.0).collect();
    assert!(!counted.is_empty() && counted.len() < 100);
    let mean = counted.iter().sum::<f64>() / counted.len() as f64;
    assert!((step.zeta.unwrap() - mean).abs() < 1e-12, "{:?} is not {mean}", step.zeta);
}

#[test]
fn without_a_floor_the_message_names_the_cause_and_the_key() {
    for objective in ["reverse_kl", "trajectory_balance", "log_variance"] {
        let mut trainer = trainer(&settings(&format!("kind = '{objective}'"), "cpu", 50), Words { kernel: false });
        let before = trainer.checkpoint();
        for _ in 1..PATIENCE {
            assert!(trainer.step().unwrap().skipped);
        }
        let error = trainer.step().unwrap_err();
        assert!(matches!(error, TrainError::Diverged { .. }));
        let message = error.to_string();
        let words = ["10 steps in a row", "log R is -inf", "of 128", "R = 0", "objective.log_reward_floor", "snis"];
        for word in words {
            assert!(message.contains(word), "{message:?} does not say {word:?}");
        }
        assert!(!message.contains("learning_rate"), "{message}");
        let after = trainer.checkpoint();
        assert_eq!(before.f64("optimizer.first_moment", trainer.parameters().len()).unwrap(), {
            after.f64("optimizer.first_moment", trainer.parameters().len()).unwrap()
        });
        assert_eq!(trainer.iteration(), PATIENCE - 1);
    }
}

#[test]
fn estimators_that_give_forbidden_objects_no_weight_need_no_floor() {
    let exact = enumeration::log_z(&Words { kernel: false }).unwrap();
    for objective in ["kind = 'snis_forward_kl'", "kind = 'renyi', divergence_order = 0.5"] {
        let mut trainer = trainer(&settings(objective, "cpu", 400), Words { kernel: false });
        train(&mut trainer).unwrap();
        assert_eq!(trainer.skipped(), 0, "{objective}");
        let after = evaluate(&mut trainer, 4096).unwrap().evaluation;
        assert!(after.forbidden_fraction.unwrap() < 0.2, "{objective}: {after:?}");
        let error = (after.log_z_estimate - exact).abs();
        assert!(error < 4.0 * after.log_z_standard_error && error < 0.1, "{objective}: {after:?}, exact {exact}");
    }
}

#[test]
fn comparing_estimators_takes_the_floor_and_counts_what_is_forbidden() {
    let compared = |objective: &str| {
        let mut trainer = trainer(&settings(objective, "cpu", 1), Words { kernel: false });
        let candidates =
            ["leave-one-out", "tb", "snis"].map(|name| Candidate::parse(name, 16).unwrap()).into_iter().collect();
        let options = Options { candidates, batch: 16, batches: 20, long: GROUPS as u32 };
        let found = variance::compare(&mut trainer, &options, |_, _| ()).unwrap();
        let text = variance::for_people(&found);
        assert!(found.forbidden_fraction > 0.4 && text.contains("end in an object with R = 0"), "{text}");
        assert!(variance::picture(&found, "words").unwrap().len() > 1000);
        found
    };
    let floored = compared("kind = 'reverse_kl', log_reward_floor = -10");
    assert!(floored.rows.iter().all(|row| row.finite == 20 && row.variance.value > 0.0));
    let plain = compared("kind = 'reverse_kl'");
    assert!(plain.zeta.is_finite());
    let finite: Vec<usize> = plain.rows.iter().map(|row| row.finite).collect();
    assert_eq!(finite[..2], [0, 0], "no batch of 16 is free of forbidden words");
    assert!(finite[2] > 10, "{finite:?}");
}

/// log R is `bad` for the word that ends in two twos.
struct Bad(f64);

impl Target for Bad {
    fn sites(&self) -> usize {
        3
    }

    fn values(&self) -> usize {
        3
    }

    fn log_reward(&self, objects: &Objects, log_reward: &mut [f64]) {
        for (object, log_reward) in objects.rows().zip(log_reward) {
            *log_reward = if object[1..] == [2, 2] { self.0 } else { 0.0 };
        }
    }
}

#[test]
fn what_is_no_log_reward_stops_at_once_and_names_the_object() {
    for engine in ["cpu", "gpu"] {
        for (bad, name) in [(f64::NAN, "log R is NaN"), (f64::INFINITY, "log R is inf")] {
            for objective in ["kind = 'reverse_kl'", "kind = 'snis_forward_kl', log_reward_floor = -5"] {
                let mut trainer = trainer(&settings(objective, engine, 20), Bad(bad));
                let says = |error: String| {
                    let named = (0..3).any(|value| error.contains(&format!("the object [{value}, 2, 2] (")));
                    assert!(named && error.contains(name) && !error.contains("learning_rate, set"), "{error}");
                };
                let error = trainer.step().unwrap_err();
                assert!(matches!(error, TrainError::Engine(EngineError::Reward(_))), "{error}");
                says(error.to_string());
                assert_eq!((trainer.iteration(), trainer.skipped()), (0, 0));
                let Err(error) = evaluate(&mut trainer, 4096) else { panic!("{name} was evaluated") };
                assert!(matches!(error, EvaluationError::Engine(EngineError::Reward(_))), "{error}");
                says(error.to_string());
            }
        }
    }
}

/// A target that writes log R of the first object of a batch only.
struct Forgetful;

impl Target for Forgetful {
    fn sites(&self) -> usize {
        3
    }

    fn values(&self) -> usize {
        2
    }

    fn log_reward(&self, _: &Objects, log_reward: &mut [f64]) {
        log_reward[0] = 1.0;
    }
}

#[test]
fn what_a_target_forgets_to_write_is_no_reward() {
    for engine in ["cpu", "gpu"] {
        let (mut trainer, _) =
            Trainer::build(&settings("kind = 'log_variance'", engine, 3), Arc::new(Forgetful)).unwrap();
        let Err(TrainError::Engine(EngineError::Reward(message))) = trainer.step() else {
            panic!("{engine}: a reward")
        };
        assert!(message.contains("NaN"), "{message}");
    }
    assert!(enumeration::log_z(&Forgetful).unwrap().is_nan());
}
