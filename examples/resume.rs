//! Stops a training half-way, keeps its state in a file, and goes on from it to the same bits:
//! `cargo run --release --example resume`

use std::sync::Arc;

use wgflow::config::Settings;
use wgflow::evaluation::evaluate;
use wgflow::network::Initialisation;
use wgflow::run::checkpoint::Checkpoint;
use wgflow::targets::ising::Ising;
use wgflow::trainer::Trainer;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut settings = Settings::default();
    settings.policy.hidden = vec![32, 32];
    settings.policy.initialisation = Initialisation::FanIn;
    settings.training.iterations = 300;
    settings.optimizer.learning_rate = 4e-3;
    let trainer = || Trainer::build(&settings, Arc::new(Ising::new(4, 0.3).expect("a torus")));

    let (mut whole, engine) = trainer()?;
    println!("engine: {engine}");
    while !whole.is_done() {
        whole.step()?;
    }

    let (mut first, _) = trainer()?;
    for _ in 0..150 {
        first.step()?;
    }
    let path = std::env::temp_dir().join(format!("wgflow-example-{}.safetensors", std::process::id()));
    first.checkpoint().write(&path)?;

    let (mut second, _) = trainer()?;
    second.restore(&Checkpoint::read(&path)?)?;
    std::fs::remove_file(&path)?;
    println!("resumed at iteration {}", second.iteration());
    while !second.is_done() {
        second.step()?;
    }
    println!("the same parameters to the last bit: {}", second.parameters() == whole.parameters());
    println!("{}", evaluate(&mut second, 4096)?.evaluation);
    Ok(())
}
