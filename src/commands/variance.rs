//! `wgflow variance`: what gradient estimators are worth on a frozen policy.

use std::path::{Path, PathBuf};

use super::progress::Progress;
use super::{output, paths};
use crate::config::{Config, ConfigError, EngineKind};
use crate::presets;
use crate::run::claim::Shelf;
use crate::session::Session;
use crate::trainer::Trainer;
use crate::variance::{self, Candidate, DEFAULT, GROUPS, Options};

#[derive(clap::Args)]
pub struct Arguments {
    /// A run directory, whose policy is taken as it stands, or an experiment file, whose policy is freshly drawn
    #[arg(value_name = "CONFIG|RUN", required_unless_present = "preset")]
    path: Option<PathBuf>,
    /// A built-in experiment (`wgflow presets` lists them)
    #[arg(long, value_name = "NAME", conflicts_with = "path")]
    preset: Option<String>,
    /// Changes a key of the experiment: --set target.coupling=0.4 (may be repeated; not for a run)
    #[arg(long, value_name = "KEY.PATH=VALUE")]
    set: Vec<String>,
    /// Overrides engine.kind (not for a run)
    #[arg(long)]
    engine: Option<EngineKind>,
    /// Trajectories of a batch (without it, training.batch)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1 << 17))]
    batch: Option<u32>,
    /// Number of batches
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(GROUPS as i64..=1 << 24))]
    batches: u32,
    /// Number of batches, eight times as large, of the long run that biases are measured against
    #[arg(long, value_name = "N", default_value_t = 40, value_parser = clap::value_parser!(u32).range(GROUPS as i64..=1 << 24))]
    long: u32,
    /// Estimators, separated by commas: control variates of reverse KL (leave-one-out, optimal, ...), tb, log-variance,
    /// snis, forward-kl, half-squared, huber, shifted-cosh, renyi-A, tsallis-A, linex-A, huber-D
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    objectives: Vec<String>,
    /// Writes variance.csv, variance.md, variance.json and variance.png into this directory
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Writes one JSON object to standard output, and nothing else there
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    if let Some(out) = &arguments.out {
        paths::directory(out)?;
    }
    let mut session = session(arguments)?;
    let engine = session.engine().to_string();
    let options = options(arguments, session.trainer())?;
    let shelf = arguments.out.as_deref().map(Shelf::claim).transpose()?;
    let progress = Progress::new(options.batches + options.long, options.batch, arguments.json);
    progress.start(0);
    // Without --out nothing else holds what is said here.
    let say = |line: &str| match arguments.out {
        Some(_) => {
            output::tell(line);
            Ok(())
        }
        None => output::give(&format!("{line}\n")),
    };
    if !arguments.json {
        progress.suspend(|| say(&format!("engine: {engine}")))?;
    }
    let found = variance::compare(session.trainer(), &options, |done, _| progress.advance(done))?;
    progress.finish();

    let mut object = variance::json(&found);
    object["engine"] = engine.into();
    if let Some(shelf) = &shelf {
        let title = format!("Variance of gradients, {}", name(arguments));
        shelf.write("variance.csv", variance::csv(&found).as_bytes())?;
        shelf.write("variance.md", variance::markdown(&found).as_bytes())?;
        shelf.write("variance.json", format!("{object:#}\n").as_bytes())?;
        shelf.write("variance.png", &variance::picture(&found, &title)?)?;
    }
    Ok(say(&if arguments.json { object.to_string() } else { variance::for_people(&found) })?)
}

/// What the picture is called after: the run, file or preset.
fn name(arguments: &Arguments) -> String {
    let stem = |path: &Path| path.file_stem().map_or("policy".into(), |stem| stem.to_string_lossy().into_owned());
    match (&arguments.path, &arguments.preset) {
        (Some(path), _) => stem(path),
        (None, preset) => preset.clone().unwrap_or_default(),
    }
}

fn session(arguments: &Arguments) -> anyhow::Result<Session> {
    let config = match (&arguments.path, &arguments.preset) {
        (Some(path), _) if path.is_dir() => {
            if !arguments.set.is_empty() || arguments.engine.is_some() {
                return Err(ConfigError::new("--set and --engine: a run is taken as it is").into());
            }
            return Session::open(path, |_| ());
        }
        (Some(path), _) => {
            paths::readable(path)?;
            Config::read(path, &arguments.set)?
        }
        (None, preset) => presets::config(preset.as_deref().unwrap_or(presets::DEFAULT), &arguments.set)?,
    };
    let mut config = config;
    config.settings.engine.kind = arguments.engine.unwrap_or(config.settings.engine.kind);
    Session::new(config, None)
}

fn options(arguments: &Arguments, trainer: &Trainer) -> Result<Options, ConfigError> {
    let batch = arguments.batch.map_or(trainer.settings().training.batch, |batch| batch as usize);
    let missing = variance::samples(trainer, trainer.settings().seed, 1).err();
    let names: Vec<&str> = match arguments.objectives.as_slice() {
        [] => DEFAULT.into_iter().filter(|name| missing.is_none() || *name != "forward-kl").collect(),
        names => names.iter().map(|name| name.trim()).collect(),
    };
    if let (Some(why), true) = (missing, names.contains(&"forward-kl")) {
        return Err(ConfigError::new(format!(
            "--objectives forward-kl: it needs data or samples of the target: {why}"
        )));
    }
    if !trainer.target().has_reward() {
        return Err(ConfigError::new("this target has data and no R: there are no log-weights to compare"));
    }
    let candidates: Result<Vec<_>, _> = names.into_iter().map(|name| Candidate::parse(name, batch)).collect();
    let candidates = candidates.map_err(ConfigError::from)?;
    Ok(Options { candidates, batch, batches: arguments.batches, long: arguments.long })
}
