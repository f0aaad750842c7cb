//! An objective of one's own with a coefficient for each step: `cargo run --release --example own_objective`
//!
//! The gradient of reverse KL gives a step the weight of the whole trajectory's log P_F - log P_B - log R. What came before a
//! step does not depend on its choice and adds variance alone, so here a step gets what comes from it on.

use std::sync::Arc;

use wgflow::config::Settings;
use wgflow::engine::{Batch, Coefficients};
use wgflow::evaluation::evaluate;
use wgflow::network::Initialisation;
use wgflow::objective::{Contribution, Estimator, Objective, Own, OwnEstimator, Source};
use wgflow::targets::ising::Ising;
use wgflow::trainer::Builder;

#[derive(Debug)]
struct CostToGo;

impl OwnEstimator for CostToGo {
    fn contribution(&self, weight: f64, batch: &Batch, _: f64) -> Contribution {
        let steps = batch.steps.as_ref().expect("asked for");
        let count = batch.count() as f64;
        let mut costs = vec![0.0; steps.log_forward.len()];
        for (row, costs) in costs.chunks_exact_mut(steps.max_steps).enumerate() {
            let mut to_go = -batch.log_reward[row];
            for t in (0..steps.lengths[row]).rev() {
                let at = row * steps.max_steps + t;
                to_go += steps.log_forward[at] - steps.log_backward[at];
                costs[t] = to_go;
            }
        }
        // A baseline for each step, the mean of the other trajectories that have one: leave-one-out.
        let mut coefficients = vec![0.0; costs.len()];
        for t in 0..steps.max_steps {
            let alive: Vec<usize> = (0..batch.count()).filter(|&row| t < steps.lengths[row]).collect();
            let total: f64 = alive.iter().map(|row| costs[row * steps.max_steps + t]).sum();
            for row in &alive {
                let at = row * steps.max_steps + t;
                let others = (alive.len() as f64 - 1.0).max(1.0);
                coefficients[at] = weight * (costs[at] - (total - costs[at]) / others) / count;
            }
        }
        let total: f64 = batch.log_weights().iter().sum();
        Contribution { policy: Coefficients::Steps(coefficients.into()), zeta: None, loss: -weight * total / count }
    }

    fn needs_steps(&self) -> bool {
        true
    }

    fn refuses_one(&self) -> Option<&'static str> {
        Some("its baseline is made of the batch's other trajectories")
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut settings = Settings::default();
    settings.policy.hidden = vec![64, 64];
    settings.policy.initialisation = Initialisation::FanIn;
    settings.training.iterations = 500;
    settings.optimizer.learning_rate = 4e-3;

    let objective = Objective::of(Source::Forward, Estimator::Own(Own::new(CostToGo)));
    let (mut trainer, engine) = Builder::new(&settings, Arc::new(Ising::new(4, 0.3)?)).objective(objective).build()?;
    while !trainer.is_done() {
        trainer.step()?;
    }
    println!("engine: {engine}");
    println!("{}", evaluate(&mut trainer, 4096)?.evaluation);
    Ok(())
}
