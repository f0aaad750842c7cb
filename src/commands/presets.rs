//! `wgflow presets`: the built-in experiment and suite files.

use crate::data::DataSet;
use crate::presets::{self, COUPLINGS, DENSITY_OBJECTIVES, EXPERIMENTS, OBJECTIVES, SIDES, SUITES};

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
    let objectives: Vec<&str> = DENSITY_OBJECTIVES.iter().map(|(name, _)| *name).collect();
    println!("\nThe paper's densities, each preset named densities-DATA-OBJECTIVE (densities-2spirals-tb-0.5):");
    println!("  DATA       {}", DataSet::ALL.map(DataSet::name).join(", "));
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
        println!("  {name:16} {comment}");
    }
}
