//! A training session: one process's share of a run, without a terminal.
//!
//! It takes up the run's checkpoint if there is one, trains, saves every few seconds, logs metrics, and at the end
//! evaluates and writes the summary. A run that is finished stays as it is. Who wants to watch is an [`Observer`]; who
//! wants it to stop raises a [`Stop`].

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::config::{Config, ConfigError, Difference, EvaluationConfig, Inputs};
use crate::engine::EngineError;
use crate::evaluation::{self, Evaluated, Evaluation, EvaluationError, Seed};
use crate::metrics::weights;
use crate::parallel::{Experiment, Ranks};
use crate::run::checkpoint::Checkpoint;
use crate::run::claim::Claim;
use crate::run::directory::{RunDirectory, agree};
use crate::run::error::RunError;
use crate::run::log::MetricsLog;
use crate::run::times::Times;
use crate::stop::{Reason, Stop};
use crate::summary::{self, Summary};
use crate::targets::{InputFiles, Target};
use crate::trainer::{Builder, Step, Trainer};

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

    /// Something is amiss that people should know of, though the run goes on.
    fn warned(&mut self, warning: &str) {
        let _ = warning;
    }
}

/// How a session ended, if not by an error. The run's state is saved in all cases.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The run is finished, its summary written.
    Finished(Box<Summary>),
    /// The run had been finished before, with this summary; nothing was changed.
    AlreadyFinished(Value),
    /// As many iterations as asked for are done; the run can go on after `iteration`.
    Stopped { iteration: u32 },
    /// It was asked to stop; the run can go on after `iteration`. An evaluation that this cut short is made again then.
    Interrupted { iteration: u32, reason: Reason },
}

/// A trainer, its engine, and the configuration that both were made of.
pub struct Session {
    config: Config,
    trainer: Trainer,
    engine: String,
    /// Lines of the metrics log that belong to the trainer's state.
    log_lines: u64,
    times: Times,
    /// In what the configuration differs from the one that the run has been carried out with so far.
    changed: Vec<Difference>,
}

impl Session {
    /// A session at iteration 0, on all `ranks` if there are any. Nothing is written: a configuration too large for the
    /// adapter leaves nothing behind.
    pub fn new(config: Config, ranks: Option<Ranks>) -> anyhow::Result<Self> {
        Self::build(config, None, Inputs::Files, None, None, ranks)
    }

    /// The same in one process on `target`, where there is one: for a configuration with `target.kind = "own"`, which has none
    /// itself.
    pub fn with_target(config: Config, target: Option<Arc<dyn Target>>) -> anyhow::Result<Self> {
        Self::build(config, target, Inputs::Files, None, None, None)
    }

    fn build(
        config: Config,
        target: Option<Arc<dyn Target>>,
        inputs: Inputs,
        checkpoint: Option<&Checkpoint>,
        looked_at: Option<EvaluationConfig>,
        ranks: Option<Ranks>,
    ) -> anyhow::Result<Self> {
        let builder = match target {
            Some(target) => Builder::new(&config.settings, target),
            None => Builder::of(&config, inputs)?,
        };
        if let Some(ranks) = &ranks {
            let files = builder.target().files();
            let files = files.iter().map(|(key, content)| (key.to_owned(), content.to_vec())).collect();
            ranks.tell(Experiment { config: config.to_toml(), files });
        }
        let builder = builder.ranks(ranks);
        let builder = match checkpoint {
            Some(checkpoint) => builder.continuing(checkpoint),
            None => builder,
        };
        let builder = match looked_at {
            Some(sizes) => builder.only_evaluated(sizes),
            None => builder,
        };
        let (trainer, engine) = builder.build()?;
        Ok(Self { config, trainer, engine, log_lines: 0, times: Times::default(), changed: Vec::new() })
    }

