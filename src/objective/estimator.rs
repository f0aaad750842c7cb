//! Gradient estimators: log-probabilities of a batch in, coefficients out.

use super::balance::{Balance, Flows};
use super::contribution::Contribution;
use super::control_variate::ControlVariate;
use super::flow_matching::FlowMatching;
use super::loss::Loss;
use super::optimal::Optimal;
use super::own::Own;
use super::weights::{centred_softmax, mean};
use crate::engine::{Batch, Coefficients};
use crate::logs::log_mean_exp;
use crate::process::Flow;

/// How a batch of trajectories becomes a gradient, sum_i c_i grad log P_F(tau_i).
///
/// Notation: q = P_F(tau), p = pi(x) P_B(tau | x), w = Z p / q the weight, B the batch, zeta the learned log Z.
#[derive(Clone, Debug, PartialEq)]
pub enum Estimator {
    /// KL(q || p) by the score function, on samples of q: c_i = (-log w_i + k_i) / B. Loss: KL - log Z = -ELBO.
    ReverseKl(ControlVariate),
    /// KL(p || q), on samples of p: c_i = -1/B. Loss: KL + log Z = EUBO.
    ForwardKl,
    /// KL(p || q) by self-normalised importance sampling, on samples of q: c_i = -(v_i - 1/B), v = softmax(log w). The
    /// 1/B is a control variate. Biased by O(1/B). Loss: the self-normalised KL itself.
    SnisForwardKl,
    /// A regression of zeta on log w, on any samples: c_i = h'(delta_i) / B, delta = zeta - log w. Loss: mean h.
    /// With the squared loss this is trajectory balance. zeta learns with it.
    Regression(Loss),
    /// The variance of log w, on any samples: c_i = -2 (log w_i - mean log w) / (B - 1). Loss: that variance.
    LogVariance,
    /// The Renyi divergence of order a, D_a(q || p), on samples of q: c_i = a/(a-1) (v_i - 1/B) with
    /// v = softmax((1-a) log w). The logarithm of a mean: biased by O(1/B). Loss: D_a - log Z.
    Renyi {
        /// a.
        order: f64,
    },
    /// The Tsallis divergence of order a, (E_q[(w/Z)^(1-a)] - 1) / (a - 1), on samples of q; see [`tsallis`]. log Z is
    /// the batch's own estimate, taken for a constant, which biases it by O(1/B). Loss: the divergence.
    Tsallis {
        /// a.
        order: f64,
    },
    /// A loss of the balance of flows along a trajectory's stretches: c, b and f of single steps.
    Balance(Balance),
    /// A loss of what flows into a trajectory's states less what flows out: c and f of single steps, and of those from other parents.
    FlowMatching(FlowMatching),
    /// One of the user's.
    Own(Own),
}

