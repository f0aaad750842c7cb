//! `wgflow presets`: the built-in experiment and suite files.

use super::output::give;
use crate::data::DataSet;
use crate::presets::{self, COUPLINGS, DENSITY_OBJECTIVES, EXPERIMENTS, OBJECTIVES, SIDES, SUITES};

#[derive(clap::Args)]
pub struct Arguments {
    /// Prints the file of this preset
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let Some(name) = &arguments.name else { return Ok(give(&everything())?) };
    Ok(match EXPERIMENTS.iter().chain(SUITES).find(|(file, _)| file == name) {
        Some((_, text)) => give(text),
        None => give(&presets::config(name, &[])?.to_toml()),
    }?)
}

/// Names of all presets and suites.
fn everything() -> String {
    let (sides, couplings) = (SIDES.join(", "), COUPLINGS.join(", "));
    let data = DataSet::ALL.map(DataSet::name).join(", ");
    let ising = OBJECTIVES.map(|(name, ..)| name).join(", ");
    let densities = DENSITY_OBJECTIVES.map(|(name, _)| name).join(", ");
    let (experiments, suites) = (list(EXPERIMENTS), list(SUITES));
    format!(
        "Experiments, for `wgflow train --preset NAME`:
{experiments}
The paper's Ising grid, each preset named ising-SIDE-COUPLING-OBJECTIVE (ising-10-0.2-leave-one-out):
  SIDE       {sides}
  COUPLING   {couplings}
  OBJECTIVE  {ising}

The paper's densities, each preset named densities-DATA-OBJECTIVE (densities-2spirals-tb-0.5):
  DATA       {data}
  OBJECTIVE  {densities}

Suites, for `wgflow compare --preset NAME`:
{suites}
`wgflow presets NAME` prints the file of one.
"
    )
}

/// A line each: name and first comment line.
fn list(files: &[(&str, &str)]) -> String {
    let line = |(name, text): &(&str, &str)| {
        let comment = text.lines().next().unwrap_or_default().trim_start_matches("# ");
        format!("  {name:16} {comment}\n")
    };
    files.iter().map(line).collect()
}
