//! Training on objects that were made before.
//!
//! What is minimised where every trajectory has log w = log Z can be minimised on any trajectories that are all seen again and
//! again: replayed objects, with trajectories from P_B, are a term of their own beside the fresh ones. Ranked sampling is that of
//! Shen, Bengio, Hajiramezanali, Loukas, Cho and Biancalani, "Towards understanding and improving GFlowNet training" (ICML 2023,
//! arXiv:2305.07170): half of the objects are from the tenth with the largest log R.

use serde::{Deserialize, Serialize};

use super::OutOfRange;

/// `[replay]`: objects that are kept, and how they are used.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Replay {
    /// Different objects that are kept, up to 2^24; 0, the default, is no replay. When there are more, the oldest go.
    pub capacity: usize,
    /// The share of the forward batch that replayed objects take the place of, above 0 and below 1.
    pub fraction: f64,
    /// "uniform", or "ranked": half of them from the tenth with the largest log R, the others from the rest.
    pub sampling: Sampling,
    /// The first iteration that uses them; they are kept from the start of the run.
    pub start: u32,
}

/// Which of the objects kept are replayed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sampling {
    /// All are as likely.
    #[default]
    Uniform,
    /// Half from the tenth with the largest log R, the others from the rest.
    Ranked,
}

impl Default for Replay {
    fn default() -> Self {
        Self { capacity: 0, fraction: 0.5, sampling: Sampling::Uniform, start: 0 }
    }
}

impl Replay {
    /// Whether any objects are kept.
    pub fn is_on(&self) -> bool {
        self.capacity > 0
    }

    /// Trajectories of a batch that are replayed.
    pub fn replayed(&self, batch: usize) -> usize {
        (self.fraction * batch as f64).round() as usize
    }

    /// Checks the ranges, for batches of `batch` trajectories.
    ///
    /// # Errors
    /// Names the key, what it was, and what is allowed.
    pub fn check(&self, batch: usize) -> Result<(), OutOfRange> {
        let Self { capacity, fraction, .. } = *self;
        if capacity > 1 << 24 {
            return Err(OutOfRange::new(format!("replay.capacity = {capacity}: must be 0 to 16777216")));
        }
        if !(fraction > 0.0 && fraction < 1.0) {
            return Err(OutOfRange::new(format!("replay.fraction = {fraction}: must be above 0 and below 1")));
        }
        // Two each, for the variance of a part is divided by its size less one.
        let replayed = self.replayed(batch);
        if self.is_on() && !(replayed >= 2 && replayed + 2 <= batch) {
            let message = format!(
                "replay.fraction = {fraction}: of training.batch = {batch} at least 2 trajectories must be replayed and 2 fresh"
            );
            return Err(OutOfRange::new(message));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_range_is_named() {
        let check = |text: &str, batch| toml::from_str::<Replay>(text).unwrap().check(batch).map_err(|e| e.to_string());
        assert_eq!(check("", 1), Ok(()), "no replay");
        assert_eq!(check("capacity = 10", 4), Ok(()));
        assert!(check("capacity = 10", 3).unwrap_err().contains("training.batch = 3"));
        assert!(check("capacity = 10\nfraction = 0.99", 64).unwrap_err().contains("replay.fraction = 0.99"));
        for fraction in ["0", "1", "nan", "-1"] {
            assert!(check(&format!("fraction = {fraction}"), 64).unwrap_err().contains("above 0 and below 1"));
        }
        assert!(check("capacity = 100000000", 64).unwrap_err().contains("replay.capacity = 100000000"));
        assert!(toml::from_str::<Replay>("sampling = 'best'").is_err());
    }
}