impl Estimator {
    /// What `weight` times the estimator makes of a batch; `zeta` is the learned log Z.
    ///
    /// A control variate from [`ControlVariate::optimal`] is not yet in them. The regression that fits the learned
    /// control variate is a problem of its own: its derivative is not scaled by `weight`.
    pub fn contribution(&self, weight: f64, batch: &Batch, zeta: f64) -> Contribution {
        match self {
            Self::Own(own) => return own.contribution(weight, batch, zeta),
            Self::Balance(balance) => return balance.contribution(weight, batch),
            Self::FlowMatching(matching) => return matching.contribution(weight, batch),
            _ => {}
        }
        let log_weights = &batch.log_weights()[..];
        let batch = log_weights.len() as f64;
        let share = weight / batch;
        let (policy, zeta, loss): (Vec<f64>, Option<f64>, f64) = match *self {
            Estimator::Own(_) | Estimator::Balance(_) | Estimator::FlowMatching(_) => unreachable!("returned above"),
            Estimator::ReverseKl(control_variate) => {
                let k = control_variate.values(log_weights, zeta);
                let policy = log_weights.iter().zip(k).map(|(log_weight, k)| share * (k - log_weight)).collect();
                let average = mean(log_weights);
                let learned = control_variate == ControlVariate::Learned;
                (policy, learned.then_some(2.0 * (zeta - average)), -average)
            }
            Estimator::ForwardKl => (vec![-share; log_weights.len()], None, mean(log_weights)),
            Estimator::SnisForwardKl => {
                let centred = centred_softmax(log_weights, 1.0);
                let weighted = centred.iter().zip(log_weights).map(|(centred, log_weight)| {
                    // An object with R = 0 has v = 0, and v log w goes to 0 with it.
                    if *log_weight == f64::NEG_INFINITY { 0.0 } else { (centred + 1.0 / batch) * log_weight }
                });
                let average: f64 = weighted.sum();
                (scaled(centred, -weight), None, average - log_mean_exp(log_weights))
            }
            Estimator::Regression(regression) => {
                let (losses, slopes): (Vec<f64>, Vec<f64>) =
                    log_weights.iter().map(|log_weight| regression.evaluate(zeta - log_weight)).unzip();
                let policy = scaled(slopes, share);
                let derivative = policy.iter().sum();
                (policy, Some(derivative), mean(&losses))
            }
            Estimator::LogVariance => {
                let average = mean(log_weights);
                let deviations = log_weights.iter().map(|log_weight| log_weight - average);
                let squares: f64 = deviations.clone().map(|deviation| deviation * deviation).sum();
                let factor = -2.0 * weight / (batch - 1.0);
                (deviations.map(|deviation| factor * deviation).collect(), None, squares / (batch - 1.0))
            }
            Estimator::Renyi { order } => {
                let exponents = scaled(log_weights.to_vec(), 1.0 - order);
                let policy = scaled(centred_softmax(log_weights, 1.0 - order), weight * order / (order - 1.0));
                (policy, None, log_mean_exp(&exponents) / (order - 1.0))
            }
            Estimator::Tsallis { order } => {
                let (policy, loss) = tsallis(log_weights, order, log_mean_exp(log_weights));
                (scaled(policy, weight), None, loss)
            }
        };
        // Weights to a negative power would hide an infinite one.
        let impossible = log_weights.contains(&f64::INFINITY);
        // Adding zero turns a minus zero into zero: it is shown to people.
        let loss = if impossible { f64::NAN } else { weight * loss + 0.0 };
        Contribution { policy: Coefficients::Trajectories(policy), zeta, loss }
    }

    /// Whether log Z is learned along, as zeta.
    pub fn learns_zeta(&self) -> bool {
        match self {
            Estimator::Regression(_) | Estimator::ReverseKl(ControlVariate::Learned) => true,
            Estimator::Own(own) => own.learns_log_z(),
            _ => false,
        }
    }

    /// Whether it looks at single steps, [`Batch::steps`].
    pub fn needs_steps(&self) -> bool {
        match self {
            Estimator::Balance(_) | Estimator::FlowMatching(_) => true,
            Estimator::Own(own) => own.needs_steps(),
            _ => false,
        }
    }

    /// What the policy has to say of the flow through a state.
    pub fn needs_flow(&self) -> Flow {
        match self {
            Estimator::Balance(Balance { flows: Flows::Stopping, .. }) => Flow::Stop,
            Estimator::Balance(_) | Estimator::FlowMatching(_) => Flow::Output,
            Estimator::Own(own) => own.needs_flow(),
            _ => Flow::Unsaid,
        }
    }

    /// Flow matching, if it is that: it looks at [`crate::engine::Steps::log_inflow`].
    pub fn flow_matching(&self) -> Option<&FlowMatching> {
        match self {
            Estimator::FlowMatching(matching) => Some(matching),
            _ => None,
        }
    }

    /// Whether it looks at log-rewards of states, [`crate::engine::Steps::log_reward`].
    pub fn needs_log_rewards(&self) -> bool {
        matches!(self, Estimator::Balance(balance) if balance.flows != Flows::Said)
    }

    /// Whether what it makes of trajectories of this kind depends on log R.
    pub fn needs_reward(&self) -> bool {
        match self {
            Estimator::ForwardKl => false,
            Estimator::Own(own) => own.needs_reward(),
            _ => true,
        }
    }

