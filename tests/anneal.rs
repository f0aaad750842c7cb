//! Annealing: training on R^beta, beta rising to 1, and everything told of R itself.

mod common;

use std::sync::Arc;

use common::compare::assert_close_at_scale;
use wgflow::config::Settings;
use wgflow::engine::Rollout;
use wgflow::random::{Draw, Stream};
use wgflow::targets::Target;
use wgflow::targets::ising::Ising;
use wgflow::trainer::Trainer;

fn settings(anneal: &str) -> Settings {
    toml::from_str(&format!(
        "policy = {{ hidden = [16], initialisation = 'fan_in' }}
        objective = {{ kind = 'log_variance' }}
        optimizer = {{ learning_rate = 1e-2 }}
        training = {{ iterations = 60, batch = 64 }}
        engine = {{ kind = 'cpu', precision = 'f64' }}
        {anneal}"
    ))
    .unwrap()
}

fn trainer(anneal: &str, coupling: f64) -> Trainer {
    Trainer::build(&settings(anneal), Arc::new(Ising::new(3, coupling).unwrap())).unwrap().0
}

/// At beta the batch is that of the Ising model of beta times the coupling, step for step; its log-weights are told of R itself.
#[test]
fn an_iteration_at_beta_is_one_of_a_weaker_coupling() {
    let mut annealed = trainer("anneal = { start = 0.25, fraction = 1.0 }", 0.8);
    let mut weaker = trainer("", 0.2);
    let (first, second) = (annealed.step().unwrap(), weaker.step().unwrap());
    assert_close_at_scale(&[first.loss], &[second.loss], &[second.loss.abs()], 1e-12, "loss");
    assert_close_at_scale(&[first.gradient_norm], &[second.gradient_norm], &[second.gradient_norm], 1e-12, "gradient");
    let mut whole = trainer("", 0.8);
    let told = first.forward_log_weights.unwrap();
    let all = whole.step().unwrap().forward_log_weights.unwrap();
    assert_eq!(told.len(), 64);
    assert_eq!(told, all, "log-weights are those of all of R");
    // The next iteration has another beta.
    let draw = Draw::new(0, 5, Stream::Evaluation);
    let batch = annealed.engine().rollout(&Rollout::sample(draw, 10)).unwrap();
    let scaled = annealed.as_trained(batch.clone()).batch.log_reward;
    let beta = 0.25 + 0.75 / 59.0;
    let expected: Vec<f64> = batch.log_reward.iter().map(|log_reward| beta * log_reward).collect();
    assert_close_at_scale(&scaled, &expected, &[1.0; 10], 1e-14, "log R");
}

#[test]
fn an_annealed_training_resumes_bit_for_bit_and_ends_on_the_target() {
    let anneal = "anneal = { start = 0.1, fraction = 0.5, shape = 'geometric' }";
    let mut whole = trainer(anneal, 0.3);
    let mut first = trainer(anneal, 0.3);
    (0..60).for_each(|_| drop(whole.step().unwrap()));
    (0..23).for_each(|_| drop(first.step().unwrap()));
    let mut second = trainer(anneal, 0.3);
    second.restore(&first.checkpoint()).unwrap();
    (23..60).for_each(|_| drop(second.step().unwrap()));
    assert_eq!(second.parameters(), whole.parameters());
    let exact = Ising::new(3, 0.3).unwrap().log_z().unwrap();
    let found = wgflow::evaluate(&mut whole, 4096).unwrap().evaluation;
    assert!((found.log_z_estimate - exact).abs() < 0.2, "{} and {exact}", found.log_z_estimate);
}
