//! `wgflow presets`: the built-in experiment files, which are examples to copy from as well.
//!
//! The paper's Ising grid is one template: `ising-SIDE-COUPLING-OBJECTIVE` for every side, coupling and objective. So are its
//! densities: `densities-DATA-OBJECTIVE`.

use crate::config::{Config, ConfigError};
use crate::data::DataSet;

/// What runs without arguments.
pub const DEFAULT: &str = "ising-quick";

/// Experiment files in the binary: name and text.
const FILES: [(&str, &str); 4] = [
    ("ising-quick", include_str!("../../presets/ising-quick.toml")),
    ("ising-paper", include_str!("../../presets/ising-paper.toml")),
    ("densities-quick", include_str!("../../presets/densities-quick.toml")),
    ("densities-paper", include_str!("../../presets/densities-paper.toml")),
];

/// The paper's sides (arXiv:2210.07992, section 5).
const SIDES: [&str; 2] = ["10", "15"];
/// The paper's couplings.
const COUPLINGS: [&str; 10] = ["-1.0", "-0.8", "-0.6", "-0.4", "-0.2", "0.2", "0.4", "0.6", "0.8", "1.0"];
/// Objectives of the paper's comparison, with the changes they make to `ising-paper`.
const OBJECTIVES: [(&str, &str, &str); 6] = [
    ("none", "reverse_kl", "none"),
    ("learned", "reverse_kl", "learned"),
    ("leave-one-out", "reverse_kl", "leave_one_out"),
    ("leave-one-out-log-z", "reverse_kl", "leave_one_out_log_z"),
    ("tb", "trajectory_balance", "none"),
    ("log-variance", "log_variance", "none"),
];

/// Objectives of the paper's densities, with the table `[objective]` that each puts into `densities-paper`.
const DENSITY_OBJECTIVES: [(&str, &str); 8] = [
    ("kl", "{ kind = \"reverse_kl\", control_variate = \"learned\" }"),
    ("kl-0.5", "{ kind = \"alpha_kl\", control_variate = \"learned\", alpha = 0.5 }"),
    ("kl-1", "{ kind = \"forward_kl\" }"),
    ("kl-schedule", "{ kind = \"alpha_kl\", control_variate = \"learned\", alpha = \"paper\" }"),
    ("tb", "{ kind = \"trajectory_balance\" }"),
    ("tb-0.5", "{ kind = \"alpha_tb\", alpha = 0.5 }"),
    ("tb-1", "{ kind = \"alpha_tb\", alpha = 1.0 }"),
    ("tb-schedule", "{ kind = \"alpha_tb\", alpha = \"paper\" }"),
];

#[derive(clap::Args)]
pub struct Arguments {
    /// Prints the experiment file of this preset
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    if let Some(name) = &arguments.name {
        match FILES.iter().find(|(file, _)| file == name) {
            Some((_, text)) => print!("{text}"),
            None => print!("{}", config(name, &[])?.to_toml()),
        }
        return Ok(());
    }
    for (name, text) in FILES {
        let comment = text.lines().next().unwrap_or_default().trim_start_matches("# ");
        println!("{name:16} {comment}");
    }
    let objectives: Vec<&str> = OBJECTIVES.iter().map(|(name, ..)| *name).collect();
    println!("\nThe paper's Ising grid, each preset named ising-SIDE-COUPLING-OBJECTIVE (ising-10-0.2-leave-one-out):");
    println!("  SIDE       {}", SIDES.join(", "));
    println!("  COUPLING   {}", COUPLINGS.join(", "));
    println!("  OBJECTIVE  {}", objectives.join(", "));
    let objectives: Vec<&str> = DENSITY_OBJECTIVES.iter().map(|(name, _)| *name).collect();
    println!("\nThe paper's densities, each preset named densities-DATA-OBJECTIVE (densities-2spirals-tb-0.5):");
    println!("  DATA       {}", DataSet::ALL.map(DataSet::name).join(", "));
    println!("  OBJECTIVE  {}", objectives.join(", "));
    println!("\n`wgflow presets NAME` prints one, `wgflow train --preset NAME` runs it.");
    Ok(())
}

