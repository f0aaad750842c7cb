//! How fast an engine is: milliseconds of each stage and of a whole iteration of training, and flops against the floor of the method.
//!
//! The floor of an iteration is 3 * 2 * states * (sum of products of neighbouring hidden widths) flops: one forward and
//! two backward products a hidden layer. What the first layer, the head and the activations cost comes on top, and
//! shows as a lower rate.

use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;

use crate::config::{EngineConfig, PolicyConfig, Settings, TrainingConfig};
use crate::engine::{Coefficients, Counts, Engine, EngineError, Rollout};
use crate::network::{Activation, Initialisation, Layout, initialise};
use crate::optimizer::{self, Location};
use crate::process::{Encoding, Objects, Order, Process, SiteFilling};
use crate::random::{Draw, Stream};
use crate::targets::{RewardKernel, Target};
use crate::trainer::select::{select, takes_gpu};
use crate::trainer::{TrainError, Trainer};

/// A problem to time: binary sites, a swish network of equal widths, a batch of trajectories.
#[derive(Clone, Copy, Debug)]
pub struct Problem {
    pub sites: usize,
    pub width: usize,
    pub layers: usize,
    pub batch: usize,
}

impl Problem {
    /// The default run, the paper's two Ising sizes and its densities task, and batches that fill a GPU.
    pub const USUAL: [Problem; 6] = [
        Problem { sites: 36, width: 128, layers: 3, batch: 256 },
        Problem { sites: 32, width: 256, layers: 3, batch: 128 },
        Problem { sites: 100, width: 256, layers: 3, batch: 256 },
        Problem { sites: 225, width: 256, layers: 3, batch: 256 },
        Problem { sites: 100, width: 256, layers: 3, batch: 4096 },
        Problem { sites: 100, width: 256, layers: 3, batch: 16384 },
    ];

    /// Flops that an iteration cannot do without.
    pub fn floor(&self) -> f64 {
        6.0 * (self.batch * self.sites) as f64 * ((self.layers - 1) * self.width * self.width) as f64
    }
}

/// What was measured, on wall clocks.
#[derive(Clone, Debug, Serialize)]
pub struct Throughput {
    pub engine: String,
    pub sites: usize,
    pub width: usize,
    pub layers: usize,
    pub batch: usize,
    pub rollout_ms: f64,
    pub gradient_ms: f64,
    pub iterations_per_second: f64,
    pub trajectories_per_second: f64,
    /// The floor's flops over the time of both stages.
    pub gflops: f64,
    /// Kernels that a GPU launches for an iteration, lists of commands that it is given, and times that the host waits for it.
    pub dispatches: Option<f64>,
    pub submits: Option<f64>,
    pub waits: Option<f64>,
    /// With the optimizer on the host.
    pub training: Training,
    /// With the optimizer on the device, where there is one.
    pub training_on_device: Option<Training>,
}

/// Whole iterations of a training: rollout, coefficients, gradient, optimizer.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Training {
    pub iteration_ms: f64,
    /// As those of rollouts and gradients.
    pub dispatches: Option<f64>,
    pub submits: Option<f64>,
    pub waits: Option<f64>,
}

/// A target of one size whose reward costs nothing on either engine.
struct Flat(usize);

impl Target for Flat {
    fn sites(&self) -> usize {
        self.0
    }

    fn values(&self) -> usize {
        2
    }

    fn encoding(&self) -> Encoding {
        Encoding::Scalar { unset: 0.0, codes: vec![-1.0, 1.0] }
    }

    fn log_reward(&self, _: &Objects, log_reward: &mut [f64]) {
        log_reward.fill(0.0);
    }

    fn kernel(&self) -> Option<RewardKernel> {
        let source = "fn log_reward(trajectory: u32) -> f32 { return 0.0; }".into();
        Some(RewardKernel { source, ..RewardKernel::default() })
    }
}

