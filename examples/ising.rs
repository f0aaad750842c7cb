//! A built-in target in a few lines: `cargo run --release --example ising`.

use std::sync::Arc;

use wgflow::config::Settings;
use wgflow::evaluation::evaluate;
use wgflow::targets::ising::Ising;
use wgflow::trainer::Trainer;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let settings: Settings = toml::from_str(
        "policy = { hidden = [64, 64], initialisation = 'fan_in' }\n\
         training = { iterations = 500 }\n\
         optimizer = { learning_rate = 4e-3, schedule = 'cosine' }",
    )?;
    let (mut trainer, engine) = Trainer::build(&settings, Arc::new(Ising::new(4, 0.3)?))?;
    while !trainer.is_done() {
        trainer.step()?;
    }
    let found = evaluate(&mut trainer, 4096)?.evaluation;
    println!("engine: {engine}");
    println!(
        "log Z exact {:.4}, estimated {:.4}, ELBO {:.4}",
        found.log_z_exact.unwrap(),
        found.log_z_estimate,
        found.elbo
    );
    Ok(())
}
