//! `wgflow train`: trains a policy and leaves a run directory.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::presets;
use super::progress::Progress;
use crate::config::{Config, ConfigError, EngineKind};
use crate::evaluation;
use crate::metrics::weights;
use crate::run::directory::{MetricsLog, RunDirectory};
use crate::summary::{self, Speed};
use crate::trainer::{Step, Trainer};

#[derive(clap::Args, Default)]
pub struct Arguments {
    /// An experiment file (TOML); without one, the preset `ising-quick`
    #[arg(value_name = "FILE", conflicts_with = "preset")]
    file: Option<PathBuf>,
    /// A built-in experiment (`wgflow presets` lists them)
    #[arg(long, value_name = "NAME")]
    preset: Option<String>,
    /// Changes a key of the experiment: --set training.batch=512 (may be repeated)
    #[arg(long, value_name = "KEY.PATH=VALUE")]
    set: Vec<String>,
    /// Directory of the run; without one, the first unused runs/NAME-1, runs/NAME-2, ...
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Overrides engine.kind
    #[arg(long)]
    engine: Option<EngineKind>,
    /// Part of the name of the adapter to use (also: the environment variable WGFLOW_ADAPTER)
    #[arg(long, value_name = "TEXT")]
    adapter: Option<String>,
    /// Overrides training.iterations
    #[arg(long, value_name = "N")]
    iterations: Option<u32>,
    /// Stops after N more iterations, to be resumed later
    #[arg(long, value_name = "N")]
    stop_after: Option<u32>,
    /// Overrides seed
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Continues the run in this directory
    #[arg(long, value_name = "DIR", conflicts_with_all = ["file", "preset", "set", "out", "iterations", "seed"])]
    resume: Option<PathBuf>,
    /// Writes one JSON object a line to standard output, and nothing else there
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = interrupted.clone();
    // The second signal ends the process at once: a handler of our own must not make it immortal.
    let on_signal = move || {
        if flag.swap(true, Ordering::SeqCst) {
            std::process::exit(1);
        }
    };
    ctrlc::set_handler(on_signal).context("cannot install the handler of Ctrl-C")?;

    // The engine is made before the directory: a configuration too large for the adapter leaves nothing behind.
    let (run, config, (mut trainer, engine)) = match &arguments.resume {
        Some(path) => {
            let (run, mut config) = RunDirectory::open(path)?;
            override_engine(&mut config, &arguments);
            let prepared = prepare(&config)?;
            (run, config, prepared)
        }
        None => {
            let (name, config) = experiment(&arguments)?;
            let prepared = prepare(&config)?;
            let path = arguments.out.clone().unwrap_or_else(|| RunDirectory::unused(&name));
            (RunDirectory::create(&path, &config)?, config, prepared)
        }
    };
    if let Some(checkpoint) = run.checkpoint()? {
        trainer.restore(&checkpoint)?;
    }
    let mut session = Session::start(&run, &config, &mut trainer, &engine, arguments.json)?;
    session.train(&interrupted, arguments.stop_after)
}

/// The experiment that the arguments name, and a name for its run.
fn experiment(arguments: &Arguments) -> anyhow::Result<(String, Config)> {
    let mut changes = arguments.set.clone();
    changes.extend(arguments.iterations.map(|iterations| format!("training.iterations={iterations}")));
    changes.extend(arguments.seed.map(|seed| format!("seed={seed}")));
    let (name, mut config) = match &arguments.file {
        Some(path) => {
            let stem = path.file_stem().map_or("run".into(), |stem| stem.to_string_lossy().into_owned());
            (stem, Config::read(path, &changes)?)
        }
        None => {
            let name = arguments.preset.as_deref().unwrap_or(presets::DEFAULT);
            (name.to_string(), presets::config(name, &changes)?)
        }
    };
    override_engine(&mut config, arguments);
    Ok((name, config))
}

fn override_engine(config: &mut Config, arguments: &Arguments) {
    let engine = &mut config.settings.engine;
    engine.kind = arguments.engine.unwrap_or(engine.kind);
    engine.adapter = arguments.adapter.clone().unwrap_or(std::mem::take(&mut engine.adapter));
}

/// A trainer at iteration 0 and a line about its engine.
pub fn prepare(config: &Config) -> anyhow::Result<(Trainer, String)> {
    Ok(Trainer::build(&config.settings, config.target.build()?)?)
}

/// One process's share of a run.
struct Session<'a> {
    run: &'a RunDirectory,
    trainer: &'a mut Trainer,
    config: &'a Config,
    log: MetricsLog,
    progress: Progress,
    json: bool,
    begun: Instant,
    first: u32,
}