    /// What the coefficients lack: a control variate made of the single trajectories' gradients.
    pub fn optimal(&self) -> Option<Optimal> {
        match self {
            Estimator::ReverseKl(control_variate) => control_variate.optimal(),
            _ => None,
        }
    }

    /// Why trajectories must be those of P_F, where they must: what is a regression on log w takes any.
    pub(super) fn refuses_off_policy(&self) -> Option<&'static str> {
        match self {
            Estimator::Regression(_) | Estimator::LogVariance | Estimator::Balance(_) | Estimator::FlowMatching(_) => {
                None
            }
            Estimator::Own(_) => Some("it is one's own, and is taken to be for samples of P_F"),
            _ => Some("its gradient is an expectation over P_F, and there are no importance weights here"),
        }
    }

    /// Why a batch of one cannot be used, where it cannot.
    pub(super) fn refuses_one(&self) -> Option<&'static str> {
        match self {
            Estimator::ReverseKl(control_variate) => control_variate.refuses_one(),
            Estimator::ForwardKl | Estimator::Regression(_) | Estimator::Balance(_) | Estimator::FlowMatching(_) => {
                None
            }
            Estimator::LogVariance => Some("the variance of a batch divides by its size less one"),
            Estimator::SnisForwardKl | Estimator::Renyi { .. } => {
                Some("weights relative to the batch's are then all one")
            }
            Estimator::Own(own) => own.refuses_one(),
            Estimator::Tsallis { .. } => Some("its control variate is made of the batch's other trajectories"),
        }
    }
}

/// The Tsallis divergence of order a at a given log Z, on samples of q: c_i = a/(a-1) (r_i - mean_{j != i} r_j) / B
/// with r = exp((1-a) (log w - log Z)).
///
/// With a log Z that does not depend on the batch, the true one or not, this is an unbiased estimate of the gradient of
/// `E_q[r]` / (a - 1), and the loss of (`E_q[r]` - 1) / (a - 1). Returns the c_i and the loss.
pub fn tsallis(log_weights: &[f64], order: f64, log_z: f64) -> (Vec<f64>, f64) {
    let batch = log_weights.len() as f64;
    let excess = |log_weight: &f64| ((1.0 - order) * (log_weight - log_z)).exp_m1();
    let excesses: Vec<f64> = log_weights.iter().map(excess).collect();
    let average = mean(&excesses);
    // r_i - mean_{j != i} r_j = B/(B-1) (r_i - mean r), and r = 1 + excess.
    let factor = order / (order - 1.0) / (batch - 1.0);
    let policy = excesses.iter().map(|excess| factor * (excess - average)).collect();
    (policy, average / (order - 1.0))
}

fn scaled(mut values: Vec<f64>, factor: f64) -> Vec<f64> {
    values.iter_mut().for_each(|value| *value *= factor);
    values
}

#[cfg(test)]
mod tests {
    use rand_distr::{Distribution, Normal};

    use super::*;
    use crate::compare::relative_difference;
    use crate::random::{Draw, Stream};

    const ZETA: f64 = 0.37;

    /// A contribution with a coefficient a trajectory.
    #[derive(Debug)]
    struct Found {
        policy: Vec<f64>,
        zeta: Option<f64>,
        loss: f64,
        is_finite: bool,
    }

    trait OfLogWeights {
        fn coefficients(&self, weight: f64, log_weights: &[f64], zeta: f64) -> Found;
    }

    impl OfLogWeights for Estimator {
        fn coefficients(&self, weight: f64, log_weights: &[f64], zeta: f64) -> Found {
            let contribution = self.contribution(weight, &Batch::of_log_weights(log_weights), zeta);
            let is_finite = contribution.is_finite();
            let Contribution { policy: Coefficients::Trajectories(policy), zeta, loss } = contribution else {
                panic!("a coefficient a trajectory")
            };
            Found { policy, zeta, loss, is_finite }
        }
    }