    /// The run in this directory as its checkpoint left it, for those who only look at it, in evaluations of the sizes that
    /// `size` makes of the run's own.
    pub fn open(path: &Path, size: impl FnOnce(&mut EvaluationConfig)) -> anyhow::Result<Self> {
        let (run, config) = RunDirectory::open(path, &[])?;
        let mut sizes = config.settings.evaluation.clone();
        size(&mut sizes);
        let none =
            || ConfigError::new(format!("{} has no checkpoint yet: train it with --resume first", path.display()));
        Self::restore(config, None, &run.checkpoint()?.ok_or_else(none)?, &[], Some(sizes), None)
    }

    /// A session that goes on from the run's checkpoint, or begins the run if it has none yet. `config` is the run's, but for
    /// the keys in `changed`. The ranks need not be as many as before.
    ///
    /// # Errors
    /// If the checkpoint belongs to another configuration, naming the keys; if it is damaged; as [`Session::new`].
    pub fn take_up(run: &RunDirectory, config: Config, changed: &[&str], ranks: Option<Ranks>) -> anyhow::Result<Self> {
        match run.checkpoint()? {
            Some(checkpoint) => Self::restore(config, None, &checkpoint, changed, None, ranks),
            None => Self::new(config, ranks),
        }
    }

    /// What ranks other than rank 0 do: their shares of its session, to the end.
    pub fn serve(ranks: Ranks) {
        let Some(Experiment { config, files }) = ranks.told() else { return };
        let files = InputFiles::new(files.into_iter().map(|(key, content)| (key, content.into())));
        let builder = Config::parse(&config, &[]).and_then(|config| Builder::of(&config, Inputs::Checkpoint(files)));
        match builder {
            Ok(builder) => builder.ranks(ranks).serve(),
            Err(error) => ranks.refuse(&EngineError::Limit(error.to_string())),
        }
    }

    /// The same in one process on `target`, where there is one: see [`Session::with_target`].
    pub fn take_up_with_target(
        run: &RunDirectory,
        config: Config,
        target: Option<Arc<dyn Target>>,
        changed: &[&str],
    ) -> anyhow::Result<Self> {
        match run.checkpoint()? {
            Some(checkpoint) => Self::restore(config, target, &checkpoint, changed, None, None),
            None => Self::with_target(config, target),
        }
    }

    fn restore(
        config: Config,
        target: Option<Arc<dyn Target>>,
        checkpoint: &Checkpoint,
        changed: &[&str],
        looked_at: Option<EvaluationConfig>,
        ranks: Option<Ranks>,
    ) -> anyhow::Result<Self> {
        let (config, changed) = agree(checkpoint, config, changed)?;
        let inputs = Inputs::Checkpoint(checkpoint.files()?);
        let mut session = Self::build(config, target, inputs, Some(checkpoint), looked_at, ranks)?;
        session.changed = changed;
        session.trainer.restore(checkpoint)?;
        session.log_lines = checkpoint.text(Checkpoint::LOG_LINES)?;
        let (done, iterations) = (session.trainer.iteration(), session.config.settings.training.iterations);
        if done > iterations {
            let message =
                format!("training.iterations = {iterations}: the run has done {done} already, so at least that");
            return Err(ConfigError::new(message).into());
        }
        Ok(session)
    }

    /// Iterations of the whole run.
    pub fn iterations(&self) -> u32 {
        self.config.settings.training.iterations
    }

    /// The summary of a run that is finished; none if anything is left to do. Warns where the evaluation in it was made with
    /// other settings than the configuration has.
    pub fn finished(&self, run: &RunDirectory, observer: &mut dyn Observer) -> Result<Option<Value>, RunError> {
        let summary = if self.trainer.is_done() { run.summary(self.iterations())? } else { None };
        let changed = self.changed.iter().filter(|difference| difference.key.starts_with("evaluation."));
        let changed: Vec<String> = changed.map(ToString::to_string).collect();
        if summary.is_some() && !changed.is_empty() {
            let (path, list) = (run.path().display(), changed.join("; "));
            observer.warned(&format!(
                "the run was evaluated with other settings than config.toml has now: {list}. `wgflow evaluate {path}` takes \
                 those of now; without summary.json, --resume evaluates again"
            ));
        }
        Ok(summary)
    }