impl<'a> Session<'a> {
    fn start(
        run: &'a RunDirectory,
        config: &'a Config,
        trainer: &'a mut Trainer,
        engine: &str,
        json: bool,
    ) -> anyhow::Result<Self> {
        let log = run.log(trainer.iteration())?;
        let total = trainer.settings().training.iterations;
        let progress = Progress::new(trainer.iteration(), total, trainer.settings().training.batch, json);
        progress.say(&format!("engine: {engine}"));
        progress.say(&format!("run directory: {}", run.path().display()));
        if json {
            let start =
                json!({"event": "start", "engine": engine, "run": run.path(), "iteration": trainer.iteration()});
            println!("{start}");
        }
        let first = trainer.iteration();
        let session = Self { run, trainer, config, log, progress, json, begun: Instant::now(), first };
        session.save()?;
        Ok(session)
    }

    fn train(&mut self, interrupted: &AtomicBool, stop_after: Option<u32>) -> anyhow::Result<()> {
        let every = Duration::from_secs_f64(self.trainer.settings().training.checkpoint_seconds);
        let end = stop_after.map_or(u32::MAX, |steps| self.first.saturating_add(steps));
        let mut saved = Instant::now();
        while !self.trainer.is_done() {
            if interrupted.load(Ordering::SeqCst) {
                self.save()?;
                self.progress.finish();
                bail!("interrupted at iteration {}: saved; {}", self.trainer.iteration(), self.how_to_resume());
            }
            if self.trainer.iteration() >= end {
                self.save()?;
                self.progress.finish();
                let (iteration, how) = (self.trainer.iteration(), self.how_to_resume());
                self.progress.say(&format!("stopped after iteration {iteration}, as asked: saved; {how}"));
                self.event(&json!({"event": "stopped", "iteration": iteration, "run": self.run.path()}));
                return Ok(());
            }
            let step = match self.trainer.step() {
                Ok(step) => step,
                Err(error) => {
                    self.save()?;
                    self.progress.finish();
                    return Err(error.into());
                }
            };
            self.note(&step)?;
            if saved.elapsed() >= every {
                self.save()?;
                saved = Instant::now();
            }
        }
        self.save()?;
        self.progress.finish();
        self.summarise()
    }

    fn how_to_resume(&self) -> String {
        format!("continue with `wgflow train --resume {}`", self.run.path().display())
    }

    fn save(&self) -> anyhow::Result<()> {
        Ok(self.trainer.checkpoint().write(&self.run.checkpoint_path())?)
    }

    fn event(&self, event: &Value) {
        if self.json {
            println!("{event}");
        }
    }

    /// Shows a step, and writes it down if its turn has come.
    fn note(&mut self, step: &Step) -> anyhow::Result<()> {
        let training = &self.trainer.settings().training;
        let last = step.iteration + 1 == training.iterations;
        let due = step.iteration.is_multiple_of(training.log_every) || last || step.skipped;
        if !due {
            self.progress.advance(step.iteration + 1);
            return Ok(());
        }
        let log_weights = match &step.forward_log_weights {
            Some(log_weights) => log_weights.clone(),
            // An objective on backward trajectories alone is watched through forward ones all the same.
            None => self.trainer.evaluate_forward(0, self.trainer.settings().training.batch)?.0.log_weights(),
        };
        let line = json!({
            "iteration": step.iteration,
            "loss": step.loss,
            "elbo": weights::elbo(&log_weights).value,
            "log_z": weights::log_z(&log_weights).value,
            "ess_fraction": weights::effective_samples(&log_weights).fraction,
            "zeta": step.zeta,
            "gradient_norm": step.gradient_norm,
            "skipped": step.skipped,
            "seconds": self.begun.elapsed().as_secs_f64(),
        });
        self.log.append(&line)?;
        self.progress.show(step.iteration + 1, &line);
        self.event(&line);
        Ok(())
    }

    /// The final evaluation: summary, report, pictures, and what a person reads on the terminal.
    fn summarise(&mut self) -> anyhow::Result<()> {
        let seconds = self.begun.elapsed().as_secs_f64();
        let done = self.trainer.iteration() - self.first;
        let metrics = self.run.metrics(u32::MAX)?;
        self.progress.say("evaluating with fresh samples ...");
        let samples = self.trainer.settings().evaluation.samples;
        let evaluated = evaluation::evaluate(self.trainer, samples)?;
        let speed = Speed { seconds, iterations: done };
        let summary = summary::write(self.run, self.config, self.trainer, &evaluated, &metrics, speed)?;
        self.event(&json!({"event": "summary", "summary": summary}));
        self.progress.say(&summary.for_people());
        self.progress.say(&format!("report: {}", self.run.path().join("report.html").display()));
        Ok(())
    }
}

/// The trainer of a finished or interrupted run, for commands that only look at it.
pub fn open(path: &Path) -> anyhow::Result<(RunDirectory, Trainer, String)> {
    let (run, config) = RunDirectory::open(path)?;
    let (mut trainer, engine) = prepare(&config)?;
    let checkpoint = run.checkpoint()?.ok_or_else(|| {
        ConfigError::new(format!("{} has no checkpoint yet: train it with --resume first", path.display()))
    })?;
    trainer.restore(&checkpoint)?;
    Ok((run, trainer, engine))
}
