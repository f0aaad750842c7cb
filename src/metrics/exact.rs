//! Comparison of a model with its target where every object can be counted.

use super::log_sum_exp;

/// How far the distribution of objects that a model generates is from its target.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Comparison {
    /// log sum_x R(x).
    pub log_z: f64,
    /// 1/2 sum_x |P(x) - pi(x)|, from 0 (equal) to 1 (disjoint).
    pub total_variation: f64,
    /// The mean of |P(x) - pi(x)| over all objects, 2 / their number times the total variation: what the literature on hypergrids
    /// calls L1.
    pub l1: f64,
    /// KL(P || pi), what the reverse KL bounds.
    pub kl_model_to_target: f64,
    /// KL(pi || P), what the forward KL bounds.
    pub kl_target_to_model: f64,
    /// The mean of KL(P || m) and KL(pi || m), m = (P + pi) / 2: the Jensen-Shannon divergence, at most log 2.
    pub jensen_shannon: f64,
}

/// Compares the model's probabilities of all objects with their rewards: `log_probabilities` (log P_F^T, which sum to
/// one) and `log_rewards` (log R, any scale), in the same order of objects.
///
/// # Panics
/// If the two differ in length.
pub fn compare(log_probabilities: &[f64], log_rewards: &[f64]) -> Comparison {
    assert_eq!(log_probabilities.len(), log_rewards.len(), "one probability and one reward an object");
    let log_z = log_sum_exp(log_rewards);
    let (mut variation, mut to_target, mut to_model, mut to_middle) = (0.0, 0.0, 0.0, 0.0);
    for (&log_p, log_reward) in log_probabilities.iter().zip(log_rewards) {
        let log_q = log_reward - log_z;
        variation += (log_p.exp() - log_q.exp()).abs() / 2.0;
        to_target += divergence(log_p, log_q);
        to_model += divergence(log_q, log_p);
        let log_middle = log_sum_exp(&[log_p, log_q]) - 2.0_f64.ln();
        to_middle += (divergence(log_p, log_middle) + divergence(log_q, log_middle)) / 2.0;
    }
    Comparison {
        log_z,
        total_variation: variation,
        l1: 2.0 * variation / log_rewards.len() as f64,
        kl_model_to_target: to_target,
        kl_target_to_model: to_model,
        jensen_shannon: to_middle,
    }
}

/// p log(p / q), which is 0 where p = 0.
fn divergence(log_p: f64, log_q: f64) -> f64 {
    if log_p == f64::NEG_INFINITY { 0.0 } else { log_p.exp() * (log_p - log_q) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_objects_by_hand() {
        let model = [0.5_f64, 0.25, 0.25].map(f64::ln);
        let rewards = [2.0_f64, 2.0, 4.0].map(f64::ln);
        let found = compare(&model, &rewards);
        // pi = (1/4, 1/4, 1/2): differences 1/4, 0, 1/4; both KLs are 1/2 ln 2 - 1/4 ln 2.
        let quarter = 0.25 * 2.0_f64.ln();
        assert!((found.log_z - 8.0_f64.ln()).abs() < 1e-15);
        assert!((found.total_variation - 0.25).abs() < 1e-15);
        assert!((found.kl_model_to_target - quarter).abs() < 1e-15);
        assert!((found.kl_target_to_model - quarter).abs() < 1e-15);
        assert!((found.l1 - 0.5 / 3.0).abs() < 1e-15);
        // m = (3/8, 1/4, 3/8).
        let half = |p: f64, q: f64| p * (p / 0.375).ln() + q * (q / 0.375).ln();
        let jensen_shannon = (half(0.5, 0.25) + half(0.25, 0.5)) / 2.0;
        assert!((found.jensen_shannon - jensen_shannon).abs() < 1e-15);
    }

    #[test]
    fn an_object_the_model_never_makes_counts_one_way_only() {
        let found = compare(&[0.0, f64::NEG_INFINITY], &[500.0, 500.0]);
        assert!((found.total_variation - 0.5).abs() < 1e-12);
        assert!((found.kl_model_to_target - 2.0_f64.ln()).abs() < 1e-12);
        assert_eq!(found.kl_target_to_model, f64::INFINITY);
        // m = (3/4, 1/4).
        let jensen_shannon = 0.75 * (4.0_f64 / 3.0).ln();
        assert!((found.jensen_shannon - jensen_shannon).abs() < 1e-12, "{}", found.jensen_shannon);
    }
}
