//! Whole iterations of a training: rollout, coefficients, gradient, optimizer, where the settings put them.

use std::time::Instant;

use serde::Serialize;

use super::{Asked, Calls, Ceiling, Problem, STAGES, Share, called_between, open};
use crate::config::{PolicyConfig, Settings, TrainingConfig};
use crate::optimizer::{self, Location};
use crate::trainer::{TrainError, Trainer};

/// An iteration on average.
#[derive(Clone, Debug, Serialize)]
pub struct Training {
    pub iteration_ms: f64,
    /// What is not spent waiting for a device, where there is one.
    pub host_ms: Option<f64>,
    pub trajectories_per_second: f64,
    #[serde(flatten)]
    pub calls: Option<Calls>,
    /// All stages, against the ceiling.
    #[serde(flatten)]
    pub share: Share,
}

/// Iterations of reverse KL, as many as fit `seconds`, after some that warm up.
pub fn training(
    asked: &Asked,
    problem: &Problem,
    ceiling: &Ceiling,
    location: Location,
    seconds: f64,
) -> Result<Training, TrainError> {
    let Problem { width, layers, batch, .. } = *problem;
    let settings = Settings {
        policy: PolicyConfig { hidden: vec![width; layers], ..PolicyConfig::default() },
        training: TrainingConfig { batch, iterations: i32::MAX as u32, ..TrainingConfig::default() },
        optimizer: optimizer::Settings { location, ..optimizer::Settings::default() },
        engine: asked.config.clone(),
        ..Settings::default()
    };
    let mut trainer = Trainer::new(&settings, problem.target(), open(asked, problem)?)?;
    trainer.step()?;
    let (first, before, start) = (trainer.iteration(), trainer.engine().counts(), Instant::now());
    // What is under way at the end counts as well.
    trainer.look_ahead(u32::MAX);
    while trainer.iteration() == first || trainer.is_ahead() || start.elapsed().as_secs_f64() < seconds {
        trainer.step()?;
        if start.elapsed().as_secs_f64() >= seconds {
            trainer.look_ahead(0);
        }
    }
    let (milliseconds, count) = (start.elapsed().as_secs_f64() * 1e3, f64::from(trainer.iteration() - first));
    let called = called_between(before, trainer.engine().counts());
    let iteration_ms = milliseconds / count;
    Ok(Training {
        iteration_ms,
        host_ms: called.map(|called| iteration_ms - called.waited.as_secs_f64() * 1e3 / count),
        trajectories_per_second: 1e3 * batch as f64 / iteration_ms,
        calls: called.map(|called| Calls::each(called, count)),
        share: Share::of(problem.works(STAGES.map(|(name, _)| name)), iteration_ms, ceiling),
    })
}