    fn every_estimator() -> Vec<Estimator> {
        let mut all: Vec<Estimator> = ControlVariate::ALL.map(Estimator::ReverseKl).to_vec();
        let losses = [Loss::Squared, Loss::HalfSquared, Loss::Huber { threshold: 1.0 }, Loss::ShiftedCosh];
        all.extend(losses.map(Estimator::Regression));
        all.extend([-1.0, 0.5, 1.0].map(|scale| Estimator::Regression(Loss::Linex { scale })));
        all.extend([0.5, 2.0].map(|order| Estimator::Renyi { order }));
        all.extend([0.5, 2.0].map(|order| Estimator::Tsallis { order }));
        all.extend([Estimator::ForwardKl, Estimator::SnisForwardKl, Estimator::LogVariance]);
        all
    }

    fn log_weights(count: usize) -> Vec<f64> {
        let normal = Normal::new(-1.5, 2.0).unwrap();
        let mut generator = Draw::new(11, 0, Stream::Training).generator(0);
        (0..count).map(|_| normal.sample(&mut generator)).collect()
    }

    fn assert_close(found: &[f64], expected: &[f64], tolerance: f64) {
        let difference = relative_difference(found, expected);
        assert!(difference <= tolerance, "{found:?} is not {expected:?}: off by {difference:e}");
    }

    #[test]
    fn trajectory_balance_is_twice_reverse_kl_with_the_learned_control_variate() {
        let batch = log_weights(33);
        let balance = Estimator::Regression(Loss::Squared).coefficients(1.0, &batch, ZETA);
        let learned = Estimator::ReverseKl(ControlVariate::Learned).coefficients(1.0, &batch, ZETA);
        // Bit for bit: a factor of two is exact.
        assert_eq!(balance.policy, scaled(learned.policy, 2.0));
        // zeta's derivatives agree, but one is summed before and one after the factors.
        assert_close(&[balance.zeta.unwrap()], &[learned.zeta.unwrap()], 1e-14);
    }

    #[test]
    fn log_variance_is_twice_reverse_kl_with_the_leave_one_out_control_variate() {
        let batch = log_weights(33);
        let variance = Estimator::LogVariance.coefficients(1.0, &batch, ZETA);
        let left_out = Estimator::ReverseKl(ControlVariate::LeaveOneOut).coefficients(1.0, &batch, ZETA);
        assert_close(&variance.policy, &scaled(left_out.policy, 2.0), 1e-14);
    }

    #[test]
    fn renyi_and_tsallis_tend_to_the_centred_reverse_kl() {
        let batch = log_weights(33);
        let average = mean(&batch);
        let centred: Vec<f64> = batch.iter().map(|log_weight| (average - log_weight) / 33.0).collect();
        let left_out: Vec<f64> = centred.iter().map(|c| c * 33.0 / 32.0).collect();
        for gap in [1e-3, 1e-6, 1e-9] {
            for order in [1.0 - gap, 1.0 + gap] {
                let renyi = Estimator::Renyi { order }.coefficients(1.0, &batch, ZETA);
                let tsallis = Estimator::Tsallis { order }.coefficients(1.0, &batch, ZETA);
                // The next order in (a - 1) is some ten times the gap; 1e-9 leaves seven digits of 1 - a itself.
                assert_close(&renyi.policy, &centred, 20.0 * gap + 1e-7);
                assert_close(&tsallis.policy, &left_out, 20.0 * gap + 1e-7);
            }
        }
    }

