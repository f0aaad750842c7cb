//! `evaluation.average`: evaluations of the exponential average of a policy's parameters.

mod common;

use common::compare::{assert_close_at_scale, largest};
use wgflow::config::{Config, Inputs};
use wgflow::trainer::{Builder, Trainer};

const AVERAGED: &str = "target = { kind = 'ising', side = 3, coupling = 0.3 }
policy = { hidden = [16, 24], initialisation = 'fan_in' }
objective = { kind = 'log_variance' }
optimizer = { learning_rate = 1e-2 }
training = { iterations = 40, batch = 64 }";

fn trainer(changes: &[&str]) -> Trainer {
    let changes: Vec<String> = changes.iter().map(ToString::to_string).collect();
    let config = Config::parse(AVERAGED, &changes).unwrap();
    Builder::of(&config, Inputs::Files).unwrap().build().unwrap().0
}

#[test]
fn evaluations_look_at_the_average_and_training_does_not_notice() {
    for engine in ["cpu", "gpu"] {
        let engine = format!("engine.kind={engine}");
        let mut averaged = trainer(&["evaluation.average=0.9", &engine]);
        let mut plain = trainer(&[&engine]);
        let mut expected = plain.parameters();
        for step in 1..=30 {
            averaged.step().unwrap();
            plain.step().unwrap();
            assert_eq!(averaged.parameters(), plain.parameters(), "{engine}, step {step}");
            let keep = 0.9_f64.min((1.0 + f64::from(step)) / (10.0 + f64::from(step)));
            let pairs = expected.iter_mut().zip(plain.parameters());
            pairs.for_each(|(average, parameter)| *average += (1.0 - keep) * (parameter - *average));
            if step % 7 == 0 {
                averaged.evaluate_forward(1, 0, 10).unwrap();
            }
        }
        let found = averaged.evaluated_parameters();
        assert!(largest(&expected) > 0.01);
        assert_close_at_scale(&found, &expected, &vec![1.0; expected.len()], 1e-14, "average");
        assert_eq!(plain.evaluated_parameters(), plain.parameters());

        // What an evaluation rolls out is what a policy with these parameters does.
        let (batch, _) = averaged.evaluate_forward(1, 0, 50).unwrap();
        let mut other = trainer(&[&engine]);
        // At the same iteration, so from the same random numbers.
        other.restore(&averaged.checkpoint()).unwrap();
        other.engine().set_parameters(&found).unwrap();
        let (same, _) = other.evaluate_forward(1, 0, 50).unwrap();
        assert_eq!(batch, same, "{engine}");
        let (trained, _) = plain.evaluate_forward(1, 0, 50).unwrap();
        assert_ne!(batch, trained, "{engine}: the average is another policy");
    }
}

#[test]
fn an_average_resumes_bit_for_bit() {
    let change = ["evaluation.average=0.95"];
    let (mut whole, mut first, mut second) = (trainer(&change), trainer(&change), trainer(&change));
    (0..40).for_each(|_| drop(whole.step().unwrap()));
    (0..17).for_each(|_| drop(first.step().unwrap()));
    let checkpoint = first.checkpoint();
    second.restore(&checkpoint).unwrap();
    (17..40).for_each(|_| drop(second.step().unwrap()));
    assert_eq!(second.checkpoint(), whole.checkpoint());
    assert_eq!(second.evaluated_parameters(), whole.evaluated_parameters());

    let mut without = trainer(&[]);
    (0..3).for_each(|_| drop(without.step().unwrap()));
    let error = second.restore(&without.checkpoint()).unwrap_err().to_string();
    assert!(error.contains("policy_average"), "{error}");
}

#[test]
fn shares_out_of_range_are_refused() {
    let mut seen = 0;
    for found in ["0.0", "1.0", "-0.1", "nan"] {
        let change = format!("evaluation.average={found}");
        let error = Config::parse(AVERAGED, &[change]).unwrap_err().to_string();
        assert!(error.contains("evaluation.average") && error.contains("below 1"), "{error}");
        seen += 1;
    }
    assert_eq!(seen, 4);
}
