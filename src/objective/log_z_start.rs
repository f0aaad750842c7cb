//! Where zeta, the learned log Z, starts.

use serde::{Deserialize, Serialize};

use super::weights::mean;

/// The key `objective.log_z_start`.
///
/// zeta moves by no more than its learning rate an iteration, and until it is near log Z its own error drowns what the
/// policy could learn. So it starts where the policy is: at the mean log-weight of the first batch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "\"first_batch\" or a number")]
pub enum LogZStart {
    /// What a name stands for.
    Named(NamedStart),
    /// This number.
    Number(f64),
}

/// Starts that have a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NamedStart {
    /// The mean log-weight of the first batch of a term that learns zeta. An iteration's forward term comes before its
    /// backward one; where only the backward one learns (alpha = 1 at first), its batch is the first.
    FirstBatch,
}

impl Default for LogZStart {
    fn default() -> Self {
        Self::Named(NamedStart::FirstBatch)
    }
}

impl LogZStart {
    /// zeta before there is any batch.
    pub fn before_any_batch(self) -> Option<f64> {
        match self {
            Self::Named(NamedStart::FirstBatch) => None,
            Self::Number(number) => Some(number),
        }
    }
}

/// Where zeta starts from a batch: the mean of its log-weights whose object has a log R above `floor` (what training
/// takes in place of a lower one; none if nothing is replaced); of all of them if there is none above. Log-weights that
/// are not finite do not count, and without any other there is no start yet.
pub fn first_zeta(log_weights: &[f64], log_reward: &[f64], floor: Option<f64>) -> Option<f64> {
    let floor = floor.unwrap_or(f64::NEG_INFINITY);
    let pairs = log_weights.iter().zip(log_reward).filter(|(log_weight, _)| log_weight.is_finite());
    let (above, at): (Vec<_>, Vec<_>) = pairs.partition(|(_, log_reward)| **log_reward > floor);
    let counted = if above.is_empty() { at } else { above };
    let counted: Vec<f64> = counted.into_iter().map(|(log_weight, _)| *log_weight).collect();
    (!counted.is_empty()).then(|| mean(&counted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeta_starts_at_the_mean_of_what_counts() {
        let (log_weights, rewards) = ([180.0, 190.0, -3.0], [1.0, 2.0, -20.0]);
        assert_eq!(first_zeta(&log_weights, &rewards, None), Some(367.0 / 3.0));
        assert_eq!(first_zeta(&log_weights, &rewards, Some(-20.0)), Some(185.0));
        // Nothing but floored objects, and objects whose R is 0.
        assert_eq!(first_zeta(&log_weights, &rewards, Some(5.0)), Some(367.0 / 3.0));
        assert_eq!(first_zeta(&[f64::NEG_INFINITY, 4.0], &[f64::NEG_INFINITY, 1.0], None), Some(4.0));
        assert_eq!(first_zeta(&[f64::NEG_INFINITY], &[f64::NEG_INFINITY], None), None);
        assert_eq!(first_zeta(&[f64::NAN], &[0.0], None), None);
    }
}
