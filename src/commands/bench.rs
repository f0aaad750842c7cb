//! `wgflow bench`: throughput of an engine on the usual problems.

use super::output::give;
use crate::config::{EngineConfig, EngineKind};
use crate::report::{Cell, Column, Table};
use crate::throughput::{Problem, measure};

#[derive(clap::Args)]
pub struct Arguments {
    /// Engine to time
    #[arg(long, default_value = "auto")]
    engine: EngineKind,
    /// Part of the name of the adapter to use
    #[arg(long, value_name = "TEXT", default_value = "")]
    adapter: String,
    /// Leaves out batches larger than this
    #[arg(long, value_name = "N", default_value_t = 1 << 20)]
    largest_batch: usize,
    /// MiB of activations kept between a rollout and its gradient [default: by what memory is free]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1 << 24))]
    memory_mib: Option<u64>,
    /// Seconds for each stage of each problem
    #[arg(long, value_name = "S", default_value_t = 1.0, value_parser = seconds)]
    seconds: f64,
    /// Writes one JSON object a line
    #[arg(long)]
    json: bool,
}

/// A time that ends: NaN and infinity are numbers too.
fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.0..=3600.0).contains(seconds));
    seconds.ok_or_else(|| "must be a number of seconds, 0 to 3600".into())
}

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let config = EngineConfig {
        kind: arguments.engine,
        adapter: arguments.adapter.clone(),
        memory_mib: arguments.memory_mib,
        ..EngineConfig::default()
    };
    let names = [
        "sites",
        "hidden",
        "batch",
        "rollout ms",
        "gradient ms",
        "iterations/s",
        "trajectories/s",
        "GFLOP/s",
        "training ms",
        "on device ms",
    ];
    let mut table = Table::new(names.map(Column::right));
    let mut engine = None;
    for problem in Problem::USUAL.into_iter().filter(|problem| problem.batch <= arguments.largest_batch) {
        let found = measure(&config, problem, arguments.seconds)?;
        if arguments.json {
            give(&format!("{}\n", serde_json::to_string(&found)?))?;
        }
        let cells = [
            found.sites.to_string(),
            format!("{}x{}", found.width, found.layers),
            found.batch.to_string(),
            format!("{:.2}", found.rollout_ms),
            format!("{:.2}", found.gradient_ms),
            format!("{:.2}", found.iterations_per_second),
            format!("{:.0}", found.trajectories_per_second),
            format!("{:.1}", found.gflops),
            format!("{:.2}", found.training.iteration_ms),
            found.training_on_device.map_or("-".into(), |training| format!("{:.2}", training.iteration_ms)),
        ];
        table.push(cells.map(Cell::new));
        engine = Some(found.engine);
    }
    if !arguments.json {
        let engine = engine.as_deref().unwrap_or("none: every problem was left out");
        give(&format!("engine: {engine}\n{}", table.to_terminal()))?;
    }
    Ok(())
}