/// Times both stages of the engine that `config` asks for, and whole iterations, each for about `seconds`.
pub fn measure(config: &EngineConfig, problem: Problem, seconds: f64) -> Result<Throughput, TrainError> {
    let Problem { sites, width, layers, batch } = problem;
    let target = Arc::new(Flat(sites));
    let process = SiteFilling { sites, values: 2, order: Order::Uniform, encoding: target.encoding() };
    let layout = Layout::new(sites, &vec![width; layers], process.actions());
    let (mut engine, which) = select(config, (0, 1), Arc::new(process), &layout, Activation::Swish, target, batch)?;
    engine.set_parameters(&initialise(&layout, Initialisation::FanIn, 1, Stream::Initialisation))?;
    let request = Rollout::sample(Draw::new(1, 0, Stream::Training), batch).kept();
    let signs = (0..batch).map(|i| if i % 2 == 0 { 1.0 } else { -1.0 }).collect();
    let coefficients = Coefficients::Trajectories(signs);
    let Pairs { count, called, milliseconds: [rollout_ms, gradient_ms] } =
        milliseconds(engine.as_mut(), &request, &coefficients, 2.0 * seconds)?;
    drop(engine);
    let each = |of: fn(Counts) -> u64| called.map(|called| of(called) as f64 / f64::from(count));
    let on_device = takes_gpu(config).then(|| training(config, problem, Location::Device, seconds)).transpose()?;
    let rate = 1e3 / (rollout_ms + gradient_ms);
    Ok(Throughput {
        engine: which,
        sites,
        width,
        layers,
        batch,
        rollout_ms,
        gradient_ms,
        iterations_per_second: rate,
        trajectories_per_second: rate * batch as f64,
        gflops: problem.floor() * rate / 1e9,
        dispatches: each(|counts| counts.dispatches),
        submits: each(|counts| counts.submits),
        waits: each(|counts| counts.waits),
        training: training(config, problem, Location::Host, seconds)?,
        training_on_device: on_device,
    })
}

/// Mean milliseconds of an iteration of reverse KL, over as many as fit, after some that warm up.
fn training(config: &EngineConfig, problem: Problem, location: Location, seconds: f64) -> Result<Training, TrainError> {
    let Problem { sites, width, layers, batch } = problem;
    let settings = Settings {
        policy: PolicyConfig { hidden: vec![width; layers], ..PolicyConfig::default() },
        training: TrainingConfig { batch, iterations: i32::MAX as u32, ..TrainingConfig::default() },
        optimizer: optimizer::Settings { location, ..optimizer::Settings::default() },
        engine: config.clone(),
        ..Settings::default()
    };
    let (mut trainer, _) = Trainer::build(&settings, Arc::new(Flat(sites)))?;
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
    let each = |of: fn(Counts) -> u64| called.map(|called| of(called) as f64 / count);
    Ok(Training {
        iteration_ms: milliseconds / count,
        dispatches: each(|counts| counts.dispatches),
        submits: each(|counts| counts.submits),
        waits: each(|counts| counts.waits),
    })
}

fn called_between(before: Option<Counts>, after: Option<Counts>) -> Option<Counts> {
    before.zip(after).map(|(before, after)| Counts {
        dispatches: after.dispatches - before.dispatches,
        submits: after.submits - before.submits,
        waits: after.waits - before.waits,
    })
}

/// Some rollouts, each with its gradient.
struct Pairs {
    count: u32,
    /// What all of them called upon a device for, where there is one.
    called: Option<Counts>,
    /// Of a rollout and of a gradient, on average.
    milliseconds: [f64; 2],
}

/// Mean milliseconds of a rollout and of its gradient, over as many pairs as fit, after one that warms up. They take
/// turns, as in training: engines keep what they know of a batch, so a second gradient of the same one costs less. With it what
/// so many pairs have called upon a device for.
fn milliseconds(
    engine: &mut dyn Engine,
    request: &Rollout,
    coefficients: &Coefficients,
    seconds: f64,
) -> Result<Pairs, EngineError> {
    let mut total = vec![0.0; engine.arrangement().length()];
    let mut pair = |engine: &mut dyn Engine| {
        let start = Instant::now();
        engine.rollout(request)?;
        let rollout = start.elapsed().as_secs_f64();
        engine.accumulate(coefficients, &mut total)?;
        Ok([rollout, start.elapsed().as_secs_f64() - rollout])
    };
    pair(engine)?;
    let before = engine.counts();
    let (mut totals, mut calls) = ([0.0; 2], 0);
    while calls == 0 || totals.iter().sum::<f64>() < seconds {
        totals.iter_mut().zip(pair(engine)?).for_each(|(total, part)| *total += part);
        calls += 1;
    }
    let called = called_between(before, engine.counts());
    Ok(Pairs { count: calls, called, milliseconds: totals.map(|total| total * 1e3 / f64::from(calls)) })
}
