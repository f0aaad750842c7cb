//! `wgflow adapters`: the GPU adapters of this machine.

use serde_json::json;

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
    if arguments.json {
        for a in &adapters {
            println!(
                "{}",
                json!({"name": a.name, "backend": a.backend, "kind": a.kind.to_string(), "driver": a.driver})
            );
        }
        return Ok(());
    }
    for a in &adapters {
        println!("{} ({}, {}, driver {})", a.name, a.backend, a.kind, a.driver);
    }
    if adapters.is_empty() {
        println!("no adapter found; for the software one install Mesa's Vulkan driver (Debian: mesa-vulkan-drivers)");
    }
    Ok(())
}
