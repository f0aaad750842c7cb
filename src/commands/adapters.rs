//! `wgflow adapters`: the GPU adapters of this machine, and the indices that `engine.adapter_index` counts them by.

use serde_json::json;

use super::output::give;
use crate::engine::gpu;
use crate::tuning;

#[derive(clap::Args)]
pub struct Arguments {
    /// Writes one JSON object a line
    #[arg(long)]
    json: bool,
    /// Lists OpenGL adapters as well
    #[arg(long)]
    gl: bool,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let adapters = gpu::adapters(arguments.gl);
    let choices = tuning::folder().map(|folder| tuning::list(&folder)).unwrap_or_default();
    for (index, a) in adapters.iter().enumerate() {
        let chosen = choices.iter().filter(|choice| choice.key.is_of(a));
        let chosen = chosen.map(|choice| json!({"hidden": choice.key.hidden, "tiling": choice.tiling}));
        let object = json!({
            "index": index, "name": a.name, "backend": a.backend, "kind": a.kind.to_string(), "driver": a.driver,
            "kernels": chosen.collect::<Vec<_>>()
        });
        let line = format!("{index}: {} ({}, {}, driver {})", a.name, a.backend, a.kind, a.driver);
        give(&format!("{}\n", if arguments.json { object.to_string() } else { line }))?;
    }
    if adapters.is_empty() && !arguments.json {
        give("no adapter found; for the software one install Mesa's Vulkan driver (Debian: mesa-vulkan-drivers)\n")?;
    }
    Ok(())
}
