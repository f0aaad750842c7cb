//! A training session: one process's share of a run, without a terminal.
//!
//! It takes up the run's checkpoint if there is one, trains, saves every few seconds, logs metrics, and at the end
//! evaluates and writes the summary. Who wants to watch is an [`Observer`]; who wants it to stop raises a flag.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::config::{Config, ConfigError};
use crate::evaluation::{self, Evaluation};
use crate::metrics::weights;
use crate::run::directory::{MetricsLog, RunDirectory};
use crate::summary::{self, Speed, Summary};
use crate::trainer::{Step, Trainer};

/// What a session tells while it runs. Every method may stay empty.
pub trait Observer {
    /// Training begins, or goes on, after `iteration` iterations, on the engine that the line `engine` describes.
    fn started(&mut self, run: &RunDirectory, engine: &str, iteration: u32) {
        let _ = (run, engine, iteration);
    }

    /// `done` iterations are behind.
    fn advanced(&mut self, done: u32) {
        let _ = done;
    }

    /// `done` iterations are behind, and `line` was written to the metrics log.
    fn logged(&mut self, done: u32, line: &Value) {
        let _ = (done, line);
    }

    /// `done` iterations are behind, and an evaluation of the policy was written to the metrics log.
    fn evaluated(&mut self, done: u32, line: &Value, evaluation: &Evaluation) {
        let _ = (done, line, evaluation);
    }

    /// All iterations are done; the evaluation with fresh samples begins.
    fn evaluating(&mut self) {}
}

/// How a session ended, if not by an error. The run's state is saved in all cases.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The run is finished, its summary written.
    Finished(Box<Summary>),
    /// As many iterations as asked for are done; the run can go on after `iteration`.
    Stopped { iteration: u32 },
    /// The flag was raised; the run can go on after `iteration`.
    Interrupted { iteration: u32 },
}

/// A trainer, its engine, and the configuration that both were made of.
pub struct Session {
    config: Config,
    trainer: Trainer,
    engine: String,
}

impl Session {
    /// A session at iteration 0. Nothing is written: a configuration too large for the adapter leaves nothing behind.
    pub fn new(config: Config) -> anyhow::Result<Self> {
        let (trainer, engine) = Trainer::build(&config.settings, config.target.build()?)?;
        Ok(Self { config, trainer, engine })
    }

