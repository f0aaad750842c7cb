//! `wgflow presets`: the built-in experiment and suite files.

use crate::presets::{self, COUPLINGS, EXPERIMENTS, OBJECTIVES, SIDES, SUITES};

#[derive(clap::Args)]
pub struct Arguments {
    /// Prints the file of this preset
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    if let Some(name) = &arguments.name {
        match EXPERIMENTS.iter().chain(&SUITES).find(|(file, _)| file == name) {
            Some((_, text)) => print!("{text}"),
            None => print!("{}", presets::config(name, &[])?.to_toml()),
        }
        return Ok(());
    }
    println!("Experiments, for `wgflow train --preset NAME`:");
    list(&EXPERIMENTS);
    let objectives: Vec<&str> = OBJECTIVES.iter().map(|(name, ..)| *name).collect();
    println!("\nThe paper's Ising grid, each preset named ising-SIDE-COUPLING-OBJECTIVE (ising-10-0.2-leave-one-out):");
    println!("  SIDE       {}", SIDES.join(", "));
    println!("  COUPLING   {}", COUPLINGS.join(", "));
    println!("  OBJECTIVE  {}", objectives.join(", "));
    println!("\nSuites, for `wgflow compare --preset NAME`:");
    list(&SUITES);
    println!("\n`wgflow presets NAME` prints the file of one.");
    Ok(())
}

/// Names and first comment lines.
fn list(files: &[(&str, &str)]) {
    for (name, text) in files {
        let comment = text.lines().next().unwrap_or_default().trim_start_matches("# ");
        println!("  {name:14} {comment}");
    }
}
