//! `wgflow train`: trains a policy and leaves a run directory.

use std::path::PathBuf;

use anyhow::bail;
use serde_json::{Value, json};

use super::progress::Progress;
use crate::config::{Config, EngineKind, Settings};
use crate::evaluation::Evaluation;
use crate::presets;
use crate::run::directory::RunDirectory;
use crate::session::{Observer, Outcome, Session};

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
    let stop = super::stop_on_signal()?;
    // The engine is made before the directory: a configuration too large for the adapter leaves nothing behind.
    let (run, mut session) = match &arguments.resume {
        Some(path) => {
            let (run, mut config) = RunDirectory::open(path)?;
            override_engine(&mut config, &arguments);
            (run, Session::new(config)?)
        }
        None => {
            let (name, config) = experiment(&arguments)?;
            let session = Session::new(config.clone())?;
            let path = arguments.out.clone().unwrap_or_else(|| RunDirectory::unused(&name));
            (RunDirectory::create(&path, &config)?, session)
        }
    };
    let mut terminal = Terminal::new(session.trainer().settings(), arguments.json);
    let outcome = session.run(&run, &stop, arguments.stop_after, &mut terminal);
    terminal.progress.finish();
    let how = format!("continue with `wgflow train --resume {}`", run.path().display());
    match outcome? {
        Outcome::Finished(summary) => {
            terminal.event(&json!({"event": "summary", "summary": summary}));
            terminal.progress.say(&summary.for_people());
            terminal.progress.say(&format!("report: {}", run.path().join("report.html").display()));
        }
        Outcome::Stopped { iteration } => {
            terminal.progress.say(&format!("stopped after iteration {iteration}, as asked: saved; {how}"));
            terminal.event(&json!({"event": "stopped", "iteration": iteration, "run": run.path()}));
        }
        Outcome::Interrupted { iteration } => bail!("interrupted at iteration {iteration}: saved; {how}"),
    }
    Ok(())
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
            println!("{event}");
        }
    }
}

impl Observer for Terminal {
    fn started(&mut self, run: &RunDirectory, engine: &str, iteration: u32) {
        self.progress.start(iteration);
        self.progress.say(&format!("engine: {engine}"));
        self.progress.say(&format!("run directory: {}", run.path().display()));
        self.event(&json!({"event": "start", "engine": engine, "run": run.path(), "iteration": iteration}));
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

    fn evaluating(&mut self) {
        self.progress.finish();
        self.progress.say("evaluating with fresh samples ...");
    }
}
