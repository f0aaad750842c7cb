//! `wgflow bench`: how fast an engine is, stage by stage, against what its device does at best.

use std::path::PathBuf;

use super::output::give;
use crate::config::{EngineConfig, EngineKind};
#[cfg(feature = "gpu")]
use crate::engine::gpu::KernelSet;
use crate::report::{Cell, Column, Table};
use crate::run::files;
use crate::throughput::{Asked, Problem, Throughput, ceiling, measure, picture};
use crate::trainer::select::adapter_kind;

#[derive(clap::Args)]
pub struct Arguments {
    /// Engine to time
    #[arg(long, default_value = "auto")]
    engine: EngineKind,
    /// Part of the name of the adapter to use
    #[arg(long, value_name = "TEXT", default_value = "")]
    adapter: String,
    /// Kernels to run on it [default: those that suit it]
    #[cfg(feature = "gpu")]
    #[arg(long, value_name = "SET")]
    kernels: Option<KernelSet>,
    /// Leaves out batches larger than this [default: 65536 on a hardware GPU, else 128]
    #[arg(long, value_name = "N")]
    largest_batch: Option<usize>,
    /// MiB of activations kept between a rollout and its gradient [default: by what memory is free]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1 << 24))]
    memory_mib: Option<u64>,
    /// Seconds for each stage of each problem
    #[arg(long, value_name = "S", default_value_t = 0.5, value_parser = seconds)]
    seconds: f64,
    /// Writes one JSON object a line
    #[arg(long)]
    json: bool,
    /// Draws which part of the ceiling iterations reach
    #[arg(long, value_name = "FILE.png")]
    picture: Option<PathBuf>,
}

/// A time that ends: NaN and infinity are numbers too.
fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.0..=3600.0).contains(seconds));
    seconds.ok_or_else(|| "must be a number of seconds, 0 to 3600".into())
}

/// Width of all networks of the grid, for the native ceiling.
const WIDTH: usize = 256;

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let config = EngineConfig {
        kind: arguments.engine,
        adapter: arguments.adapter.clone(),
        memory_mib: arguments.memory_mib,
        ..EngineConfig::default()
    };
    let hardware = adapter_kind(&config).is_some_and(|kind| kind.is_hardware());
    let largest = arguments.largest_batch.unwrap_or(if hardware { 65_536 } else { 128 });
    #[cfg(feature = "gpu")]
    let asked = Asked { config, kernels: arguments.kernels };
    #[cfg(not(feature = "gpu"))]
    let asked = Asked { config, kernels: None };
    let mut all = Vec::new();
    let mut best = None;
    for problem in Problem::grid(largest) {
        let best = match &mut best {
            Some(best) => best,
            none => none.insert(ceiling(&asked, WIDTH, arguments.seconds)?),
        };
        let found = measure(&asked, &problem, best, arguments.seconds)?;
        if arguments.json {
            give(&format!("{}\n", serde_json::to_string(&found)?))?;
        }
        all.push(found);
    }
    if !arguments.json {
        give(&told(&all))?;
    }
    if let Some(path) = &arguments.picture {
        files::write(path, &picture(&all)?)?;
    }
    Ok(())
}

/// What people read.
fn told(all: &[Throughput]) -> String {
    let Some(first) = all.first() else { return "engine: none: every problem was left out\n".into() };
    let kernels = first
        .adapter
        .as_ref()
        .map_or(String::new(), |adapter| format!(", {} kernels, driver {}", adapter.kernels, adapter.driver));
    let best = &first.ceiling;
    format!(
        "engine: {}{kernels}\nceiling: {:.0} GFLOP/s ({}), {:.1} GB/s (copy)\n\nAn iteration, by the clock\n{}\n\
         Stages of an iteration, ms (part of the ceiling: of the product, or of the copy, whichever is more)\n{}",
        first.engine,
        best.flops / 1e9,
        best.product,
        best.bytes / 1e9,
        iterations(all).to_terminal(),
        stages(all).to_terminal()
    )
}

/// A row an iteration, wherever the optimizer is.
fn iterations(all: &[Throughput]) -> Table {
    let names = [
        "task",
        "batch",
        "optimizer",
        "ms",
        "host ms",
        "trajectories/s",
        "GFLOP/s",
        "of product",
        "of copy",
        "dispatches",
        "submits",
        "waits",
    ];
    let mut table = Table::new(names.map(Column::right));
    for found in all {
        let places = [("host", Some(&found.training)), ("device", found.training_on_device.as_ref())];
        for (place, training) in places.into_iter().filter_map(|(place, training)| Some((place, training?))) {
            let number = |value: Option<f64>| value.map_or("-".into(), |value| format!("{value:.2}"));
            let (share, calls) = (training.share, training.calls);
            let cells = [
                found.task.clone(),
                found.batch.to_string(),
                place.into(),
                number(Some(training.iteration_ms)),
                number(training.host_ms),
                format!("{:.0}", training.trajectories_per_second),
                format!("{:.1}", share.work.flops / training.iteration_ms / 1e6),
                percent(share.of_product),
                percent(share.of_copy),
                number(calls.map(|calls| calls.dispatches)),
                number(calls.map(|calls| calls.submits)),
                number(calls.map(|calls| calls.waits)),
            ];
            table.push(cells.map(Cell::new));
        }
    }
    table
}

/// A row a problem, a column a stage.
fn stages(all: &[Throughput]) -> Table {
    let names = all.first().map_or(Vec::new(), |found| found.stages.iter().map(|stage| stage.name).collect());
    let mut table = Table::new(["task", "batch"].into_iter().chain(names).map(Column::right));
    for found in all {
        let stages = found.stages.iter().map(|stage| {
            format!("{:.3} ({})", stage.milliseconds, percent(stage.share.of_product.max(stage.share.of_copy)))
        });
        table.push([found.task.clone(), found.batch.to_string()].into_iter().chain(stages).map(Cell::new));
    }
    table
}

fn percent(share: f64) -> String {
    format!("{:.0}%", 100.0 * share)
}
