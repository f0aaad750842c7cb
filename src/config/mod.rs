//! The experiment file: every key, its default, its range.
//!
//! An experiment is a TOML file with the tables of [`Settings`] and a table `[target]` ([`TargetConfig`]). Unknown keys
//! are refused; an error names the key, what was found and what is allowed. The resolved configuration, with every
//! default written out, is what a run directory keeps.

mod bit_sequence;
mod density;
mod difference;
mod error;
mod file;
mod model;
mod own;
mod paths;
mod settings;
mod table;
mod target;

pub use bit_sequence::BitSequenceConfig;
pub use density::{DataConfig, DensityConfig, FixedConfig, JointConfig};
pub use difference::{Difference, differences};
pub use error::ConfigError;
pub(crate) use error::{parse, quoted};
pub use model::ModelConfig;
pub use own::OwnConfig;
pub(crate) use paths::anchor;
pub use settings::{
    BackwardPolicy, EngineConfig, EngineKind, EvaluationConfig, FillingOrder, FlowNetwork, PolicyConfig, Precision,
    Settings, Symmetry, TrainingConfig,
};
pub use table::TableConfig;
pub use target::{Inputs, IsingConfig, TargetConfig};
#[cfg(feature = "cli")]
pub(crate) use {error::deserialise, file::read};

use std::path::Path;

use toml::{Table, Value};

/// A whole experiment: what is sampled, and how the sampler is trained.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// What is sampled from.
    pub target: TargetConfig,
    /// How: everything that is not about the target.
    pub settings: Settings,
}

impl Config {
    /// Reads an experiment file and applies `changes` ("key.path=value"). Paths in the file are relative to its directory,
    /// paths in `changes` to the current one.
    pub fn read(path: &Path, changes: &[String]) -> Result<Self, ConfigError> {
        let text = file::read(path)?;
        let directory = path.parent().unwrap_or(Path::new(""));
        let table = Self::table(&text, changes, directory).and_then(Self::from_table);
        table.map_err(|error| error.within(&path.display().to_string()))
    }

    /// Parses an experiment and applies `changes` ("key.path=value"). Paths are relative to the current directory.
    pub fn parse(text: &str, changes: &[String]) -> Result<Self, ConfigError> {
        Self::table(text, changes, Path::new("")).and_then(Self::from_table)
    }

    /// The keys that an experiment sets, its paths anchored in `directory`, `changes` ("key.path=value") applied, nothing
    /// else checked.
    pub fn table(text: &str, changes: &[String], directory: &Path) -> Result<Table, ConfigError> {
        let mut table = parse(text)?;
        anchor(&mut table, directory)?;
        for change in changes {
            set(&mut table, change)?;
        }
        anchor(&mut table, Path::new(""))?;
        Ok(table)
    }

    /// Checks a parsed experiment. No file that it names is looked at before its target is built.
    pub fn from_table(mut table: Table) -> Result<Self, ConfigError> {
        let target = match table.remove("target") {
            Some(Value::Table(target)) => TargetConfig::from_table(target)?,
            Some(other) => return Err(ConfigError::new(format!("target: expected a table, found {}", quoted(other)))),
            None => return Err(ConfigError::new("target: the table is missing; `target.kind = \"ising\"` is needed")),
        };
        // A list would be taken for a table whose keys come in their order.
        let tables = Table::try_from(Settings::default()).expect("settings are tables of plain values");
        let is_table = |key: &str| tables.get(key).is_some_and(Value::is_table);
        if let Some((key, list)) = table.iter().find(|(key, value)| value.is_array() && is_table(key)) {
            return Err(ConfigError::new(format!("{key}: expected a table, found {}", quoted(list))));
        }
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
    let within = |error: ConfigError| error.within(&format!("--set {}", quoted(change)));
    let (path, text) = change.split_once('=').ok_or_else(|| within(ConfigError::new("expected key.path=value")))?;
    // A key set on the command line stands by itself, so a document of one line parses it as a file would.
    let line = format!("value = {}", text.trim()).parse::<Table>().ok();
    if line.as_ref().is_some_and(|line| line.len() > 1) {
        return Err(within(ConfigError::new("one key at a time: repeat --set for each")));
    }
    let value = line.and_then(|mut line| line.remove("value"));
    if value.is_none() && is_large_integer(text.trim()) {
        return Err(within(ConfigError::new("integers must be -2^63 to 2^63 - 1")));
    }
    insert(table, path, value.unwrap_or_else(|| Value::String(text.trim().into()))).map_err(within)
}

/// Whether this is an integer beyond TOML's, which must not pass for a string.
fn is_large_integer(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<i64>().is_err()
}

/// Sets the key "key.path" of a table, making the tables on its path.
pub fn insert(table: &mut Table, path: &str, value: Value) -> Result<(), ConfigError> {
    let mut keys: Vec<&str> = path.split('.').map(str::trim).collect();
    if keys.iter().any(|key| key.is_empty()) {
        return Err(ConfigError::new(format!("{:?} is not a key: expected words joined by dots", quoted(path))));
    }
    let last = keys.pop().unwrap_or_default();
    let mut place = table;
    for key in keys {
        let entry = place.entry(key).or_insert_with(|| Value::Table(Table::new()));
        let Value::Table(inner) = entry else {
            return Err(ConfigError::new(format!("`{}` is not a table but {}", quoted(key), quoted(entry))));
        };
        place = inner;
    }
    place.insert(last.into(), value);
    Ok(())
}

#[cfg(test)]
mod tests;
