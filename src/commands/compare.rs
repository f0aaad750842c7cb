//! `wgflow compare`: carries out a suite of runs and makes a table of them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::bail;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value, json};

use super::progress::target;
use super::{Interrupted, output, paths, signals};
use crate::config::EngineKind;
use crate::run::claim::Shelf;
use crate::stop::Reason;
use crate::suite::work::{self, State};
use crate::suite::{Comparison, Entry, Row, Run, Suite, jobs, legend, page};

#[derive(clap::Args)]
pub struct Arguments {
    /// A suite file (TOML)
    #[arg(value_name = "SUITE", required_unless_present = "preset", conflicts_with = "preset")]
    file: Option<PathBuf>,
    /// A built-in suite (`wgflow presets` lists them)
    #[arg(long, value_name = "NAME")]
    preset: Option<String>,
    /// Directory of the runs and the results; without one, runs/NAME. Runs that are finished there are kept
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Runs carried out at a time; without it, as many as pays. Results do not depend on it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
    /// Overrides engine.kind of all runs
    #[arg(long)]
    engine: Option<EngineKind>,
    /// Writes one JSON object a line to standard output, and nothing else there
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut suite = match (&arguments.file, &arguments.preset) {
        (Some(path), _) => {
            paths::readable(path)?;
            Suite::read(path)?
        }
        (None, preset) => Suite::preset(preset.as_deref().unwrap_or_default())?,
    };
    // From here on a signal is no end at once: a pipe that the suite comes from may never have said anything.
    let stop = signals::stop()?;
    if let Some(kind) = arguments.engine {
        suite.set_engine(kind);
    }
    let out = arguments.out.clone().unwrap_or_else(|| Path::new("runs").join(&suite.name));
    paths::directory(&out)?;
    suite.runs.iter().try_for_each(|run| paths::directory(&out.join(&run.name)))?;
    // Looked at before it is claimed, so that a directory that is refused stays as it is.
    work::survey(&suite, &out)?;
    let shelf = Shelf::claim(&out)?;
    let mut states = work::survey(&suite, &out)?;

    let pending = suite.runs.iter().zip(&states).filter(|(_, state)| **state == State::Unfinished);
    let configs: Vec<_> = pending.map(|(run, _)| &run.config).collect();
    let jobs = arguments.jobs.map_or_else(|| jobs::usual(&configs), usize::from);
    let terminal = Terminal::new(&suite, &states, arguments.json);
    terminal.start(&out, jobs);
    let result = work::carry_out(&suite, &shelf, jobs, &stop, &terminal, &mut states);
    terminal.bar.finish_and_clear();
    result?;
    let unfinished = states.iter().filter(|state| **state == State::Unfinished).count();
    if unfinished > 0 {
        let what = format!(", {unfinished} of {} runs unfinished", states.len());
        terminal.event(|| json!({"event": "interrupted", "unfinished": unfinished, "out": output::shown(&out)}));
        let reason = stop.reason().unwrap_or(Reason::Interrupt);
        return Err(Interrupted::new(reason, &what, "continue with the same command").into());
    }

    let comparison = Comparison::new(&suite, &states);
    for (name, contents) in [
        ("comparison.md", comparison.to_markdown()),
        ("comparison.csv", comparison.numbers().to_csv()),
        ("comparison.html", page::render(&comparison, &out)?),
    ] {
        shelf.write(name, contents.as_bytes())?;
    }
    terminal.say(&format!("\n{}\n{}", comparison.table().to_terminal(), legend()));
    terminal.say(&format!("report: {}", out.join("comparison.html").display()));
    terminal.event(|| json!({"event": "comparison", "rows": rows(&comparison), "out": output::shown(&out)}));
    match comparison.failures.len() {
        0 => Ok(()),
        failed => bail!("{failed} of {} runs failed; comparison.md lists them", states.len()),
    }
}

