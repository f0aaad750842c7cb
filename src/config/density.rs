//! `target.kind = "density"`: a data set of the plane in bits, with an energy model or without.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::error::{deserialise, quoted, require};
use super::{ConfigError, Inputs};
use crate::data::{Coding, DataSet};
use crate::joint::{self, Acceptance};
use crate::network::Layout;
use crate::targets::Target;
use crate::targets::density::Density;
use crate::targets::energy_model::{self, EnergyModel, HIDDEN};

/// What log R is, by the key `target.mode`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "mode", rename_all = "snake_case")]
pub enum DensityConfig {
    /// An energy model from a file, held as it is.
    Fixed(FixedConfig),
    /// An energy model trained along with the policy.
    Joint(JointConfig),
    /// No R: the policy learns from the data alone, by forward KL.
    Data(DataConfig),
}

/// `target.mode = "fixed"`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FixedConfig {
    /// "2spirals", "8gaussians", "circles", "moons", "pinwheel", "swissroll" or "checkerboard".
    pub data: DataSet,
    /// Bits of a coded point, an axis having half: 8 to 32, even.
    #[serde(default = "most_bits")]
    pub bits: usize,
    /// A safetensors file with `energy.0.weight`, `energy.0.bias`, `energy.2.weight`, ...: the checkpoint of a joint run,
    /// or a PyTorch state dict under that prefix. Relative to the experiment file's directory. The run's checkpoint keeps
    /// the parameters, so that the run outlives the file.
    pub energy: String,
    /// Hidden widths of the energy model: 1 to 8 layers, each 1 to 1024 wide.
    #[serde(default = "hidden")]
    pub hidden: Vec<usize>,
}

/// `target.mode = "joint"`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JointConfig {
    /// As in [`FixedConfig`].
    pub data: DataSet,
    /// As in [`FixedConfig`].
    #[serde(default = "most_bits")]
    pub bits: usize,
    /// A file as in [`FixedConfig`] to start from; without one, the energy model starts from weights drawn with the seed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub energy: Option<String>,
    /// As in [`FixedConfig`].
    #[serde(default = "hidden")]
    pub hidden: Vec<usize>,
    /// "barker" or "metropolis".
    #[serde(default = "barker")]
    pub acceptance: Acceptance,
    /// Iterations over which proposals grow from one site to all, 1 to 2^31 - 1.
    #[serde(default = "horizon")]
    pub horizon: u32,
    /// Adam's learning rate for the energy model, positive.
    #[serde(default = "energy_learning_rate")]
    pub energy_learning_rate: f64,
}

/// `target.mode = "data"`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// As in [`FixedConfig`].
    pub data: DataSet,
    /// As in [`FixedConfig`].
    #[serde(default = "most_bits")]
    pub bits: usize,
}

// The paper's settings (arXiv:2210.07992, section 5, and the authors' code).

fn most_bits() -> usize {
    32
}

fn hidden() -> Vec<usize> {
    HIDDEN.to_vec()
}

fn barker() -> Acceptance {
    Acceptance::Barker
}

fn horizon() -> u32 {
    100_000
}

fn energy_learning_rate() -> f64 {
    1e-3
}

impl DensityConfig {
    /// Names that `target.mode` can have.
    const MODES: &str = "\"fixed\", \"joint\" or \"data\"";

    /// Reads the table `[target]` without its key `kind`.
    pub fn from_table(mut table: Table) -> Result<Self, ConfigError> {
        let mode = table.remove("mode");
        match mode.as_ref().and_then(Value::as_str) {
            Some("fixed") => Ok(Self::Fixed(deserialise(table, "target")?)),
            Some("joint") => Ok(Self::Joint(deserialise(table, "target")?)),
            Some("data") => Ok(Self::Data(deserialise(table, "target")?)),
            _ => {
                let found = mode.map_or("is missing".into(), |mode| format!("= {mode}"));
                Err(ConfigError::new(format!("target.mode {}: must be {}", quoted(found), Self::MODES)))
            }
        }
    }

    /// Refuses what is out of range. No file is looked at.
    pub fn check(&self) -> Result<(), ConfigError> {
        match self {
            Self::Fixed(FixedConfig { data, bits, hidden, .. }) => {
                coding(*data, *bits)?;
                layout(*bits, hidden).map(drop)
            }
            Self::Joint(config) => {
                coding(config.data, config.bits)?;
                layout(config.bits, &config.hidden)?;
                config.check()
            }
            Self::Data(DataConfig { data, bits }) => coding(*data, *bits).map(drop),
        }
    }

    /// The target, or what is out of range or wrong with the energy model's file.
    pub fn build(&self, inputs: &Inputs) -> Result<Arc<dyn Target>, ConfigError> {
        self.check()?;
        Ok(Arc::new(match self {
            Self::Fixed(FixedConfig { data, bits, energy, hidden }) => {
                let layout = layout(*bits, hidden)?;
                let parameters = parameters(Some(energy), &layout, inputs)?;
                Density::with_energy(*data, coding(*data, *bits)?, EnergyModel::new(layout, &parameters))
            }
            Self::Joint(JointConfig { data, bits, energy, hidden, .. }) => {
                let layout = layout(*bits, hidden)?;
                let parameters = parameters(energy.as_ref(), &layout, inputs)?;
                Density::with_energy(*data, coding(*data, *bits)?, EnergyModel::new(layout, &parameters))
            }
            Self::Data(DataConfig { data, bits }) => Density::data(*data, coding(*data, *bits)?),
        }))
    }

    /// How its energy model is trained along, if it is.
    pub fn energy_training(&self) -> Option<joint::Settings> {
        let Self::Joint(config) = self else { return None };
        Some(joint::Settings {
            acceptance: config.acceptance,
            horizon: config.horizon.into(),
            learning_rate: config.energy_learning_rate,
            warm_start: config.energy.is_some(),
        })
    }
}

impl JointConfig {
    fn check(&self) -> Result<(), ConfigError> {
        let (horizon, rate) = (self.horizon, self.energy_learning_rate);
        require((1..=i32::MAX as u32).contains(&horizon), "target.horizon", horizon, "1 to 2147483647")?;
        let positive = rate > 0.0 && rate.is_finite();
        require(positive, "target.energy_learning_rate", rate, "positive and finite")
    }
}

fn coding(data: DataSet, bits: usize) -> Result<Coding, ConfigError> {
    Ok(Coding::new(data, bits)?)
}

fn layout(bits: usize, hidden: &[usize]) -> Result<Layout, ConfigError> {
    require((1..=8).contains(&hidden.len()), "target.hidden", hidden, "a list of 1 to 8 widths")?;
    let fits = hidden.iter().all(|width| (1..=1024).contains(width));
    require(fits, "target.hidden", hidden, "a list of widths of 1 to 1024 each")?;
    Ok(energy_model::layout(bits, hidden))
}

/// An energy model's parameters from its file; zeros, to be overwritten, where there is none to be read.
fn parameters(path: Option<&String>, layout: &Layout, inputs: &Inputs) -> Result<Vec<f64>, ConfigError> {
    match (path, inputs) {
        (Some(path), Inputs::Files) => energy_model::load(Path::new(path), layout)
            .map_err(|error| ConfigError::new(format!("target.energy: {error}"))),
        _ => Ok(vec![0.0; layout.parameters()]),
    }
}
