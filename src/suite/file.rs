//! The suite file as it is written: its keys and their types.

use serde::Deserialize;
use serde_json::Value;
use toml::Table;

use crate::config::{self, ConfigError};
use crate::summary;

/// Keys of a suite file. Unknown ones are refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Names the suite and, without --out, its directory.
    pub name: String,
    /// An experiment to start from: a preset's name, or a path ending in .toml, relative to the suite file.
    pub base: Option<String>,
    /// Keys laid over the base, or a whole experiment where there is no base.
    #[serde(default)]
    pub experiment: Table,
    /// A list of seeds, or their number n for 1 to n.
    pub seeds: toml::Value,
    /// Lists of values by key path.
    #[serde(default)]
    pub grid: Table,
    /// Sets of changes that are no product.
    #[serde(default)]
    pub variants: Vec<Variant>,
    /// Columns of the table.
    #[serde(default = "usual_metrics")]
    pub metrics: Vec<Metric>,
    /// The number of the metrics log, or of the evaluations in it, that the charts show over the iterations.
    #[serde(default = "elbo")]
    pub curve: String,
    /// Grid keys; combinations equal in them are compared with each other. Without this, the grid's keys of the target.
    pub group: Option<Vec<String>>,
}

/// A named set of changes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    pub name: String,
    #[serde(default)]
    pub set: Table,
}

/// A number of `summary.json` that becomes a column.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    pub key: String,
    /// What is better; without it nothing is marked.
    pub best: Option<Direction>,
    /// The key that `best = "closest"` wants to be close to.
    pub to: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    Higher,
    Lower,
    Closest,
}

fn elbo() -> String {
    "elbo".into()
}

fn usual_metrics() -> Vec<Metric> {
    let metric = |key: &str, best, to: Option<&str>| Metric { key: key.into(), best, to: to.map(Into::into) };
    vec![
        metric("elbo", Some(Direction::Higher), None),
        metric("log_z_estimate", Some(Direction::Closest), Some("log_z_exact")),
        metric("log_z_exact", None, None),
    ]
}

/// Numbers that every line of the metrics log has.
const LOGGED: [&str; 6] = ["elbo", "log_z", "ess_fraction", "loss", "zeta", "gradient_norm"];

/// Checks that `curve` is in the metrics log, or `known` in the evaluations that it may have.
pub fn check_curve(curve: &str, known: &[String]) -> Result<(), ConfigError> {
    if LOGGED.contains(&curve) || known.iter().any(|key| key == curve) {
        return Ok(());
    }
    let (logged, known) = (LOGGED.join(", "), known.join(", "));
    Err(ConfigError::new(format!(
        "curve = {:?}: must be one of {logged}, or of an evaluation's {known}",
        config::quoted(curve)
    )))
}

/// A line's number of this name; numbers that every line has are not looked for in evaluations.
pub fn logged(line: &Value, curve: &str) -> Option<f64> {
    let place = if LOGGED.contains(&curve) { line } else { &line["evaluation"] };
    summary::number(place, curve)
}

impl Metric {
    /// Checks that the keys are among `known`, and that `to` goes with "closest".
    pub fn check(&self, known: &[String]) -> Result<(), ConfigError> {
        let refuse = |what: String| Err(ConfigError::new(format!("metrics: {what}")));
        for key in self.to.iter().chain([&self.key]) {
            if !known.contains(key) {
                return refuse(format!(
                    "summary.json has no number {:?}; it has {}",
                    config::quoted(key),
                    known.join(", ")
                ));
            }
        }
        match (self.best, &self.to) {
            (Some(Direction::Closest), None) => {
                refuse(format!("{}: best = \"closest\" needs the key that it shall be closest `to`", self.key))
            }
            (Some(Direction::Higher | Direction::Lower) | None, Some(to)) => {
                refuse(format!("{}: to = {to:?} only goes with best = \"closest\"", self.key))
            }
            _ => Ok(()),
        }
    }

    /// How good `value` is, higher being better; none where nothing is better.
    pub fn score(&self, value: f64, to: Option<f64>) -> Option<f64> {
        match self.best? {
            Direction::Higher => Some(value),
            Direction::Lower => Some(-value),
            Direction::Closest => to.map(|to| -(value - to).abs()),
        }
    }

    /// What the metric is and what is better, for a column's heading.
    pub fn heading(&self) -> String {
        match (self.best, &self.to) {
            (Some(Direction::Higher), _) => format!("{} (higher)", self.key),
            (Some(Direction::Lower), _) => format!("{} (lower)", self.key),
            (Some(Direction::Closest), Some(to)) => format!("{} (closest to {to})", self.key),
            _ => self.key.clone(),
        }
    }
}

/// The seeds that the key `seeds` means.
pub fn seeds(value: &toml::Value) -> Result<Vec<i64>, ConfigError> {
    let refuse = |what| Err(ConfigError::new(format!("seeds = {}: must be {what}", config::quoted(value))));
    let seeds: Vec<i64> = match value {
        toml::Value::Integer(count @ 1..=1000) => (1..=*count).collect(),
        toml::Value::Array(list) => list.iter().filter_map(toml::Value::as_integer).filter(|seed| *seed >= 0).collect(),
        _ => return refuse("a number of seeds, 1 to 1000, or a list of seeds"),
    };
    if seeds.is_empty() || value.as_array().is_some_and(|list| list.len() != seeds.len()) {
        return refuse("a list of seeds, each 0 to 2^63 - 1");
    }
    if (1..seeds.len()).any(|index| seeds[..index].contains(&seeds[index])) {
        return refuse("a list of distinct seeds");
    }
    Ok(seeds)
}
