//! How fast an engine is: every stage and whole iterations of training, against what the device does at best in the same run.
//!
//! Machines are shared and clocks wander; shares of a ceiling measured beside them wander less.

#[cfg(feature = "gpu")]
mod device;
mod native;
mod picture;
mod problem;
mod training;

pub use picture::picture;
pub use problem::{Problem, Task, Work};
pub use training::Training;

use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;

use self::problem::{BACKWARD, FORWARD, STAGES};
use self::training::training;
use crate::config::EngineConfig;
#[cfg(feature = "gpu")]
use crate::engine::gpu::KernelSet;
use crate::engine::{Coefficients, Counts, Engine, EngineError, Rollout};
use crate::network::{Activation, Initialisation, initialise};
use crate::optimizer::Location;
use crate::random::{Draw, Stream};
use crate::trainer::TrainError;
use crate::trainer::select::{select, takes_gpu};

/// There are none without GPUs.
#[cfg(not(feature = "gpu"))]
#[derive(Clone, Copy, Debug)]
pub enum KernelSet {}

/// What is to be timed.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    pub config: EngineConfig,
    /// Which kernels a GPU runs; those that suit it if it is not said.
    pub kernels: Option<KernelSet>,
}

/// What the device does at best.
#[derive(Clone, Debug, Serialize)]
pub struct Ceiling {
    /// Flops a second of products, two for a multiply-add.
    pub flops: f64,
    /// Bytes a second of a copy, read and written ones.
    pub bytes: f64,
    /// Which product was the best one.
    pub product: String,
}

/// What was measured of one problem.
#[derive(Clone, Debug, Serialize)]
pub struct Throughput {
    pub engine: String,
    pub adapter: Option<Adapter>,
    pub task: String,
    pub sites: usize,
    pub width: usize,
    pub layers: usize,
    pub batch: usize,
    pub ceiling: Ceiling,
    /// A rollout and a gradient that the host waits for, on wall clocks.
    pub rollout_ms: f64,
    pub gradient_ms: f64,
    pub iterations_per_second: f64,
    pub trajectories_per_second: f64,
    /// The floor's flops over the time of both.
    pub gflops: f64,
    #[serde(flatten)]
    pub calls: Option<Calls>,
    /// Of an iteration on the device by its own clock, or of what was measured above.
    pub stages: Vec<Stage>,
    /// With the optimizer on the host.
    pub training: Training,
    /// With the optimizer on the device, where there is one.
    pub training_on_device: Option<Training>,
}

/// What a GPU engine runs on.
#[derive(Clone, Debug, Serialize)]
pub struct Adapter {
    pub name: String,
    pub backend: String,
    pub kind: String,
    pub driver: String,
    pub kernels: String,
}

/// What an iteration calls upon a device for: kernels launched, lists of commands submitted, and times that the host waits.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Calls {
    pub dispatches: f64,
    pub submits: f64,
    pub waits: f64,
}

/// A part of an iteration.
#[derive(Clone, Debug, Serialize)]
pub struct Stage {
    pub name: &'static str,
    pub milliseconds: f64,
    pub dispatches: Option<f64>,
    #[serde(flatten)]
    pub share: Share,
}

/// Work, and which part of the ceiling doing it in its time is.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Share {
    #[serde(flatten)]
    pub work: Work,
    /// Of the product's flops a second, and of the copy's bytes.
    pub of_product: f64,
    pub of_copy: f64,
}

impl Calls {
    fn each(called: Counts, count: f64) -> Self {
        let [dispatches, submits, waits] =
            [called.dispatches, called.submits, called.waits].map(|number| number as f64 / count);
        Self { dispatches, submits, waits }
    }
}

impl Share {
    fn of(work: Work, milliseconds: f64, ceiling: &Ceiling) -> Self {
        let rate = |amount: f64| if milliseconds > 0.0 { 1e3 * amount / milliseconds } else { 0.0 };
        Self { work, of_product: rate(work.flops) / ceiling.flops, of_copy: rate(work.bytes) / ceiling.bytes }
    }
}

