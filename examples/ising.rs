//! A built-in target in a few lines: `cargo run --release --example ising`.

use std::sync::Arc;

use wgflow::config::Settings;
use wgflow::evaluation::evaluate;
use wgflow::network::Initialisation;
use wgflow::optimizer::Schedule;
use wgflow::targets::ising::Ising;
use wgflow::trainer::Trainer;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut settings = Settings::default();
    settings.policy.hidden = vec![64, 64];
    settings.policy.initialisation = Initialisation::FanIn;
    settings.training.iterations = 500;
    settings.optimizer.learning_rate = 4e-3;
    settings.optimizer.schedule = Schedule::Cosine;

    let (mut trainer, engine) = Trainer::build(&settings, Arc::new(Ising::new(4, 0.3)?))?;
    while !trainer.is_done() {
        trainer.step()?;
    }
    println!("engine: {engine}");
    println!("{}", evaluate(&mut trainer, 4096)?.evaluation);
    Ok(())
}