/// A preset with changes applied.
pub fn config(name: &str, changes: &[String]) -> Result<Config, ConfigError> {
    if let Some((_, text)) = FILES.iter().find(|(file, _)| *file == name) {
        return Config::parse(text, changes).map_err(|error| error.within(&format!("preset {name}")));
    }
    let unknown = || ConfigError::new(format!("there is no preset {name:?}; `wgflow presets` lists them"));
    let ising = ising_changes(name).map(|found| ("ising-paper", found));
    let densities = || density_changes(name).map(|found| ("densities-paper", found));
    let (template, mut all) = ising.or_else(densities).ok_or_else(unknown)?;
    all.extend_from_slice(changes);
    let (_, text) = FILES.iter().find(|(file, _)| *file == template).ok_or_else(unknown)?;
    Config::parse(text, &all).map_err(|error| error.within(&format!("preset {name}")))
}

/// What a name of the paper's grid changes in `ising-paper`.
fn ising_changes(name: &str) -> Option<Vec<String>> {
    let rest = name.strip_prefix("ising-")?;
    let side = SIDES.iter().find(|side| rest.starts_with(&format!("{side}-")))?;
    let rest = &rest[side.len() + 1..];
    let coupling = COUPLINGS.iter().find(|coupling| rest.starts_with(&format!("{coupling}-")))?;
    let rest = &rest[coupling.len() + 1..];
    let (_, kind, control_variate) = OBJECTIVES.iter().find(|(objective, ..)| *objective == rest)?;
    Some(vec![
        format!("target.side={side}"),
        format!("target.coupling={coupling}"),
        format!("objective.kind={kind}"),
        format!("objective.control_variate={control_variate}"),
    ])
}

/// What a name of the paper's densities changes in `densities-paper`.
fn density_changes(name: &str) -> Option<Vec<String>> {
    let (data, rest) = name.strip_prefix("densities-")?.split_once('-')?;
    let data = DataSet::ALL.into_iter().find(|set| set.name() == data)?;
    let (_, objective) = DENSITY_OBJECTIVES.iter().find(|(objective, _)| *objective == rest)?;
    Some(vec![format!("target.data=\"{}\"", data.name()), format!("objective={objective}")])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names of all presets.
    fn names() -> Vec<String> {
        let mut names: Vec<String> = FILES.iter().map(|(name, _)| name.to_string()).collect();
        for side in SIDES {
            for coupling in COUPLINGS {
                names.extend(OBJECTIVES.iter().map(|(objective, ..)| format!("ising-{side}-{coupling}-{objective}")));
            }
        }
        for data in DataSet::ALL {
            names.extend(DENSITY_OBJECTIVES.iter().map(|(name, _)| format!("densities-{}-{name}", data.name())));
        }
        names
    }

    #[test]
    fn every_preset_is_a_valid_experiment() {
        let names = names();
        assert_eq!(names.len(), 4 + 2 * 10 * 6 + 7 * 8);
        for name in names {
            let config = config(&name, &[]).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(Config::parse(&config.to_toml(), &[]).unwrap(), config);
        }
    }

    #[test]
    fn a_name_of_the_grid_sets_what_it_says() {
        let config = config("ising-15--0.4-tb", &["seed=5".into()]).unwrap();
        let text = config.to_toml();
        for line in ["seed = 5", "side = 15", "coupling = -0.4", "kind = \"trajectory_balance\"", "batch = 256"] {
            assert!(text.contains(line), "{line} is not in {text}");
        }
    }

    #[test]
    fn a_density_s_name_sets_what_it_says() {
        let text = config("densities-8gaussians-tb-schedule", &[]).unwrap().to_toml();
        for line in
            ["data = \"8gaussians\"", "kind = \"alpha_tb\"", "alpha = \"paper\"", "bits = 32", "horizon = 100000"]
        {
            assert!(text.contains(line), "{line} is not in {text}");
        }
        assert!(!text.contains("control_variate = \"learned\""));
        assert!(config("densities-rings-tb", &[]).is_err() && config("densities-moons-elbo", &[]).is_err());
    }
}
