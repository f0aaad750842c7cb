//! Iterations with the optimizer on the host against iterations that stay on the device, on the GPU engine, by turns in one run.
//!
//! `cargo bench --bench locations` prints medians and the median ratio of a round; machines are noisy, ratios of a round less so.

use std::sync::Arc;
use std::time::Instant;

use wgflow::config::Settings;
use wgflow::targets::ising::Ising;
use wgflow::trainer::Trainer;

const ROUNDS: usize = 15;
/// A flight.
const STEPS: u32 = 8;

fn trainer(location: &str, problem: &str) -> Trainer {
    let text = format!(
        "engine.kind = 'gpu'\noptimizer.location = '{location}'\nobjective.kind = 'trajectory_balance'\n\
         training.iterations = 1000000\n{problem}"
    );
    let settings: Settings = toml::from_str(&text).expect("settings");
    Trainer::build(&settings, Arc::new(Ising::new(6, 0.3).expect("a torus"))).expect("an adapter").0
}

/// Milliseconds an iteration.
fn time(trainer: &mut Trainer) -> f64 {
    let start = Instant::now();
    trainer.look_ahead(trainer.iteration() + STEPS);
    (0..STEPS).for_each(|_| drop(trainer.step().expect("an iteration")));
    start.elapsed().as_secs_f64() * 1e3 / f64::from(STEPS)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    println!("36 sites               host ms  device ms  host / device");
    for (hidden, batch) in [("16, 16", 64), ("64, 64", 128), ("128, 128, 128", 128)] {
        let problem = format!("policy.hidden = [{hidden}]\ntraining.batch = {batch}");
        let mut trainers = ["host", "device"].map(|location| trainer(location, &problem));
        trainers.iter_mut().for_each(|trainer| assert!(time(trainer) > 0.0));
        let rounds: Vec<[f64; 2]> = (0..ROUNDS).map(|_| trainers.each_mut().map(time)).collect();
        let [host, device] = [0, 1].map(|place| median(rounds.iter().map(|round| round[place]).collect()));
        let ratio = median(rounds.iter().map(|[host, device]| host / device).collect());
        println!("{hidden:14} {batch:4} {host:10.2} {device:10.2} {ratio:10.2}");
    }
}