/// The rows of the comparison, each an object.
fn rows(comparison: &Comparison) -> Vec<Value> {
    let metrics = &comparison.suite.metrics;
    let row = |row: &Row| {
        let labels = row.combination.labels.iter().map(|label| json!(label));
        let set: Map<_, _> = comparison.suite.columns.iter().cloned().zip(labels).collect();
        let entries = metrics.iter().zip(&row.entries).map(|(metric, Entry { sample, best })| {
            let sample = sample.map(|s| json!({"mean": s.mean, "sd": s.deviation, "n": s.count}));
            (metric.key.clone(), json!({"sample": sample, "best": best}))
        });
        let entries: Map<_, _> = entries.collect();
        json!({"combination": set, "runs": row.runs, "finished": row.summaries.len(), "metrics": entries})
    };
    comparison.rows.iter().map(row).collect()
}

/// A suite shown on the terminal: a line a finished run, and a bar of all iterations.
struct Terminal<'a> {
    suite: &'a Suite,
    bar: ProgressBar,
    /// Runs finished earlier.
    kept: usize,
    json: bool,
}

impl<'a> Terminal<'a> {
    fn new(suite: &'a Suite, states: &[State], json: bool) -> Self {
        let iterations = |run: &Run| u64::from(run.config.settings.training.iterations);
        let done = suite.runs.iter().zip(states).filter(|(_, state)| **state != State::Unfinished);
        let total = suite.runs.iter().map(iterations).sum();
        let (kept, behind) = done.fold((0, 0), |(kept, behind), (run, _)| (kept + 1, behind + iterations(run)));
        let bar = ProgressBar::with_draw_target(Some(total), target(json));
        let style = ProgressStyle::with_template("{bar:24} {pos}/{len} iterations  {per_sec}  {eta} left");
        bar.set_style(style.expect("the template is a valid one").progress_chars("=> "));
        bar.set_position(behind);
        bar.reset_eta();
        Self { suite, bar, kept, json }
    }

    fn start(&self, out: &Path, jobs: usize) {
        let (name, all, kept) = (&self.suite.name, self.suite.runs.len(), self.kept);
        let combinations = self.suite.combinations.len();
        self.say(&format!("suite {name}: {combinations} combinations, {all} runs, {kept} of them finished earlier"));
        self.say(&format!("directory: {}; {jobs} at a time", out.display()));
        self.event(|| json!({"event": "start", "suite": name, "runs": all, "kept": kept, "jobs": jobs, "out": output::shown(out)}));
        self.bar.enable_steady_tick(Duration::from_millis(250));
    }

    /// A line for people, above the bar.
    fn say(&self, line: &str) {
        if !self.json {
            self.bar.suspend(|| output::tell(line));
        }
    }

    fn event(&self, event: impl FnOnce() -> Value) {
        if self.json {
            output::tell(&event().to_string());
        }
    }
}

impl work::Observer for Terminal<'_> {
    fn advanced(&self, count: u32) {
        self.bar.inc(u64::from(count));
    }

    fn warned(&self, run: &Run, warning: &str) {
        self.bar.suspend(|| output::complain(&format!("warning: run {}: {warning}", run.name)));
    }

    fn ended(&self, run: &Run, state: &State) {
        let name = &run.name;
        match state {
            State::Finished(summary) => {
                let number = |key: &str| summary[key].as_f64().map_or("-".into(), |value| format!("{value:.4}"));
                let seconds = summary["seconds"].as_f64().unwrap_or_default();
                self.say(&format!(
                    "{name}: ELBO {}, log Z {}, {seconds:.0} s",
                    number("elbo"),
                    number("log_z_estimate")
                ));
                self.event(|| json!({"event": "run", "run": name, "state": "finished", "summary": summary}));
            }
            State::Failed(reason) => {
                self.say(&format!("{name}: failed: {reason}"));
                self.event(|| json!({"event": "run", "run": name, "state": "failed", "reason": reason}));
            }
            State::Unfinished => {}
        }
    }
}
