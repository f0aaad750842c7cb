//! `target.kind = "model"`: a discrete model from a file.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::error::require;
use super::{ConfigError, Inputs};
use crate::models::{self, Format, ModelError};
use crate::targets::model::Model;
use crate::targets::{InputFiles, Target};

/// A factor graph, spin glass, max-cut, QUBO or Potts model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// The model's file. Relative to the experiment file's directory. The run's checkpoint keeps
    /// it, up to 64 MiB with `evidence`; a larger one is needed again, as it was, when the run is resumed or looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The text of such a file, in place of `file`. All formats but `scipy_sparse` are text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The file's format; without it, its suffix or its content tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// What log R is multiplied by, positive: the inverse temperature of a model with energies.
    #[serde(default = "one")]
    pub beta: f64,
    /// An `.evid` file with values that some variables have. As `file` otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
}

fn one() -> f64 {
    1.0
}

impl ModelConfig {
    /// Refuses what is out of range. No file is looked at.
    pub fn check(&self) -> Result<(), ConfigError> {
        require(self.beta > 0.0 && self.beta.is_finite(), "target.beta", self.beta, "positive and finite")?;
        match (&self.file, &self.text) {
            (Some(_), Some(_)) => Err(ConfigError::new("target.file and target.text: one of them, not both")),
            (None, None) => Err(ConfigError::new("target.file is missing: a model's file (or target.text, its text)")),
            _ => Ok(()),
        }
    }

    /// The target, or what is wrong with its file.
    pub fn build(&self, inputs: &Inputs) -> Result<Arc<dyn Target>, ConfigError> {
        self.check()?;
        let (model, evidence) = ("target.file", "target.evidence");
        let of = |key| move |error: ModelError| ConfigError::new(format!("{key}: {error}{}", inputs.advice(key)));
        let mut files = Vec::new();
        let mut content = |key: &str, path: &str| {
            let content = inputs.content(key, path)?;
            files.push((key.to_owned(), content.clone()));
            Ok(content)
        };
        let mut graph = match (&self.file, &self.text) {
            (Some(file), _) => content(model, file)
                .and_then(|bytes| models::parse_bytes(file, &bytes, self.format, self.beta))
                .map_err(of(model))?,
            (None, text) => {
                let text = text.as_deref().unwrap_or_default();
                models::parse("target.text", text, self.format, self.beta)
                    .map_err(|error| ConfigError::new(error.to_string()))?
            }
        };
        if let Some(file) = &self.evidence {
            let given = content(evidence, file)
                .and_then(|bytes| models::parse_evidence(file, models::text_of(file, &bytes)?, &graph));
            graph = graph.given(&given.map_err(of(evidence))?);
        }
        Ok(Arc::new(Model::new(graph).keeping(InputFiles::new(files))))
    }
}
