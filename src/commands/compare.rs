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
use crate::stop::{Reason, Stop};
use crate::suite::queue::{self, Queue, Shared, Whole};
use crate::suite::shard::Shard;
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
    /// Carries out the runs together with other processes, on this machine or on others that see the same directory: begins with
    /// part I of N, goes on with what no other process has, and takes up again what killed ones left. Without it, in a job
    /// array of SLURM, the part is that of the task (SLURM_ARRAY_TASK_ID, SLURM_ARRAY_TASK_COUNT)
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    /// Carries out nothing: makes the table and the page of the runs that are finished, and says which are missing
    #[arg(long, conflicts_with_all = ["shard", "jobs"])]
    collect: bool,
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
    match arguments.shard.or_else(Shard::of_job_array) {
        _ if arguments.collect => collect(&suite, &out, arguments.json),
        Some(shard) => carry_out_shard(&suite, &out, shard, arguments, &stop),
        None => carry_out_all(&suite, &out, arguments, &stop),
    }
}

/// Carries out the whole suite, in a directory that no other process writes to.
fn carry_out_all(suite: &Suite, out: &Path, arguments: &Arguments, stop: &Stop) -> anyhow::Result<()> {
    // Looked at before it is claimed, so that a directory that is refused stays as it is.
    work::survey(suite, out)?;
    let shelf = Shelf::claim(out)?;
    let mut states = work::survey(suite, out)?;
    let terminal = Terminal::new(suite, arguments.json);
    let queue = Whole::new(&states);
    terminal.carry_out(&shelf, &queue, None, arguments.jobs, stop, &mut states)?;
    match states.iter().filter(|state| **state == State::Unfinished).count() {
        0 => terminal.results(&shelf, &Comparison::new(suite, &states)),
        unfinished => terminal.interrupted(out, stop.reason(), unfinished),
    }
}

/// Carries out a part of the suite and what others leave of theirs; makes the table if nothing is missing then.
fn carry_out_shard(suite: &Suite, out: &Path, shard: Shard, arguments: &Arguments, stop: &Stop) -> anyhow::Result<()> {
    queue::survey(suite, out)?;
    let shelf = Shelf::share(out)?;
    let mut states = queue::survey(suite, out)?;
    let terminal = Terminal::new(suite, arguments.json);
    let queue = Shared::join(suite, out, shard, stop)?;
    terminal.carry_out(&shelf, &queue, Some(shard), arguments.jobs, stop, &mut states)?;
    drop(queue);
    let states = queue::survey(suite, out)?;
    let unfinished = states.iter().filter(|state| **state == State::Unfinished).count();
    if stop.reason().is_some() {
        return terminal.interrupted(out, stop.reason(), unfinished);
    }
    if unfinished == 0 {
        return terminal.results(&shelf, &Comparison::new(suite, &states));
    }
    let hint = "`compare --collect` makes a table of those that are finished";
    terminal.say(&format!("{unfinished} of {} runs are left, in other processes' hands; {hint}", states.len()));
    terminal.event(|| json!({"event": "left", "unfinished": unfinished, "out": output::shown(out)}));
    Ok(())
}

/// Makes the table of whatever is finished.
fn collect(suite: &Suite, out: &Path, json: bool) -> anyhow::Result<()> {
    paths::existing_directory(out, "the directory of a suite")?;
    let shelf = Shelf::share(out)?;
    let states = queue::survey(suite, out)?;
    Terminal::new(suite, json).results(&shelf, &Comparison::new(suite, &states))
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
    json: bool,
}

impl<'a> Terminal<'a> {
    fn new(suite: &'a Suite, json: bool) -> Self {
        let bar = ProgressBar::with_draw_target(None, target(json));
        let style = ProgressStyle::with_template("{bar:24} {pos}/{len} iterations  {per_sec}  {eta} left");
        bar.set_style(style.expect("the template is a valid one").progress_chars("=> "));
        Self { suite, bar, json }
    }

