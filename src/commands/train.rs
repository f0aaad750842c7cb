//! `wgflow train`: trains a policy and leaves a run directory.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::progress::Progress;
use super::{Interrupted, output, paths, ranks, signals};
use crate::config::{Config, EngineKind, Settings};
use crate::evaluation::Evaluation;
use crate::parallel::Ranks;
use crate::presets;
use crate::run::claim::Claim;
use crate::run::directory::{LENGTH, RunDirectory};
use crate::session::{Observer, Outcome, Session};
use crate::stop::Stop;

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
    /// Which of the adapters that match, counted from 0 (overrides engine.adapter_index)
    #[arg(long, value_name = "N")]
    adapter_index: Option<usize>,
    /// Overrides training.iterations; with --resume, makes the run longer or shorter
    #[arg(long, value_name = "N")]
    iterations: Option<u32>,
    /// Stops after N more iterations, to be resumed later
    #[arg(long, value_name = "N")]
    stop_after: Option<u32>,
    /// Overrides seed
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    #[arg(value_parser = super::seed)]
    seed: Option<u64>,
    /// Continues the run in this directory
    #[arg(long, value_name = "DIR", conflicts_with_all = ["file", "preset", "set", "out", "seed"])]
    resume: Option<PathBuf>,
    /// Writes one JSON object a line to standard output, and nothing else there
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    let job = ranks::job()?;
    match job.ranks() {
        Some(ranks) if !ranks.leads() => ranks::serve(ranks),
        ranks => lead(&arguments, ranks),
    }
}

/// Carries out the run, with the ranks of a job if there are any.
fn lead(arguments: &Arguments, ranks: Option<Ranks>) -> anyhow::Result<()> {
    if finished(arguments)? {
        return Ok(());
    }
    let Begun { run, mut session, stop, notes } = begin(arguments, ranks)?;
    let mut terminal = Terminal::new(session.trainer().settings(), arguments.json);
    for note in &notes {
        terminal.progress.say(note);
        terminal.event(&json!({"event": "note", "note": note}));
    }
    let outcome = session.run(&run, &stop, arguments.stop_after, &mut terminal);
    terminal.progress.finish();
    let how = format!("continue with `wgflow train --resume {}`", run.path().display());
    match outcome? {
        Outcome::Finished(summary) => {
            terminal.event(&json!({"event": "summary", "summary": summary}));
            terminal.progress.say(&summary.for_people());
            terminal.report(&run);
        }
        Outcome::AlreadyFinished(summary) => terminal.finished(&run, &summary),
        Outcome::Stopped { iteration } => {
            terminal.progress.say(&format!("stopped after iteration {iteration}, as asked: saved; {how}"));
            terminal.event(&json!({"event": "stopped", "iteration": iteration, "run": output::shown(run.path())}));
        }
        Outcome::Interrupted { iteration, reason } => {
            terminal.event(&json!({"event": "interrupted", "iteration": iteration, "run": output::shown(run.path())}));
            return Err(Interrupted::new(reason, &format!(" at iteration {iteration}"), &how).into());
        }
    }
    Ok(())
}

/// Shows the run that is to be resumed, if it is finished, and says whether it is. Nothing has to be written for that, so
/// the directory is not claimed: it may be in an archive that nobody can write to.
fn finished(arguments: &Arguments) -> anyhow::Result<bool> {
    let (Some(path), None) = (&arguments.resume, arguments.iterations) else { return Ok(false) };
    paths::run(path)?;
    let (run, mut config) = RunDirectory::open(path, &[])?;
    // Without a summary it is not finished, and there is no need for an engine to see that.
    if run.summary(config.settings.training.iterations)?.is_none() {
        return Ok(false);
    }
    override_engine(&mut config, arguments);
    let session = Session::take_up(&run, config.clone(), &[], None)?;
    let mut terminal = Terminal::new(&config.settings, arguments.json);
    let summary = session.finished(&run, &mut terminal)?;
    summary.iter().for_each(|summary| terminal.finished(&run, summary));
    Ok(summary.is_some())
}

/// A run in this process's hands.
struct Begun {
    run: Claim,
    session: Session,
    stop: Stop,
    /// What people should know before it goes on.
    notes: Vec<String>,
}

/// Makes the run that the arguments ask for, or takes over the one that they name.
///
/// A new run's engine is made before its directory: a configuration too large for the adapter leaves nothing behind.
/// Signals are an end at once until the configuration is read, for it may come from a pipe that never says anything; from
/// then on, before anything is written, they ask for a stop.
fn begin(arguments: &Arguments, ranks: Option<Ranks>) -> anyhow::Result<Begun> {
    let Some(path) = &arguments.resume else {
        arguments.out.as_deref().map_or(Ok(()), paths::directory)?;
        let (name, config) = experiment(arguments)?;
        let stop = signals::stop()?;
        let session = Session::new(config.clone(), ranks.map(|ranks| ranks.heeding(&stop)))?;
        let run = match &arguments.out {
            Some(path) => Claim::create(path, &config)?,
            None => Claim::create_unused(&name, &config)?,
        };
        return Ok(Begun { run, session, stop, notes: Vec::new() });
    };
    paths::run(path)?;
    let (run, before) = Claim::take(path, &[])?;
    let stop = signals::stop()?;
    let length: Vec<String> = arguments.iterations.iter().map(|n| format!("training.iterations={n}")).collect();
    // Read again: the new length has to suit all other keys.
    let (_, mut lasting) = RunDirectory::open(path, &length)?;
    let mut config = lasting.clone();
    override_engine(&mut config, arguments);
    let changed: &[&str] = if arguments.iterations.is_some() { &[LENGTH] } else { &[] };
    let ranks = ranks.map(|ranks| ranks.heeding(&stop));
    let mut session = Session::take_up(&run, config, changed, ranks)?;
    let mut notes = Vec::new();
    // Another length than config.toml has: asked for, or settled by a process that could not write it down any more.
    lasting.settings.training.iterations = session.iterations();
    if arguments.iterations.is_some() || lasting != before {
        session.settle_length(&run, &lasting, before.settings.training.iterations)?;
    }
    if lasting != before {
        notes.push(new_length(&before.settings, &lasting.settings, session.trainer().iteration()));
    }
    Ok(Begun { run, session, stop, notes })
}

