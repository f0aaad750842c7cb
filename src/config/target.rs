//! `[target]`: what is sampled from, by its key `kind`.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::ConfigError;
use super::bit_sequence::BitSequenceConfig;
use super::density::DensityConfig;
use super::error::{deserialise, quoted};
use super::model::ModelConfig;
use super::own::OwnConfig;
use super::table::TableConfig;
use crate::joint;
use crate::models::{ModelError, bytes_of};
use crate::targets::hypergrid::Hypergrid;
use crate::targets::ising::Ising;
use crate::targets::{InputFiles, Target};

/// A built-in target.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum TargetConfig {
    /// The Ising model.
    Ising(IsingConfig),
    /// A density over the plane.
    Density(DensityConfig),
    /// A discrete model from a file.
    Model(ModelConfig),
    /// Corners of a hypergrid.
    Hypergrid(HypergridConfig),
    /// Bit sequences with hidden modes.
    BitSequence(BitSequenceConfig),
    /// A table of sequences and rewards from a file.
    Table(TableConfig),
    /// A function of the caller's.
    Own(OwnConfig),
}

/// `target.kind = "ising"`: the Ising model on a torus.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IsingConfig {
    /// Sites along an edge, at least 3.
    pub side: usize,
    /// K: log R is K times the sum of x_i x_j over bonds.
    pub coupling: f64,
}

/// `target.kind = "hypergrid"`: corners of high reward, reached by raising one coordinate after the other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HypergridConfig {
    /// Coordinates of a point, 1 to 64.
    pub dimensions: usize,
    /// Values of a coordinate, 2 to 256.
    pub height: usize,
    /// r0, r1 and r2 of R = r0 + r1 [far from the middle] + r2 [in a corner's ring]. 0.1, 0.5 and 2 if not given.
    #[serde(default = "usual_rewards")]
    pub rewards: [f64; 3],
}

fn usual_rewards() -> [f64; 3] {
    [0.1, 0.5, 2.0]
}

/// Where the numbers of a target come from that its configuration only names: an energy model's parameters, or all of a
/// model or table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inputs {
    /// The files that the configuration names.
    Files,
    /// A checkpoint, which will be restored, and the files that it keeps (`Checkpoint::files`), so that a run outlives
    /// them: an energy model's file is not read, and where the file of a model or table is not there any more, the one
    /// kept is taken.
    Checkpoint(InputFiles),
}

impl Inputs {
    /// What is in the file at `path`, which `key` names.
    pub(super) fn content(&self, key: &str, path: &str) -> Result<Arc<[u8]>, ModelError> {
        let path = Path::new(path);
        match self.kept(key) {
            Some(kept) if matches!(path.try_exists(), Ok(false)) => Ok(kept.clone()),
            _ => Ok(bytes_of(path)?.into()),
        }
    }

    fn kept(&self, key: &str) -> Option<&Arc<[u8]>> {
        if let Self::Checkpoint(files) = self { files.get(key) } else { None }
    }

    /// What to do about the file that `key` names if it is not right.
    pub(super) fn advice(&self, key: &str) -> &'static str {
        match (self, self.kept(key)) {
            (Self::Files, _) => "",
            (_, Some(_)) => {
                " (the run needs the file as it was when it began: put it back, or take it away: the checkpoint has it)"
            }
            (_, None) => " (the run needs the file again, as it was when it began: put it back)",
        }
    }
}

impl TargetConfig {
    /// Names that `target.kind` can have.
    pub const KINDS: &str = "\"ising\", \"density\", \"model\", \"hypergrid\", \"bit_sequence\", \"table\" or \"own\"";

    /// Reads the table `[target]`.
    pub fn from_table(mut table: Table) -> Result<Self, ConfigError> {
        let config = match table.remove("kind") {
            Some(Value::String(kind)) if kind == "ising" => Self::Ising(deserialise(table, "target")?),
            Some(Value::String(kind)) if kind == "density" => Self::Density(DensityConfig::from_table(table)?),
            Some(Value::String(kind)) if kind == "model" => Self::Model(deserialise(table, "target")?),
            Some(Value::String(kind)) if kind == "hypergrid" => Self::Hypergrid(deserialise(table, "target")?),
            Some(Value::String(kind)) if kind == "bit_sequence" => Self::BitSequence(deserialise(table, "target")?),
            Some(Value::String(kind)) if kind == "table" => Self::Table(deserialise(table, "target")?),
            Some(Value::String(kind)) if kind == "own" => Self::Own(deserialise(table, "target")?),
            Some(other) => {
                let message = format!("target.kind = {}: must be {}", quoted(other), Self::KINDS);
                return Err(ConfigError::new(message));
            }
            None => return Err(ConfigError::new(format!("target.kind is missing: must be {}", Self::KINDS))),
        };
        config.check()?;
        Ok(config)
    }

    /// As the table `[target]` of an experiment file.
    pub fn to_table(&self) -> Table {
        Table::try_from(self).expect("a target's table has plain values")
    }

    /// Refuses what is out of range. No file is looked at: those of a run may have gone, where a checkpoint has taken their place.
    fn check(&self) -> Result<(), ConfigError> {
        match self {
            Self::Ising(ising) => ising.target().map(drop),
            Self::Density(density) => density.check(),
            Self::Model(model) => model.check(),
            Self::Hypergrid(grid) => grid.target().map(drop),
            Self::BitSequence(sequence) => sequence.target().map(drop),
            Self::Table(table) => table.check(),
            Self::Own(own) => own.check(),
        }
    }

    /// How the target's energy model is trained along with the policy, if it is.
    pub fn energy_training(&self) -> Option<joint::Settings> {
        match self {
            Self::Ising(_)
            | Self::Model(_)
            | Self::Hypergrid(_)
            | Self::BitSequence(_)
            | Self::Table(_)
            | Self::Own(_) => None,
            Self::Density(density) => density.energy_training(),
        }
    }

    /// The target itself, or what is out of range, or wrong with an input file.
    pub fn build(&self, inputs: &Inputs) -> Result<Arc<dyn Target>, ConfigError> {
        match self {
            Self::Ising(ising) => Ok(Arc::new(ising.target()?)),
            Self::Density(density) => density.build(inputs),
            Self::Model(model) => model.build(inputs),
            Self::Hypergrid(grid) => Ok(Arc::new(grid.target()?)),
            Self::BitSequence(sequence) => Ok(Arc::new(sequence.target()?)),
            Self::Table(table) => table.build(inputs),
            Self::Own(own) => own.build(),
        }
    }
}

impl IsingConfig {
    /// The model, of which nothing is computed yet.
    fn target(&self) -> Result<Ising, ConfigError> {
        Ising::new(self.side, self.coupling).map_err(|message| ConfigError::new(format!("target.{message}")))
    }
}

impl HypergridConfig {
    fn target(&self) -> Result<Hypergrid, ConfigError> {
        Hypergrid::new(self.dimensions, self.height, self.rewards)
            .map_err(|message| ConfigError::new(format!("target.{message}")))
    }
}