    /// Gives the run its length of now, in place of `before` iterations: checkpoint and `config`, what its config.toml shall
    /// be, wherever this is cut off.
    pub fn settle_length(&self, run: &Claim, config: &Config, before: u32) -> anyhow::Result<()> {
        let mut checkpoint = self.checkpoint(self.log_lines);
        checkpoint.put_text(Checkpoint::LENGTH_BEFORE, before);
        run.save(&checkpoint)?;
        run.configure(config)?;
        Ok(run.save(&self.checkpoint(self.log_lines))?)
    }

    /// What both are made of.
    pub fn config(&self) -> &Config {
        &self.config
    }

    pub fn trainer(&mut self) -> &mut Trainer {
        &mut self.trainer
    }

    /// Which engine the session has, and why.
    pub fn engine(&self) -> &str {
        &self.engine
    }

    /// Trains to the end, or until `stop` is raised or `stop_after` more iterations are done. `run` must be the directory of
    /// the same configuration.
    ///
    /// # Errors
    /// If training diverges, the engine fails, or a file cannot be written. The state before a step that failed is saved.
    pub fn run(
        &mut self,
        run: &Claim,
        stop: &Stop,
        stop_after: Option<u32>,
        observer: &mut dyn Observer,
    ) -> anyhow::Result<Outcome> {
        if let Some(summary) = self.finished(run, observer)? {
            return Ok(Outcome::AlreadyFinished(summary));
        }
        let first = self.trainer.iteration();
        let end = stop_after.map_or(u32::MAX, |steps| first.saturating_add(steps));
        let every = Duration::from_secs_f64(self.config.settings.training.checkpoint_seconds);
        let (times, lost) = run.times();
        self.times = times;
        let mut log = run.log(self.log_lines)?;
        observer.started(run, &self.engine, first);
        let (logged, complaints) = run.metrics()?;
        lost.iter().chain(&complaints).for_each(|complaint| observer.warned(complaint));
        self.save(run, &mut log)?;
        let mut saved = Instant::now();
        let evaluated = |line: &Value| line["evaluation"].is_object() && line["iteration"] == first - 1;
        if self.evaluation_is_due() && !logged.last().is_some_and(evaluated) {
            // The session before was stopped in the middle of it.
            self.evaluate(run, stop, &mut log, observer)?;
        }
        while !self.trainer.is_done() {
            let iteration = self.trainer.iteration();
            let reason = stop.reason();
            let (wanted, due) = (reason.is_some() || iteration >= end, saved.elapsed() >= every);
            self.trainer.look_ahead(if wanted || due { 0 } else { self.next_pause(end) });
            if wanted && !self.trainer.is_ahead() {
                self.save(run, &mut log)?;
                let interrupted = |reason| Outcome::Interrupted { iteration, reason };
                return Ok(reason.map_or(Outcome::Stopped { iteration }, interrupted));
            }
            let begun = Instant::now();
            let step = match self.trainer.step() {
                Ok(step) => step,
                Err(error) => {
                    // A device that failed leaves the last checkpoint, which the log's lines belong to.
                    if !self.trainer.is_ahead() {
                        self.save(run, &mut log)?;
                    }
                    return Err(error.into());
                }
            };
            self.times.training_seconds += begun.elapsed().as_secs_f64();
            self.times.iterations = self.times.iterations.saturating_add(1);
            self.note(&step, &mut log, observer)?;
            if self.evaluation_is_due() {
                self.evaluate(run, stop, &mut log, observer)?;
            }
            if saved.elapsed() >= every && !self.trainer.is_ahead() {
                self.save(run, &mut log)?;
                saved = Instant::now();
            }
        }
        self.save(run, &mut log)?;
        observer.evaluating();
        let evaluated = self.evaluation(stop)?;
        run.time(&self.times)?;
        let Some(evaluated) = evaluated else {
            let (iteration, reason) = (self.trainer.iteration(), stop.reason().unwrap_or(Reason::Interrupt));
            return Ok(Outcome::Interrupted { iteration, reason });
        };
        let (metrics, _) = run.metrics()?;
        let summary = summary::write(run, &self.config, &mut self.trainer, &evaluated, &metrics, self.times)?;
        Ok(Outcome::Finished(Box::new(summary)))
    }

