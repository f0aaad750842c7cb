//! Evaluations of targets that cannot be sampled: short tempering runs from the policy's own samples.

use std::sync::Arc;

use wgflow::config::Settings;
use wgflow::evaluation::{Evaluation, evaluate};
use wgflow::process::{Encoding, Objects};
use wgflow::targets::Target;
use wgflow::trainer::Trainer;

/// log R = strength * (mean of ten spins)^2: two modes, all spins up and all down, unless it is weak.
struct Magnet {
    strength: f64,
}

impl Target for Magnet {
    fn sites(&self) -> usize {
        10
    }

    fn values(&self) -> usize {
        2
    }

    fn encoding(&self) -> Encoding {
        Encoding::Scalar { unset: 0.0, codes: vec![-1.0, 1.0] }
    }

    fn log_reward(&self, objects: &Objects, log_reward: &mut [f64]) {
        for (object, log_reward) in objects.rows().zip(log_reward) {
            let up: f64 = object.iter().map(|&value| f64::from(value)).sum();
            *log_reward = self.strength * (up / 5.0 - 1.0).powi(2);
        }
    }
}

/// An evaluation of a policy that sets each spin by itself, up with log-odds `bias`.
fn evaluated(strength: f64, bias: f64) -> Evaluation {
    let settings: Settings =
        toml::from_str("policy = { hidden = [8] }\nengine = { kind = 'cpu' }\nobjective = { kind = 'reverse_kl' }")
            .unwrap();
    let mut trainer = Trainer::build(&settings, Arc::new(Magnet { strength })).unwrap().0;
    // The last numbers are the biases of the logits, a pair a site.
    let mut parameters = vec![0.0; trainer.layout().parameters()];
    let biases = parameters.len() - 20;
    parameters[biases..].chunks_exact_mut(2).for_each(|pair| pair[1] = bias);
    trainer.engine().set_parameters(&parameters).unwrap();
    evaluate(&mut trainer, 4096).unwrap().evaluation
}

#[test]
fn a_mode_that_the_policy_never_visits_is_found() {
    let found = evaluated(12.0, 4.3);
    assert!(found.eubo.is_none() && found.asymmetries.is_empty(), "nothing else can see it");
    assert!(found.ess_fraction > 0.5, "{}", found.ess_fraction);
    let tempered = found.tempered.expect("a target without a sampler");
    assert!(tempered.log_weight > found.log_z_estimate + 5.0, "{tempered:?}");
    let verdict = found.verdict.unwrap();
    assert!(!verdict.trusted && verdict.because.contains("tempering runs"), "{}", verdict.because);
}

#[test]
fn a_policy_that_is_right_is_not_doubted() {
    let found = evaluated(0.2, 0.0);
    let tempered = found.tempered.expect("a target without a sampler");
    assert!((tempered.log_weight - found.log_z_estimate).abs() < 0.1, "{tempered:?}");
    let verdict = found.verdict.unwrap();
    assert!(verdict.trusted && verdict.because.contains("short tempering runs"), "{}", verdict.because);
}