    #[test]
    fn small_batches_match_the_definitions() {
        let batch = [1.0, -0.5, 0.25];
        let w = batch.map(f64::exp);
        let (sum, mean) = (w.iter().sum::<f64>(), 0.25);
        let snis = Estimator::SnisForwardKl.coefficients(1.0, &batch, ZETA);
        assert_close(&snis.policy, &w.map(|w| 1.0 / 3.0 - w / sum), 1e-14);
        let relative = batch.iter().zip(w).map(|(log, w)| w / sum * log).sum::<f64>() - (sum / 3.0).ln();
        assert_close(&[snis.loss], &[relative], 1e-14);

        let variance = Estimator::LogVariance.coefficients(1.0, &batch, ZETA);
        assert_close(&variance.policy, &batch.map(|log| mean - log), 1e-14);
        assert_close(&[variance.loss], &[0.5 * (0.75f64.powi(2) * 2.0)], 1e-14);

        let renyi = Estimator::Renyi { order: 3.0 }.coefficients(1.0, &batch, ZETA);
        let powers = w.map(|w| w.powi(-2));
        let total: f64 = powers.iter().sum();
        assert_close(&renyi.policy, &powers.map(|power| 1.5 * (power / total - 1.0 / 3.0)), 1e-14);
        assert_close(&[renyi.loss], &[0.5 * (total / 3.0).ln()], 1e-14);

        let tsallis = Estimator::Tsallis { order: 3.0 }.coefficients(1.0, &batch, ZETA);
        let r = w.map(|w| (w * 3.0 / sum).powi(-2));
        let expected = [0, 1, 2].map(|i| 1.5 * (r[i] - (r[(i + 1) % 3] + r[(i + 2) % 3]) / 2.0) / 3.0);
        assert_close(&tsallis.policy, &expected, 1e-14);
        assert_close(&[tsallis.loss], &[0.5 * (r.iter().sum::<f64>() / 3.0 - 1.0)], 1e-14);

        let linex = Estimator::Regression(Loss::Linex { scale: 1.0 }).coefficients(1.0, &batch, ZETA);
        assert_close(&linex.policy, &w.map(|w| (1.0 - w / ZETA.exp()) / 3.0), 1e-14);
        assert_close(&[linex.zeta.unwrap()], &[1.0 - sum / ZETA.exp() / 3.0], 1e-14);
    }

    #[test]
    fn a_weight_scales_all_but_the_fit_of_the_control_variate() {
        let batch = log_weights(9);
        for estimator in every_estimator() {
            let whole = estimator.coefficients(1.0, &batch, ZETA);
            let part = estimator.coefficients(0.25, &batch, ZETA);
            assert_eq!(part.policy, scaled(whole.policy, 0.25), "{estimator:?}");
            assert_eq!(part.loss, 0.25 * whole.loss, "{estimator:?}");
            let factor = if matches!(estimator, Estimator::ReverseKl(_)) { 1.0 } else { 0.25 };
            assert_eq!(part.zeta, whole.zeta.map(|zeta| factor * zeta), "{estimator:?}");
        }
    }

    #[test]
    fn shifting_all_log_weights_moves_nothing_that_does_not_know_log_z() {
        let batch = log_weights(9);
        let shifted: Vec<f64> = batch.iter().map(|log_weight| log_weight + 500.0).collect();
        for estimator in every_estimator() {
            let knows_log_z = match estimator {
                Estimator::ReverseKl(kind) => {
                    ![ControlVariate::LeaveOneOut, ControlVariate::LeaveOneOutLogZ].contains(&kind)
                }
                Estimator::Regression(_) => true,
                _ => false,
            };
            if !knows_log_z {
                let here = estimator.coefficients(1.0, &batch, ZETA).policy;
                // 500 costs three of sixteen digits.
                assert_close(&estimator.coefficients(1.0, &shifted, ZETA).policy, &here, 1e-12);
            }
        }
    }

    #[test]
    fn extreme_weights_stay_finite_and_what_is_not_finite_is_seen() {
        let exponential = [Estimator::Regression(Loss::ShiftedCosh), Estimator::Tsallis { order: 2.0 }];
        for estimator in every_estimator() {
            let linex = matches!(estimator, Estimator::Regression(Loss::Linex { .. }));
            if !linex && !exponential.contains(&estimator) {
                let extreme = estimator.coefficients(1.0, &[900.0, -900.0, 0.0, 899.0], ZETA);
                assert!(extreme.is_finite, "{estimator:?}: {extreme:?}");
            }
            for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                let no_weight = match estimator {
                    Estimator::SnisForwardKl => true,
                    Estimator::Renyi { order } | Estimator::Tsallis { order } => order < 1.0,
                    _ => false,
                };
                let found = estimator.coefficients(1.0, &[1.0, bad, 0.5], ZETA);
                let allowed = no_weight && bad == f64::NEG_INFINITY;
                assert_eq!(found.is_finite, allowed, "{estimator:?} of {bad}: {found:?}");
            }
            assert!(estimator.coefficients(1.0, &[], ZETA).policy.is_empty(), "{estimator:?} of nothing");
        }
    }
}
