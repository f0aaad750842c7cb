//! `target.kind = "bit_sequence"`: bit sequences with hidden modes.

use serde::{Deserialize, Serialize};

use super::ConfigError;
use crate::targets::bit_sequence::BitSequence;

/// log R = -beta times the Hamming distance to the nearest mode over the number of bits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BitSequenceConfig {
    /// Bits of a sequence, 1 to 4096.
    #[serde(default = "length")]
    pub length: usize,
    /// Bits of a word, which is set in one step: 1 to 8, a divisor of the length.
    #[serde(default = "word")]
    pub word: usize,
    /// Number of modes, 1 to 4096.
    #[serde(default = "modes")]
    pub modes: usize,
    /// What the modes, and the objects that a policy is tested on, are drawn with: 0 to 2^63 - 1.
    #[serde(default)]
    pub mode_seed: u64,
    /// How steeply log R falls with the distance: above 0, at most 10^6. (torchgfn's temperature T is beta = length / T.)
    #[serde(default = "beta")]
    pub beta: f64,
}

// The setting of arXiv:2201.13259, section 5.3.

fn length() -> usize {
    120
}

fn word() -> usize {
    8
}

fn modes() -> usize {
    60
}

fn beta() -> f64 {
    3.0
}

impl BitSequenceConfig {
    /// The target, of whose log Z nothing is computed yet.
    pub(super) fn target(&self) -> Result<BitSequence, ConfigError> {
        let Self { length, word, modes, mode_seed, beta } = *self;
        if mode_seed > i64::MAX as u64 {
            let message =
                format!("target.mode_seed = {mode_seed}: must be 0 to 2^63 - 1 (the range of a TOML integer)");
            return Err(ConfigError::new(message));
        }
        BitSequence::new(length, word, modes, mode_seed, beta)
            .map_err(|message| ConfigError::new(format!("target.{message}")))
    }
}