    /// Carries out what the queue hands out, and shows it.
    fn carry_out(
        &self,
        shelf: &Shelf,
        queue: &dyn Queue,
        shard: Option<Shard>,
        jobs: Option<u16>,
        stop: &Stop,
        states: &mut [State],
    ) -> anyhow::Result<()> {
        let runs = || self.suite.runs.iter().zip(states.iter());
        let pending: Vec<_> =
            runs().filter(|(_, state)| **state == State::Unfinished).map(|(run, _)| &run.config).collect();
        let jobs = jobs.map_or_else(|| jobs::usual(&pending), usize::from);
        self.start(shelf.path()?, states, shard, jobs);
        let result = work::carry_out(self.suite, shelf, queue, jobs, stop, self, states);
        self.bar.finish_and_clear();
        result
    }

    fn start(&self, out: &Path, states: &[State], shard: Option<Shard>, jobs: usize) {
        let iterations = |run: &Run| u64::from(run.config.settings.training.iterations);
        // What other processes do is not to be seen from here: the bar is that of the shard's own runs.
        let own = |index: &usize| shard.is_none_or(|shard| shard.owns(*index));
        let (mut behind, mut total) = (0, 0);
        for index in (0..states.len()).filter(own) {
            let done = states[index] != State::Unfinished;
            let iterations = iterations(&self.suite.runs[index]);
            total += iterations;
            behind += if done { iterations } else { 0 };
        }
        let kept = states.iter().filter(|state| **state != State::Unfinished).count();
        self.bar.set_length(total);
        self.bar.set_position(behind);
        self.bar.reset_eta();
        let (name, all, combinations) = (&self.suite.name, states.len(), self.suite.combinations.len());
        self.say(&format!("suite {name}: {combinations} combinations, {all} runs, {kept} of them finished earlier"));
        let part = shard.map_or(String::new(), |shard| format!("; shard {} of {}", shard.number, shard.of));
        self.say(&format!("directory: {}; {jobs} at a time{part}", out.display()));
        self.event(|| {
            let mut event = json!({
                "event": "start", "suite": name, "runs": all, "kept": kept, "jobs": jobs, "out": output::shown(out),
            });
            if let Some(Shard { number, of }) = shard {
                event["shard"] = json!({"number": number, "of": of});
            }
            event
        });
        self.bar.enable_steady_tick(Duration::from_millis(250));
    }

    /// Says that the work was stopped with runs unfinished.
    fn interrupted(&self, out: &Path, reason: Option<Reason>, unfinished: usize) -> anyhow::Result<()> {
        let what = format!(", {unfinished} of {} runs unfinished", self.suite.runs.len());
        self.event(|| json!({"event": "interrupted", "unfinished": unfinished, "out": output::shown(out)}));
        let reason = reason.unwrap_or(Reason::Interrupt);
        Err(Interrupted::new(reason, &what, "continue with the same command").into())
    }

    /// Writes and shows the table.
    fn results(&self, shelf: &Shelf, comparison: &Comparison) -> anyhow::Result<()> {
        let out = shelf.path()?;
        for (name, contents) in [
            ("comparison.md", comparison.to_markdown()),
            ("comparison.csv", comparison.numbers().to_csv()),
            ("comparison.html", page::render(comparison, out)?),
        ] {
            shelf.write(name, contents.as_bytes())?;
        }
        self.say(&format!("\n{}\n{}", comparison.table().to_terminal(), legend()));
        self.say(&format!("report: {}", out.join("comparison.html").display()));
        let (missing, all) = (&comparison.missing, self.suite.runs.len());
        self.event(|| {
            let mut event = json!({"event": "comparison", "rows": rows(comparison), "out": output::shown(out)});
            if !missing.is_empty() {
                event["missing"] = json!(missing);
            }
            event
        });
        if !missing.is_empty() {
            let list = missing.join(", ");
            output::complain(&format!("warning: {} of {all} runs are missing in the table: {list}", missing.len()));
        }
        match comparison.failures.len() {
            0 => Ok(()),
            failed => bail!("{failed} of {all} runs failed; comparison.md lists them"),
        }
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
