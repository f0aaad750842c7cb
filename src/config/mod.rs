//! The experiment file: every key, its default, its range.
//!
//! An experiment is a TOML file with the tables of [`Settings`] and a table `[target]` ([`TargetConfig`]). Unknown keys
//! are refused; an error names the key, what was found and what is allowed. The resolved configuration, with every
//! default written out, is what a run directory keeps.

mod density;
mod error;
mod settings;
mod target;

pub use density::{DataConfig, DensityConfig, FixedConfig, JointConfig};
pub use error::ConfigError;
pub use settings::{EngineConfig, EngineKind, EvaluationConfig, PolicyConfig, Precision, Settings, TrainingConfig};
pub use target::{IsingConfig, TargetConfig};

use std::path::Path;

use toml::{Table, Value};

/// A whole experiment: what is sampled, and how the sampler is trained.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub target: TargetConfig,
    pub settings: Settings,
}

impl Config {
    /// Reads an experiment file and applies `changes` ("key.path=value").
    pub fn read(path: &Path, changes: &[String]) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::new(format!("cannot read {}: {error}", path.display())))?;
        Self::parse(&text, changes).map_err(|error| error.within(&path.display().to_string()))
    }

    /// Parses an experiment and applies `changes` ("key.path=value").
    pub fn parse(text: &str, changes: &[String]) -> Result<Self, ConfigError> {
        let mut table: Table = text.parse().map_err(|error| ConfigError::new(format!("not valid TOML: {error}")))?;
        for change in changes {
            set(&mut table, change)?;
        }
        Self::from_table(table)
    }

    /// Checks a parsed experiment.
    pub fn from_table(mut table: Table) -> Result<Self, ConfigError> {
        let target = match table.remove("target") {
            Some(Value::Table(target)) => TargetConfig::from_table(target)?,
            Some(other) => return Err(ConfigError::new(format!("target: expected a table, found {other}"))),
            None => return Err(ConfigError::new("target: the table is missing; `target.kind = \"ising\"` is needed")),
        };
        let settings: Settings = error::deserialise(table, "")?;
        settings.check()?;
        Ok(Self { target, settings })
    }

    /// The experiment with every key written out.
    pub fn to_table(&self) -> Table {
        let mut table = Table::try_from(&self.settings).expect("settings are tables of plain values");
        table.insert("target".into(), Value::Table(self.target.to_table()));
        table
    }

    /// The experiment as a TOML file that reads back as itself.
    pub fn to_toml(&self) -> String {
        toml::to_string(&self.to_table()).expect("a table of plain values has a TOML form")
    }
}

/// Applies "key.path=value" to a table; the value is TOML, or a bare string where that is not valid TOML.
pub fn set(table: &mut Table, change: &str) -> Result<(), ConfigError> {
    let malformed = || ConfigError::new(format!("--set {change}: expected key.path=value"));
    let (path, text) = change.split_once('=').ok_or_else(malformed)?;
    let keys: Vec<&str> = path.trim().split('.').map(str::trim).collect();
    let (last, tables) = keys.split_last().ok_or_else(malformed)?;
    if keys.iter().any(|key| key.is_empty()) {
        return Err(malformed());
    }
    let mut place = table;
    for key in tables {
        let entry = place.entry(key.to_string()).or_insert_with(|| Value::Table(Table::new()));
        let Value::Table(inner) = entry else {
            return Err(ConfigError::new(format!("--set {change}: `{key}` is not a table but {entry}")));
        };
        place = inner;
    }
    // A key set on the command line stands by itself, so a document of one line parses it as a file would.
    let value = format!("value = {}", text.trim()).parse::<Table>().ok().and_then(|mut line| line.remove("value"));
    place.insert(last.to_string(), value.unwrap_or_else(|| Value::String(text.trim().into())));
    Ok(())
}

#[cfg(test)]
mod tests;
