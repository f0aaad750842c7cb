//! The built-in experiment and suite files, which are examples to copy from as well.
//!
//! The paper's Ising grid is one template: `ising-SIDE-COUPLING-OBJECTIVE` for every side, coupling and objective. So are its
//! densities: `densities-DATA-OBJECTIVE`.

use std::path::Path;

use toml::Table;

use crate::config::{Config, ConfigError};
use crate::data::DataSet;

/// What runs without arguments.
pub const DEFAULT: &str = "ising-quick";

/// Experiment files in the binary: name and text.
pub const EXPERIMENTS: &[(&str, &str)] = &[
    ("ising-quick", include_str!("../presets/ising-quick.toml")),
    ("ising-paper", include_str!("../presets/ising-paper.toml")),
    ("densities-quick", include_str!("../presets/densities-quick.toml")),
    ("densities-paper", include_str!("../presets/densities-paper.toml")),
    ("spin-glass", include_str!("../presets/spin-glass.toml")),
    ("qubo", include_str!("../presets/qubo.toml")),
    ("potts", include_str!("../presets/potts.toml")),
    ("constraints", include_str!("../presets/constraints.toml")),
    ("checkerboard", include_str!("../presets/checkerboard.toml")),
    ("hypergrid", include_str!("../presets/hypergrid.toml")),
    ("hypergrid-20x4", include_str!("../presets/hypergrid-20x4.toml")),
    ("bit-sequence", include_str!("../presets/bit-sequence.toml")),
    ("reward-table", include_str!("../presets/reward-table.toml")),
];

/// Suite files in the binary: name and text.
pub const SUITES: &[(&str, &str)] = &[
    ("quick-ising", include_str!("../presets/suites/quick-ising.toml")),
    ("paper-ising", include_str!("../presets/suites/paper-ising.toml")),
    ("quick-guided", include_str!("../presets/suites/quick-guided.toml")),
    ("means-ising", include_str!("../presets/suites/means-ising.toml")),
    ("guided-ising", include_str!("../presets/suites/guided-ising.toml")),
    ("hypergrid", include_str!("../presets/suites/hypergrid.toml")),
    ("checkerboard", include_str!("../presets/suites/checkerboard.toml")),
    ("quick-densities", include_str!("../presets/suites/quick-densities.toml")),
    ("paper-densities", include_str!("../presets/suites/paper-densities.toml")),
];

/// The paper's sides (arXiv:2210.07992, section 5).
pub const SIDES: [&str; 2] = ["10", "15"];
/// The paper's couplings.
pub const COUPLINGS: [&str; 10] = ["-1.0", "-0.8", "-0.6", "-0.4", "-0.2", "0.2", "0.4", "0.6", "0.8", "1.0"];
/// Objectives of the paper's comparison: name, kind and control variate, set in `ising-paper`.
pub const OBJECTIVES: [(&str, &str, &str); 10] = [
    ("none", "reverse_kl", "none"),
    ("learned", "reverse_kl", "learned"),
    ("leave-one-out", "reverse_kl", "leave_one_out"),
    ("leave-one-out-log-z", "reverse_kl", "leave_one_out_log_z"),
    ("optimal", "reverse_kl", "optimal"),
    ("optimal-leave-one-out", "reverse_kl", "optimal_leave_one_out"),
    ("optimal-per-parameter", "reverse_kl", "optimal_per_parameter"),
    ("optimal-per-parameter-leave-one-out", "reverse_kl", "optimal_per_parameter_leave_one_out"),
    ("tb", "trajectory_balance", "none"),
    ("log-variance", "log_variance", "none"),
];

/// Objectives of the paper's densities, with the table `[objective]` that each puts into `densities-paper`.
pub const DENSITY_OBJECTIVES: [(&str, &str); 8] = [
    ("kl", "{ kind = \"reverse_kl\", control_variate = \"learned\" }"),
    ("kl-0.5", "{ kind = \"alpha_kl\", control_variate = \"learned\", alpha = 0.5 }"),
    ("kl-1", "{ kind = \"forward_kl\" }"),
    ("kl-schedule", "{ kind = \"alpha_kl\", control_variate = \"learned\", alpha = \"paper\" }"),
    ("tb", "{ kind = \"trajectory_balance\" }"),
    ("tb-0.5", "{ kind = \"alpha_tb\", alpha = 0.5 }"),
    ("tb-1", "{ kind = \"alpha_tb\", alpha = 1.0 }"),
    ("tb-schedule", "{ kind = \"alpha_tb\", alpha = \"paper\" }"),
];

/// The experiment of this name with changes ("key.path=value") applied.
pub fn config(name: &str, changes: &[String]) -> Result<Config, ConfigError> {
    let (text, mut all) = source(name)?;
    all.extend_from_slice(changes);
    Config::parse(text, &all).map_err(|error| error.within(&format!("preset {name}")))
}

/// The text of the suite of this name.
pub fn suite(name: &str) -> Result<&'static str, ConfigError> {
    let unknown = || ConfigError::new(format!("there is no suite {name:?}; `wgflow presets` lists them"));
    SUITES.iter().find(|(suite, _)| *suite == name).map(|(_, text)| *text).ok_or_else(unknown)
}

/// The keys that the experiment of this name sets, others left at their defaults.
pub fn table(name: &str) -> Result<Table, ConfigError> {
    let (text, changes) = source(name)?;
    Config::table(text, &changes, Path::new(""))
}

/// The file that a name stands for, and what the name changes in it.
fn source(name: &str) -> Result<(&'static str, Vec<String>), ConfigError> {
    let text = |name: &str| EXPERIMENTS.iter().find(|(file, _)| *file == name).map(|(_, text)| *text);
    if let Some(text) = text(name) {
        return Ok((text, Vec::new()));
    }
    let unknown = || ConfigError::new(format!("there is no preset {name:?}; `wgflow presets` lists them"));
    let ising = || ising_changes(name).map(|changes| ("ising-paper", changes));
    let densities = || density_changes(name).map(|changes| ("densities-paper", changes));
    let (template, changes) = ising().or_else(densities).ok_or_else(unknown)?;
    Ok((text(template).ok_or_else(unknown)?, changes))
}

/// What a name of the paper's Ising grid changes in `ising-paper`.
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
    use crate::suite::Suite;

    /// Names of all presets.
    fn names() -> Vec<String> {
        let mut names: Vec<String> = EXPERIMENTS.iter().map(|(name, _)| name.to_string()).collect();
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
        assert_eq!(names.len(), EXPERIMENTS.len() + 2 * 10 * 10 + 7 * 8);
        let files = std::fs::read_dir("presets").unwrap().map(|entry| entry.unwrap().path());
        let files = files.filter(|path| path.extension().is_some_and(|suffix| suffix == "toml")).count();
        assert_eq!(EXPERIMENTS.len(), files, "a file of presets/ is not embedded");
        for name in names {
            let config = config(&name, &[]).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(Config::parse(&config.to_toml(), &[]).unwrap(), config);
        }
    }

    #[test]
    fn every_suite_is_a_valid_one() {
        assert!(!SUITES.is_empty());
        for (name, text) in SUITES {
            let suite = Suite::parse(text, Path::new("")).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(suite.name, *name);
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
        for name in ["densities-rings-tb", "densities-moons-elbo"] {
            let message = config(name, &[]).unwrap_err().to_string();
            assert!(message.contains(name) && message.contains("wgflow presets"), "{message}");
        }
    }
}
