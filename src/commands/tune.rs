//! `wgflow tune`: chooses the sizes of the kernels by timing them on an adapter, and keeps them for later runs.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use super::output::give;
use crate::config::ConfigError;
use crate::engine::EngineError;
use crate::engine::gpu::{self, GpuEngine, GpuOptions, Timing};
use crate::network::{Activation, Layout};
use crate::process::{Order, Process, SiteFilling};
use crate::report::{Cell, Column, Table};
use crate::targets::Target;
use crate::targets::ising::Ising;
use crate::tuning::{self, Choice, Key};

#[derive(clap::Args)]
pub struct Arguments {
    /// Part of the name of the adapter to time on (also: the environment variable WGFLOW_ADAPTER)
    #[arg(long, value_name = "TEXT")]
    adapter: Option<String>,
    /// Which of the adapters that match, counted from 0
    #[arg(long, value_name = "N", default_value_t = 0)]
    adapter_index: usize,
    /// Hidden widths of the policies that it is for
    #[arg(long, value_name = "N,N,...", value_delimiter = ',', default_value = "256,256,256")]
    #[arg(value_parser = clap::value_parser!(u16).range(8..=1024))]
    hidden: Vec<u16>,
    /// Trajectories of the largest batch that is timed
    #[arg(long, value_name = "N", default_value_t = tuning::LARGEST as u32)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    batch: u32,
    /// Sites of a side of the Ising torus that is timed
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u8).range(3..=32))]
    side: u8,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let hidden: Vec<usize> = arguments.hidden.iter().copied().map(usize::from).collect();
    if hidden.len() > 8 {
        return Err(ConfigError::new(format!("--hidden has {} layers: 1 to 8 are possible", hidden.len())).into());
    }
    let named = arguments.adapter.clone().or_else(|| std::env::var("WGFLOW_ADAPTER").ok());
    let options = GpuOptions { adapter: named, adapter_index: arguments.adapter_index, ..GpuOptions::default() };
    let target = Arc::new(Ising::new(arguments.side.into(), 0.4)?);
    let (sites, encoding) = (target.sites(), target.encoding());
    let process: Arc<dyn Process> = Arc::new(SiteFilling { sites, values: 2, order: Order::Uniform, encoding });
    let layout = Layout::new(process.columns(), &hidden, process.outputs());
    let limit = Duration::from_secs_f64(tuning::SECONDS);
    let tuned = gpu::tune(arguments.batch as usize, limit, |tiling| {
        let options = GpuOptions { tiling, ..options.clone() };
        GpuEngine::new(process.clone(), layout.clone(), Activation::Swish, target.clone(), options)
    })?;
    let gone = || EngineError::NoAdapter("the adapter that was timed is gone".into());
    let adapter = gpu::description(options.adapter.as_deref(), options.adapter_index).ok_or_else(gone)?;
    let mut table =
        Table::new([Column::left("work"), Column::left("candidate"), Column::right("ms"), Column::left("")]);
    for Timing { work, candidate, milliseconds, chosen } in &tuned.timings {
        let chosen = if *chosen { "chosen" } else { "" };
        table.push([work.clone(), candidate.clone(), format!("{milliseconds:.3}"), chosen.into()].map(Cell::new));
    }
    let choice = Choice { key: Key::new(&adapter, &hidden), tiling: Some(tuned.tiling) };
    let folder =
        tuning::folder().context("there is no cache folder to keep the choice in: set XDG_CACHE_HOME or HOME")?;
    let path = choice.write(&folder)?;
    let sizes = serde_json::to_string(&tuned.tiling)?;
    give(&format!("adapter: {adapter}\n{}{sizes}\nkept in {}\n", table.to_terminal(), path.display()))
        .map_err(Into::into)
}
