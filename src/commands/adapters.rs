//! `wgflow adapters`: the GPU adapters of this machine, and the indices that `engine.adapter_index` counts them by.

use serde_json::json;

use super::output::give;
use crate::engine::gpu;

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
    for (index, a) in adapters.iter().enumerate() {
        let object = json!({
            "index": index, "name": a.name, "backend": a.backend, "kind": a.kind.to_string(), "driver": a.driver
        });
        let line = format!("{index}: {} ({}, {}, driver {})", a.name, a.backend, a.kind, a.driver);
        give(&format!("{}\n", if arguments.json { object.to_string() } else { line }))?;
    }
    if adapters.is_empty() && !arguments.json {
        give("no adapter found; for the software one install Mesa's Vulkan driver (Debian: mesa-vulkan-drivers)\n")?;
    }
    Ok(())
}