    /// The run in this directory as its checkpoint left it, for those who only look at it.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let (run, config) = RunDirectory::open(path)?;
        let mut session = Self::new(config)?;
        let none =
            || ConfigError::new(format!("{} has no checkpoint yet: train it with --resume first", path.display()));
        session.trainer.restore(&run.checkpoint()?.ok_or_else(none)?)?;
        Ok(session)
    }

    pub fn trainer(&mut self) -> &mut Trainer {
        &mut self.trainer
    }

    /// Which engine the session has, and why.
    pub fn engine(&self) -> &str {
        &self.engine
    }

    /// Trains from the run's checkpoint on (from iteration 0 if it has none) to the end, or until `stop` is raised or
    /// `stop_after` more iterations are done. `run` must be the directory of the same configuration.
    ///
    /// # Errors
    /// If the checkpoint does not fit, training diverges, the engine fails, or a file cannot be written. The state
    /// before a step that failed is saved.
    pub fn run(
        &mut self,
        run: &RunDirectory,
        stop: &AtomicBool,
        stop_after: Option<u32>,
        observer: &mut dyn Observer,
    ) -> anyhow::Result<Outcome> {
        if let Some(checkpoint) = run.checkpoint()? {
            self.trainer.restore(&checkpoint)?;
        }
        let first = self.trainer.iteration();
        let end = stop_after.map_or(u32::MAX, |steps| first.saturating_add(steps));
        let every = Duration::from_secs_f64(self.config.settings.training.checkpoint_seconds);
        let mut log = run.log(first)?;
        observer.started(run, &self.engine, first);
        self.save(run)?;
        let begun = Instant::now();
        let mut saved = Instant::now();
        while !self.trainer.is_done() {
            let iteration = self.trainer.iteration();
            let interrupted = stop.load(Ordering::SeqCst);
            if interrupted || iteration >= end {
                self.save(run)?;
                let stopped = Outcome::Stopped { iteration };
                return Ok(if interrupted { Outcome::Interrupted { iteration } } else { stopped });
            }
            let step = match self.trainer.step() {
                Ok(step) => step,
                Err(error) => {
                    self.save(run)?;
                    return Err(error.into());
                }
            };
            self.note(&step, begun, &mut log, observer)?;
            let evaluate_every = self.config.settings.evaluation.every;
            if evaluate_every > 0 && self.trainer.iteration().is_multiple_of(evaluate_every) {
                self.evaluate(begun, &mut log, observer)?;
            }
            if saved.elapsed() >= every {
                self.save(run)?;
                saved = Instant::now();
            }
        }
        self.save(run)?;
        let speed = Speed { seconds: begun.elapsed().as_secs_f64(), iterations: self.trainer.iteration() - first };
        observer.evaluating();
        let samples = self.config.settings.evaluation.samples;
        let evaluated = evaluation::evaluate(&mut self.trainer, samples)?;
        let metrics = run.metrics(u32::MAX)?;
        let summary = summary::write(run, &self.config, &mut self.trainer, &evaluated, &metrics, speed)?;
        Ok(Outcome::Finished(Box::new(summary)))
    }

    fn save(&self, run: &RunDirectory) -> anyhow::Result<()> {
        Ok(self.trainer.checkpoint().write(&run.checkpoint_path())?)
    }

    /// Tells of a step, and writes it down if its turn has come.
    fn note(
        &mut self,
        step: &Step,
        begun: Instant,
        log: &mut MetricsLog,
        observer: &mut dyn Observer,
    ) -> anyhow::Result<()> {
        let training = &self.config.settings.training;
        let done = step.iteration + 1;
        let last = done == training.iterations;
        if !(step.iteration.is_multiple_of(training.log_every) || last || step.skipped) {
            observer.advanced(done);
            return Ok(());
        }
        let log_weights = match &step.forward_log_weights {
            // Without any R, log-weights say nothing.
            _ if !self.trainer.target().has_reward() => None,
            Some(log_weights) => Some(log_weights.clone()),
            // An objective on backward trajectories alone is watched through forward ones all the same.
            None => {
                let (batch, _) = self.trainer.evaluate_forward(0, training.batch)?;
                Some(self.trainer.as_trained(batch).batch.log_weights())
            }
        };
        let known = |of: fn(&[f64]) -> f64| log_weights.as_deref().map(of);
        let mut line = json!({
            "iteration": step.iteration,
            "loss": step.loss,
            "elbo": known(|log_weights| weights::elbo(log_weights).value),
            "log_z": known(|log_weights| weights::log_z(log_weights).value),
            "ess_fraction": known(|log_weights| weights::effective_samples(log_weights).fraction),
            "forbidden_fraction": step.forbidden_fraction,
            "zeta": step.zeta,
            "gradient_norm": step.gradient_norm,
            "skipped": step.skipped,
            "seconds": begun.elapsed().as_secs_f64(),
        });
        if let Some(energy) = step.energy {
            line["energy_loss"] = energy.loss.into();
            line["energy_gradient_norm"] = energy.gradient_norm.into();
            line["cleared_sites"] = energy.cleared.into();
            line["accepted_fraction"] = energy.accepted.into();
        }
        log.append(&line)?;
        observer.logged(done, &line);
        Ok(())
    }

    /// Evaluates the policy on the way and writes down what was found.
    fn evaluate(&mut self, begun: Instant, log: &mut MetricsLog, observer: &mut dyn Observer) -> anyhow::Result<()> {
        let samples = self.config.settings.evaluation.samples;
        let evaluation = evaluation::evaluate(&mut self.trainer, samples)?.evaluation;
        let done = self.trainer.iteration();
        // A run that resumes cuts the log by iterations: this line belongs to the last one done.
        let line = json!({"iteration": done - 1, "evaluation": evaluation, "seconds": begun.elapsed().as_secs_f64()});
        log.append(&line)?;
        observer.evaluated(done, &line, &evaluation);
        Ok(())
    }
}
