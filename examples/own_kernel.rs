//! A target of one's own with its log R in WGSL as well, so that a GPU never reads objects back to ask for it:
//! `cargo run --release --example own_kernel`
//!
//! Here: numberings of a circle of twelve sites with four values, neighbours liking to differ by exactly one.

use std::sync::Arc;

use wgflow::config::Settings;
use wgflow::engine::EngineError;
use wgflow::evaluation::evaluate;
use wgflow::network::Initialisation;
use wgflow::process::Objects;
use wgflow::targets::{RewardKernel, Target, TargetError};
use wgflow::trainer::{TrainError, Trainer};

const SITES: usize = 12;
const VALUES: usize = 4;
const STRENGTH: f64 = 0.8;

struct Circle;

impl Target for Circle {
    fn sites(&self) -> usize {
        SITES
    }

    fn values(&self) -> usize {
        VALUES
    }

    fn log_reward(&self, objects: &Objects, log_reward: &mut [f64]) {
        for (object, log_reward) in objects.rows().zip(log_reward) {
            let steps = (0..SITES).filter(|&site| object[site].abs_diff(object[(site + 1) % SITES]) == 1);
            *log_reward = STRENGTH * steps.count() as f64;
        }
    }

    /// Trace of the transfer matrix to the power of the number of sites.
    fn log_z(&self) -> Result<f64, TargetError> {
        let weight = |a: usize, b: usize| if a.abs_diff(b) == 1 { STRENGTH.exp() } else { 1.0 };
        let mut power = [[0.0; VALUES]; VALUES];
        (0..VALUES).for_each(|a| power[a][a] = 1.0);
        for _ in 0..SITES {
            let sum = |a: usize, b: usize| (0..VALUES).map(|c| power[a][c] * weight(c, b)).sum();
            power = std::array::from_fn(|a| std::array::from_fn(|b| sum(a, b)));
        }
        Ok((0..VALUES).map(|a| power[a][a]).sum::<f64>().ln())
    }

    /// The function returns the number of steps, a whole one, and the host multiplies: log R is then exact.
    fn kernel(&self) -> Option<RewardKernel> {
        let source = "
            fn log_reward(trajectory: u32) -> f32 {
                var steps = 0.0;
                for (var site = 0u; site < SITES; site++) {
                    let here = i32(value(trajectory, site));
                    let next = i32(value(trajectory, (site + 1u) % SITES));
                    steps += select(0.0, 1.0, abs(here - next) == 1);
                }
                return steps;
            }
        ";
        Some(RewardKernel { source: source.into(), scale: STRENGTH, ..RewardKernel::default() })
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut settings = Settings::default();
    settings.policy.hidden = vec![64, 64];
    settings.policy.initialisation = Initialisation::FanIn;
    settings.training.iterations = 100;
    settings.optimizer.learning_rate = 4e-3;
    settings.engine.kind = wgflow::config::EngineKind::Gpu;

    let (mut trainer, engine) = match Trainer::build(&settings, Arc::new(Circle)) {
        // Without any adapter the native engine asks the Rust function.
        Err(TrainError::Engine(EngineError::NoAdapter(_))) => {
            settings.engine.kind = wgflow::config::EngineKind::Cpu;
            Trainer::build(&settings, Arc::new(Circle))?
        }
        built => built?,
    };
    while !trainer.is_done() {
        trainer.step()?;
    }
    println!("engine: {engine}");
    println!("{}", evaluate(&mut trainer, 4096)?.evaluation);
    Ok(())
}
