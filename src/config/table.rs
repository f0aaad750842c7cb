//! `target.kind = "table"`: sequences and their rewards from a file.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{ConfigError, Inputs};
use crate::models::{ModelError, text_of};
use crate::targets::table::{Options, Table, Transform};
use crate::targets::{InputFiles, Target};

/// A CSV file with the heading `sequence,reward`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableConfig {
    /// The table's file. Relative to the experiment file's directory. The run's checkpoint keeps it, up to 64 MiB;
    /// a larger one is needed again, as it was, when the run is resumed or looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The text of such a file, in place of `file`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The letters in the order of their values; without this key those that the table has, in the order of their codes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alphabet: Option<String>,
    /// "log": log R = beta log reward, and a reward of 0 is forbidden. "linear": log R = beta reward.
    #[serde(default)]
    pub transform: Transform,
    /// What the logarithm or the score is multiplied by, positive.
    #[serde(default = "one")]
    pub beta: f64,
    /// The reward of sequences that are not in the table; without this key they are forbidden (R = 0).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<f64>,
}

fn one() -> f64 {
    1.0
}

impl TableConfig {
    fn options(&self) -> Options {
        let Self { alphabet, transform, beta, default, .. } = self.clone();
        Options { alphabet, transform, beta, default }
    }

    /// Refuses what is out of range. No file is looked at.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.options().check().map_err(|error| ConfigError::new(format!("target.{error}")))?;
        match (&self.file, &self.text) {
            (Some(_), Some(_)) => Err(ConfigError::new("target.file and target.text: one of them, not both")),
            (None, None) => Err(ConfigError::new("target.file is missing: a table's file (or target.text, its text)")),
            _ => Ok(()),
        }
    }

    /// The target, or what is wrong with its file.
    pub fn build(&self, inputs: &Inputs) -> Result<Arc<dyn Target>, ConfigError> {
        self.check()?;
        let key = "target.file";
        let table = match (&self.file, &self.text) {
            (Some(file), _) => {
                let of = |error: ModelError| ConfigError::new(format!("{key}: {error}{}", inputs.advice(key)));
                let content = inputs.content(key, file).map_err(of)?;
                let table = text_of(file, &content).and_then(|text| Table::parse(file, text, &self.options()));
                table.map_err(of)?.keeping(InputFiles::new([(key.to_owned(), content)]))
            }
            (None, text) => Table::parse("target.text", text.as_deref().unwrap_or_default(), &self.options())
                .map_err(|error| ConfigError::new(error.to_string()))?,
        };
        Ok(Arc::new(table))
    }
}