    /// The state, which `log_lines` lines of the log belong to.
    fn checkpoint(&self, log_lines: u64) -> Checkpoint {
        let mut checkpoint = self.trainer.checkpoint();
        checkpoint.put_text(Checkpoint::CONFIG, self.config.to_toml());
        checkpoint.put_text(Checkpoint::LOG_LINES, log_lines);
        checkpoint
    }

    /// Saves the state: first the log, whose lines the checkpoint counts, then the checkpoint, then what it took.
    fn save(&mut self, run: &Claim, log: &mut MetricsLog) -> anyhow::Result<()> {
        let begun = Instant::now();
        let lines = log.sync()?;
        run.save(&self.checkpoint(lines))?;
        self.times.saving_seconds += begun.elapsed().as_secs_f64();
        Ok(run.time(&self.times)?)
    }

    /// Tells of a step, and writes it down if its turn has come.
    fn note(&mut self, step: &Step, log: &mut MetricsLog, observer: &mut dyn Observer) -> anyhow::Result<()> {
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
            // An objective on backward trajectories alone, or on such as explore, is watched through forward ones all the same.
            None => {
                let (batch, _) = self.trainer.evaluate_forward(self.config.settings.seed, 0, training.batch)?;
                Some(self.trainer.as_trained(batch).log_weights())
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
            "seconds": self.times.training_seconds,
        });
        if let Some(found) = self.trainer.modes_found() {
            line["modes_found"] = found.into();
        }
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

    /// How many iterations are done when the next evaluation is due, or `end`.
    fn next_pause(&self, end: u32) -> u32 {
        let (every, done) = (self.config.settings.evaluation.every, self.trainer.iteration());
        let evaluation = (done + 1).checked_next_multiple_of(every).filter(|_| every > 0);
        end.min(evaluation.unwrap_or(u32::MAX))
    }

    /// Whether an evaluation on the way belongs after the iterations done so far.
    fn evaluation_is_due(&self) -> bool {
        let (every, done) = (self.config.settings.evaluation.every, self.trainer.iteration());
        every > 0 && done > 0 && done.is_multiple_of(every)
    }

    /// Evaluates the policy; none if `stop` is raised meanwhile.
    fn evaluation(&mut self, stop: &Stop) -> anyhow::Result<Option<Evaluated>> {
        let begun = Instant::now();
        let sizes = &self.config.settings.evaluation;
        let evaluated = evaluation::evaluate_sized(&mut self.trainer, sizes, Seed::Own, stop);
        self.times.evaluation_seconds += begun.elapsed().as_secs_f64();
        match evaluated {
            Err(EvaluationError::Stopped(_)) => Ok(None),
            evaluated => Ok(Some(evaluated?)),
        }
    }

    /// Evaluates the policy on the way and writes down what was found.
    fn evaluate(
        &mut self,
        run: &Claim,
        stop: &Stop,
        log: &mut MetricsLog,
        observer: &mut dyn Observer,
    ) -> anyhow::Result<()> {
        let Some(evaluated) = self.evaluation(stop)? else { return Ok(()) };
        summary::show_samples(run, self.trainer.target(), &evaluated)?;
        let evaluation = &evaluated.evaluation;
        let (done, seconds) = (self.trainer.iteration(), self.times.training_seconds);
        let line = json!({"iteration": done - 1, "evaluation": evaluation, "seconds": seconds});
        log.append(&line)?;
        observer.evaluated(done, &line, evaluation);
        Ok(())
    }
}