/// Says that a run has another length now, and what that does to the schedules it has.
fn new_length(before: &Settings, after: &Settings, done: u32) -> String {
    let (old, new) = (before.training.iterations, after.training.iterations);
    let schedules = after.schedules();
    let effect = if schedules.is_empty() {
        "no key has a schedule over the run, so it goes on as if begun with this length".into()
    } else {
        let (keys, verb) = (schedules.join(" and "), if schedules.len() == 1 { "goes" } else { "go" });
        format!("from iteration {done} on {keys} {verb} over {new} iterations, where the first {done} had one of {old}")
    };
    format!("the run has {new} iterations now, not {old}: {effect}")
}

/// The experiment that the arguments name, and a name for its run.
fn experiment(arguments: &Arguments) -> anyhow::Result<(String, Config)> {
    let mut changes = arguments.set.clone();
    changes.extend(arguments.iterations.map(|iterations| format!("training.iterations={iterations}")));
    changes.extend(arguments.seed.map(|seed| format!("seed={seed}")));
    let (name, mut config) = match &arguments.file {
        Some(path) => {
            paths::readable(path)?;
            let stem = path.file_stem().map_or("run".into(), |stem| stem.to_string_lossy().into_owned());
            // Names of directories have up to 255 bytes, and a number comes behind it.
            (stem[..stem.floor_char_boundary(200)].to_string(), Config::read(path, &changes)?)
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
    engine.adapter_index = arguments.adapter_index.or(engine.adapter_index);
    engine.adapter = arguments.adapter.clone().unwrap_or(std::mem::take(&mut engine.adapter));
}

/// A session shown on the terminal.
struct Terminal {
    progress: Progress,
    json: bool,
}

impl Terminal {
    fn new(settings: &Settings, json: bool) -> Self {
        let training = &settings.training;
        Self { progress: Progress::new(training.iterations, training.batch, json), json }
    }

    fn event(&self, event: &Value) {
        if self.json {
            output::tell(&event.to_string());
        }
    }

    /// Shows a run that has been finished before.
    fn finished(&self, run: &RunDirectory, summary: &Value) {
        self.event(&json!({"event": "summary", "summary": summary}));
        let directory = run.path().display();
        self.progress.say(&format!("{directory} is finished, and stays as it is: nothing was left to do"));
        self.report(run);
    }

    /// Says where the report is.
    fn report(&self, run: &RunDirectory) {
        let report = run.path().join("report.html");
        let gone = "is gone: without summary.json, --resume evaluates again and writes both";
        let shown = report.display();
        self.progress.say(&if report.exists() { format!("report: {shown}") } else { format!("{shown} {gone}") });
    }
}

impl Observer for Terminal {
    fn started(&mut self, run: &RunDirectory, engine: &str, iteration: u32) {
        self.progress.start(iteration);
        self.progress.say(&format!("engine: {engine}"));
        self.progress.say(&format!("run directory: {}", run.path().display()));
        self.event(
            &json!({"event": "start", "engine": engine, "run": output::shown(run.path()), "iteration": iteration}),
        );
    }

    fn advanced(&mut self, done: u32) {
        self.progress.advance(done);
    }

    fn logged(&mut self, done: u32, line: &Value) {
        self.progress.show(done, line);
        self.event(line);
    }

    fn evaluated(&mut self, done: u32, line: &Value, evaluation: &Evaluation) {
        let number =
            |name: &str, value: Option<f64>| value.map_or(String::new(), |value| format!("  {name} {value:.4}"));
        let known = |value: f64| value.is_finite().then_some(value);
        let found = [
            number("NLL", evaluation.nll),
            number("MMD", evaluation.mmd),
            number("ELBO", known(evaluation.elbo)),
            number("log Z", known(evaluation.log_z_estimate)),
            number("TV", evaluation.exact.map(|exact| exact.total_variation)),
            number("forbidden", evaluation.forbidden_fraction.filter(|fraction| *fraction > 0.0)),
        ];
        self.progress.say(&format!("after {done} iterations{}", found.concat()));
        self.event(line);
    }

    fn warned(&mut self, warning: &str) {
        self.progress.suspend(|| output::complain(&format!("warning: {warning}")));
    }

    fn evaluating(&mut self) {
        self.progress.finish();
        self.progress.say("evaluating with fresh samples ...");
    }
}