/// Measures what the device does at best: on a GPU each candidate for a fifth of `seconds`.
pub fn ceiling(asked: &Asked, width: usize, seconds: f64) -> Result<Ceiling, EngineError> {
    #[cfg(feature = "gpu")]
    if takes_gpu(&asked.config) {
        return device::ceiling(asked, 0.2 * seconds);
    }
    let _ = (asked, seconds);
    let product = format!("native, 512 rows by {width} x {width}");
    Ok(Ceiling { flops: native::product_rate(width), bytes: native::copy_rate(), product })
}

/// An engine for a problem.
fn open(asked: &Asked, problem: &Problem) -> Result<Box<dyn Engine>, EngineError> {
    #[cfg(feature = "gpu")]
    if takes_gpu(&asked.config) {
        return Ok(Box::new(device::open(asked, problem)?));
    }
    if asked.kernels.is_some() {
        let message = "the native engine has no kernels to choose from: --kernels goes with --engine gpu";
        return Err(EngineError::Limit(message.into()));
    }
    let (process, layout) = (Arc::new(problem.process()), problem.layout());
    let (config, batch) = (&asked.config, problem.batch);
    Ok(select(config, (0, 1), process, &layout, Activation::Swish, problem.target(), batch)?.0)
}

/// Times a problem: both halves of an iteration, its stages, and whole iterations, each for about `seconds`.
pub fn measure(asked: &Asked, problem: &Problem, ceiling: &Ceiling, seconds: f64) -> Result<Throughput, TrainError> {
    let batch = problem.batch;
    let mut engine = open(asked, problem)?;
    engine.set_parameters(&initialise(&problem.layout(), Initialisation::FanIn, 1, Stream::Initialisation))?;
    let request = Rollout::sample(Draw::new(1, 0, Stream::Training), batch).kept();
    let signs = (0..batch).map(|i| if i % 2 == 0 { 1.0 } else { -1.0 }).collect();
    let coefficients = Coefficients::Trajectories(signs);
    let Pairs { count, called, milliseconds: [rollout_ms, gradient_ms] } =
        milliseconds(engine.as_mut(), &request, &coefficients, 2.0 * seconds)?;
    let name = engine.name();
    drop(engine);
    let half = |name, stages: [&'static str; 4], milliseconds| {
        let share = Share::of(problem.works(stages), milliseconds, ceiling);
        Stage { name, milliseconds, dispatches: None, share }
    };
    let halves = || vec![half("rollout", FORWARD, rollout_ms), half("gradient", BACKWARD, gradient_ms)];
    let on_gpu = takes_gpu(&asked.config);
    #[cfg(feature = "gpu")]
    let looked = on_gpu.then(|| device::look(asked, problem, ceiling)).transpose()?;
    #[cfg(not(feature = "gpu"))]
    let looked: Option<(Adapter, Option<Vec<Stage>>)> = None;
    let (adapter, timed) = looked.unzip();
    let train = |location| training(asked, problem, ceiling, location, seconds);
    let rate = 1e3 / (rollout_ms + gradient_ms);
    Ok(Throughput {
        engine: name,
        adapter,
        task: problem.task_name(),
        sites: problem.sites(),
        width: problem.width,
        layers: problem.layers,
        batch,
        ceiling: ceiling.clone(),
        rollout_ms,
        gradient_ms,
        iterations_per_second: rate,
        trajectories_per_second: rate * batch as f64,
        gflops: problem.floor() * rate / 1e9,
        calls: called.map(|called| Calls::each(called, f64::from(count))),
        stages: timed.flatten().unwrap_or_else(halves),
        training: train(Location::Host)?,
        training_on_device: if on_gpu { Some(train(Location::Device)?) } else { None },
    })
}

fn called_between(before: Option<Counts>, after: Option<Counts>) -> Option<Counts> {
    before.zip(after).map(|(before, after)| Counts {
        dispatches: after.dispatches - before.dispatches,
        submits: after.submits - before.submits,
        waits: after.waits - before.waits,
        waited: after.waited - before.waited,
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
