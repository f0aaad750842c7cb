//! A target of one's own, in plain Rust, without a kernel: it trains on either engine, the GPU engine reading objects
//! back to ask for their log R. `cargo run --release --example own_target`
//!
//! Here: words of eight letters over {a, b, c} that should have no two equal neighbours and begin as they end.

use std::sync::Arc;

use wgflow::config::Settings;
use wgflow::evaluation::evaluate;
use wgflow::network::{Activation, Initialisation};
use wgflow::objective::{self, Kind};
use wgflow::optimizer::Schedule;
use wgflow::process::Objects;
use wgflow::targets::{Target, TargetError, enumeration};
use wgflow::trainer::Trainer;

struct Words;

impl Target for Words {
    fn sites(&self) -> usize {
        8
    }

    fn values(&self) -> usize {
        3
    }

    fn log_reward(&self, objects: &Objects, log_reward: &mut [f64]) {
        for (word, log_reward) in objects.rows().zip(log_reward) {
            let clashes = word.windows(2).filter(|pair| pair[0] == pair[1]).count();
            let closed = word.first() == word.last();
            *log_reward = -2.0 * clashes as f64 + if closed { 1.5 } else { 0.0 };
        }
    }

    /// Small enough to count: 3^8 words. Larger targets leave this out, and the report says that log Z is unknown.
    fn log_z(&self) -> Result<f64, TargetError> {
        enumeration::log_z(self)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut settings = Settings::default();
    settings.policy.hidden = vec![64, 64];
    settings.policy.initialisation = Initialisation::FanIn;
    settings.policy.activation = Activation::LeakyRelu;
    settings.objective = objective::Settings::new(Kind::TrajectoryBalance);
    settings.training.iterations = 1500;
    settings.optimizer.learning_rate = 3e-3;
    settings.optimizer.zeta_learning_rate = 0.1;
    settings.optimizer.schedule = Schedule::Cosine;

    let (mut trainer, engine) = Trainer::build(&settings, Arc::new(Words))?;
    while !trainer.is_done() {
        trainer.step()?;
    }
    let evaluated = evaluate(&mut trainer, 4096)?;
    println!("engine: {engine}");
    println!("{}", evaluated.evaluation);
    for word in evaluated.gflownet.rows().take(5) {
        println!("{}", word.iter().map(|&letter| char::from(b'a' + letter)).collect::<String>());
    }
    Ok(())
}
