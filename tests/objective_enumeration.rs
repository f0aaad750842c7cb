//! Objectives against exact gradients, by enumeration of every trajectory of a problem with three sites of two values.
//!
//! The policy is linear: the logits of a site's two values are W (x, 1), x the sites coded as unset 0, values -1, +1.
//! Everything here is written down from the definitions; only the objectives are the library's.

#[path = "common/compare.rs"]
mod compare;

use compare::{assert_close_at_scale, distance, largest};
use wgflow::engine::{Batch, Moments};
use wgflow::objective::{
    Contribution, Extent, Form, Objective, Optimal, Settings, Source, Term, batch_form, leave_one_out, tsallis,
};
use wgflow::schedule::Progress;

const SITES: usize = 3;
/// Two logits a site, each from three inputs and a bias.
const PARAMETERS: usize = 2 * SITES * (SITES + 1);
/// An arbitrary zeta: no expectation of a policy gradient on forward samples may depend on it.
const ZETA: f64 = 0.7;

/// One trajectory with everything that is to be known about it.
struct Trajectory {
    /// P_F(tau).
    forward: f64,
    /// pi(x) P_B(tau | x).
    backward: f64,
    log_weight: f64,
    /// grad log P_F(tau).
    score: Vec<f64>,
}

/// All trajectories; in a fixed order of sites if `fixed`, else sites are drawn uniformly.
struct Problem {
    fixed: bool,
    parameters: Vec<f64>,
}

impl Problem {
    /// Parameters of no special kind, of order one.
    fn new(fixed: bool) -> Self {
        Self { fixed, parameters: (0..PARAMETERS).map(|d| 0.9 * (1.7 * d as f64 + 0.3).sin()).collect() }
    }

    fn log_reward(object: &[f64]) -> f64 {
        0.8 * object[0] * object[1] - 0.5 * object[1] * object[2] + 0.3 * object[2] + 0.25
    }

    fn log_z() -> f64 {
        let objects = (0..8).map(|bits| [0, 1, 2].map(|site| if bits >> site & 1 == 1 { 1.0 } else { -1.0 }));
        objects.map(|object| Self::log_reward(&object).exp()).sum::<f64>().ln()
    }

    fn trajectories(&self) -> Vec<Trajectory> {
        let mut all = Vec::new();
        self.extend(&mut [0.0; SITES], 0, 0.0, 0.0, &[0.0; PARAMETERS], &mut all);
        all
    }

    fn extend(
        &self,
        state: &mut [f64; SITES],
        step: usize,
        log_forward: f64,
        log_backward: f64,
        score: &[f64],
        all: &mut Vec<Trajectory>,
    ) {
        if step == SITES {
            let log_reward = Self::log_reward(state);
            all.push(Trajectory {
                forward: log_forward.exp(),
                backward: (log_reward - Self::log_z() + log_backward).exp(),
                log_weight: log_reward + log_backward - log_forward,
                score: score.to_vec(),
            });
            return;
        }
        let sites: Vec<usize> = if self.fixed { vec![step] } else { (0..SITES).filter(|&s| state[s] == 0.0).collect() };
        for &site in &sites {
            let inputs = [state[0], state[1], state[2], 1.0];
            let row = |value: usize| (2 * site + value) * inputs.len();
            let logits = [0, 1].map(|value| -> f64 {
                inputs.iter().zip(&self.parameters[row(value)..]).map(|(input, weight)| input * weight).sum()
            });
            let probabilities = logits.map(|logit| logit.exp() / (logits[0].exp() + logits[1].exp()));
            for value in 0..2 {
                let mut score = score.to_vec();
                for other in 0..2 {
                    let slope = if other == value { 1.0 } else { 0.0 } - probabilities[other];
                    for (input, derivative) in inputs.iter().zip(&mut score[row(other)..]) {
                        *derivative += slope * input;
                    }
                }
                state[site] = if value == 1 { 1.0 } else { -1.0 };
                let forward = log_forward + (probabilities[value] / sites.len() as f64).ln();
                let backward = log_backward - if self.fixed { 0.0 } else { ((step + 1) as f64).ln() };
                self.extend(state, step + 1, forward, backward, &score, all);
                state[site] = 0.0;
            }
        }
    }

    /// The derivative by each parameter of a function of all trajectories, by central differences.
    fn differentiate(&self, of: impl Fn(&[Trajectory]) -> f64) -> Vec<f64> {
        let step = 1e-5;
        let at = |d: usize, by: f64| {
            let mut parameters = self.parameters.clone();
            parameters[d] += by;
            of(&Problem { fixed: self.fixed, parameters }.trajectories())
        };
        (0..PARAMETERS).map(|d| (at(d, step) - at(d, -step)) / (2.0 * step)).collect()
    }
}

/// sum over trajectories of number * score.
fn weighted_scores(all: &[Trajectory], number: impl Fn(&Trajectory) -> f64) -> Vec<f64> {
    let mut sum = vec![0.0; PARAMETERS];
    all.iter().for_each(|tau| add(&mut sum, number(tau), &tau.score));
    sum
}

fn add(sum: &mut [f64], factor: f64, values: &[f64]) {
    sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += factor * value);
}

fn scale(values: &[f64], factor: f64) -> Vec<f64> {
    values.iter().map(|value| factor * value).collect()
}

/// Gradient of KL(P_F || pi P_B) = E[-log w] + log Z. (The expectation's own derivative, E[score], is 0.)
fn reverse_kl(all: &[Trajectory]) -> Vec<f64> {
    weighted_scores(all, |tau| -tau.forward * tau.log_weight)
}

/// Gradient of KL(pi P_B || P_F).
fn forward_kl(all: &[Trajectory]) -> Vec<f64> {
    weighted_scores(all, |tau| -tau.backward)
}

fn objective(text: &str) -> Objective {
    toml::from_str::<Settings>(text).unwrap().objective(2).unwrap()
}

/// The gradient that an objective's terms of one source make of a batch, as a trainer and an engine would, naively.
fn gradient(objective: &Objective, source: Source, batch: &[&Trajectory]) -> Vec<f64> {
    let log_weights: Vec<f64> = batch.iter().map(|tau| tau.log_weight).collect();
    let mut gradient = vec![0.0; PARAMETERS];
    for term in objective.terms(Progress { iteration: 0, total: 1 }).into_iter().filter(|term| term.source == source) {
        let mut policy = of(&term, &log_weights, ZETA).policy.of_trajectories().unwrap().to_vec();
        match term.optimal() {
            None => {}
            Some(Optimal { extent: Extent::Scalar, form: Form::LeaveOneOut }) => {
                leave_one_out(&mut policy, &batch.iter().map(|tau| square(tau)).collect::<Vec<_>>());
            }
            Some(Optimal { extent, form }) => {
                let mut moments = Moments::default();
                batch.iter().zip(&policy).for_each(|(tau, c)| moments.add(*c, &tau.score));
                let part = match form {
                    Form::Batch => batch_form(&moments, extent),
                    Form::LeaveOneOut => {
                        let of =
                            |d: usize, (tau, c): (&&Trajectory, &f64)| moments.leave_one_out_term(d, *c, tau.score[d]);
                        (0..PARAMETERS).map(|d| batch.iter().zip(&policy).map(|pair| of(d, pair)).sum()).collect()
                    }
                };
                add(&mut gradient, 1.0, &part);
                continue;
            }
        }
        batch.iter().zip(policy).for_each(|(tau, c)| add(&mut gradient, c, &tau.score));
    }
    gradient
}

/// What a term makes of trajectories of which log w is known.
fn of(term: &Term, log_weights: &[f64], zeta: f64) -> Contribution {
    term.contribution(&Batch::of_log_weights(log_weights), zeta)
}

fn square(tau: &Trajectory) -> f64 {
    tau.score.iter().map(|derivative| derivative * derivative).sum()
}

/// The exact expectation of a function of a batch of independent trajectories, each with `probability`: a sum over all
/// batches. Batches that differ in their order alone are taken together, with their number as a factor.
fn expectation(
    all: &[Trajectory],
    probability: impl Fn(&Trajectory) -> f64,
    size: usize,
    of: impl Fn(&[&Trajectory]) -> Vec<f64>,
) -> Vec<f64> {
    let mut indices = vec![0; size];
    let (mut sum, mut total) = (vec![0.0; of(&vec![&all[0]; size]).len()], 0.0);
    loop {
        let batch: Vec<&Trajectory> = indices.iter().map(|&index| &all[index]).collect();
        let (mut weight, mut run) = (1.0, 0);
        for position in 0..size {
            run = if position > 0 && indices[position] == indices[position - 1] { run + 1 } else { 1 };
            // Number of orders = size! / product of (length of each run of equal indices)!.
            weight *= probability(batch[position]) * (position + 1) as f64 / f64::from(run);
        }
        total += weight;
        add(&mut sum, weight, &of(&batch));
        // The next non-decreasing list of indices.
        match indices.iter().rposition(|&index| index + 1 < all.len()) {
            Some(position) => {
                let next = indices[position] + 1;
                indices[position..].fill(next);
            }
            None => break,
        }
    }
    assert!((total - 1.0).abs() < 1e-12, "the probabilities of all batches add up to {total}");
    sum
}

/// Sums of at most 20,000 f64 terms of order one: 1e-10 leaves four digits to rounding.
const EXACT: f64 = 1e-10;
/// Central differences with a step of 1e-5: 1e-10 of truncation, 1e-16 / 1e-5 of rounding.
const DIFFERENCES: f64 = 1e-8;

#[test]
fn the_enumeration_is_complete_and_weights_average_to_z() {
    for fixed in [false, true] {
        let all = Problem::new(fixed).trajectories();
        assert_eq!(all.len(), if fixed { 8 } else { 48 });
        let sum = |of: &dyn Fn(&Trajectory) -> f64| all.iter().map(of).sum::<f64>();
        assert!((sum(&|tau| tau.forward) - 1.0).abs() < 1e-14);
        assert!((sum(&|tau| tau.backward) - 1.0).abs() < 1e-14);
        assert!((sum(&|tau| tau.forward * tau.log_weight.exp()) / Problem::log_z().exp() - 1.0).abs() < 1e-13);
        assert!(largest(&weighted_scores(&all, |tau| tau.forward)) < 1e-14);
    }
}

#[test]
fn the_exact_gradients_are_the_derivatives_of_the_divergences() {
    let problem = Problem::new(false);
    let all = problem.trajectories();
    let reverse = |all: &[Trajectory]| all.iter().map(|tau| -tau.forward * tau.log_weight).sum();
    // log w = log(p / q) + log Z.
    let forward = |all: &[Trajectory]| all.iter().map(|tau| tau.backward * tau.log_weight).sum();
    assert!(distance(&reverse_kl(&all), &problem.differentiate(reverse)) < DIFFERENCES);
    assert!(distance(&forward_kl(&all), &problem.differentiate(forward)) < DIFFERENCES);
    assert!(largest(&reverse_kl(&all)) > 0.1 && distance(&reverse_kl(&all), &forward_kl(&all)) > 0.1);
}

#[test]
fn estimators_on_forward_samples_that_claim_it_are_unbiased() {
    let all = Problem::new(false).trajectories();
    let exact = reverse_kl(&all);
    let names = [
        "none",
        "learned",
        "leave_one_out",
        "leave_one_out_log_z",
        "optimal_leave_one_out",
        "optimal_per_parameter_leave_one_out",
    ];
    let mut cases: Vec<(String, f64)> =
        names.iter().map(|name| (format!("kind = 'reverse_kl'\ncontrol_variate = '{name}'"), 1.0)).collect();
    // On-policy, the gradients of these are those of reverse KL, twice.
    cases.push(("kind = 'trajectory_balance'".into(), 2.0));
    cases.push(("kind = 'log_variance'".into(), 2.0));
    for (text, factor) in cases {
        let objective = objective(&text);
        for batch in [2, 3] {
            let found =
                expectation(&all, |tau| tau.forward, batch, |batch| gradient(&objective, Source::Forward, batch));
            let error = distance(&found, &scale(&exact, factor));
            assert!(error < EXACT, "{text}, batch {batch}: off by {error}");
        }
    }
}

#[test]
fn convex_combinations_have_the_gradient_of_the_combination() {
    let all = Problem::new(false).trajectories();
    let combined = |text: &str| {
        let objective = objective(text);
        let part = |source, probability: fn(&Trajectory) -> f64| {
            expectation(&all, probability, 2, |batch| gradient(&objective, source, batch))
        };
        let mut sum = part(Source::Forward, |tau| tau.forward);
        add(&mut sum, 1.0, &part(Source::Backward, |tau| tau.backward));
        sum
    };
    assert!(distance(&combined("kind = 'forward_kl'"), &forward_kl(&all)) < EXACT);
    for (alpha, variate) in [(0.0, "leave_one_out"), (0.3, "leave_one_out_log_z"), (0.6, "learned"), (1.0, "none")] {
        let mut exact = scale(&reverse_kl(&all), 1.0 - alpha);
        add(&mut exact, alpha, &forward_kl(&all));
        let text = format!("kind = 'alpha_kl'\nalpha = {alpha}\ncontrol_variate = '{variate}'");
        assert!(distance(&combined(&text), &exact) < EXACT, "{text}");

        // Trajectory balance off-policy: the mean of 2 (zeta - log w) score over pi P_B.
        let mut exact = scale(&reverse_kl(&all), 2.0 * (1.0 - alpha));
        add(&mut exact, alpha, &weighted_scores(&all, |tau| tau.backward * 2.0 * (ZETA - tau.log_weight)));
        assert!(distance(&combined(&format!("kind = 'alpha_tb'\nalpha = {alpha}")), &exact) < EXACT, "{alpha}");
    }
}

#[test]
fn regression_gradients_are_the_derivatives_of_their_loss() {
    // Samples from a distribution that does not move with the parameters: the loss's derivative is all there is.
    let problem = Problem::new(false);
    let all = problem.trajectories();
    let sampled: Vec<f64> = all.iter().map(|tau| tau.backward).collect();
    for loss in ["'squared'", "'half_squared'", "'huber'\ndelta = 0.8", "'linex'\nscale = 0.5", "'shifted_cosh'"] {
        let objective = objective(&format!("kind = 'regression'\nloss = {loss}"));
        let term = objective.terms(Progress { iteration: 0, total: 1 }).swap_remove(0);
        // One trajectory a batch: its loss, weighted with its probability.
        let mean = |all: &[Trajectory], zeta: f64| -> f64 {
            let losses = all.iter().map(|tau| of(&term, &[tau.log_weight], zeta).loss);
            losses.zip(&sampled).map(|(loss, probability)| probability * loss).sum()
        };
        let exact = problem.differentiate(|all| mean(all, ZETA));
        let found = expectation(&all, |tau| tau.backward, 2, |batch| gradient(&objective, Source::Forward, batch));
        // The Huber loss has a kink in its slope, but no trajectory is within 1e-5 of it.
        assert!(distance(&found, &exact) < DIFFERENCES, "{loss}");
        let derivative = (mean(&all, ZETA + 1e-5) - mean(&all, ZETA - 1e-5)) / 2e-5;
        let zetas = all.iter().map(|tau| tau.backward * of(&term, &[tau.log_weight], ZETA).zeta.unwrap());
        assert!((zetas.sum::<f64>() - derivative).abs() < DIFFERENCES, "{loss}");
    }
}

#[test]
fn linex_has_the_forward_kl_gradient_with_our_sign_only() {
    let all = Problem::new(false).trajectories();
    let log_z = Problem::log_z();
    let mean = |scale: f64| {
        let objective = objective(&format!("kind = 'regression'\nloss = 'linex'\nscale = {scale}"));
        let term = objective.terms(Progress { iteration: 0, total: 1 }).swap_remove(0);
        weighted_scores(&all, |tau| {
            tau.forward * of(&term, &[tau.log_weight], log_z).policy.of_trajectories().unwrap()[0]
        })
    };
    assert!(distance(&mean(1.0), &forward_kl(&all)) < EXACT);
    // exp(delta) - delta - 1, what feeding delta in place of -delta gives: neither that gradient nor its mirror image.
    assert!(distance(&mean(-1.0), &forward_kl(&all)) > 0.1);
    assert!(distance(&scale(&mean(-1.0), -1.0), &forward_kl(&all)) > 0.1);
}

/// Compares the bias of an estimator, times B, as B grows, with the limit that theory gives.
///
/// From batches of 4, 8 and 16, whose bias times B is limit + x/B + y/B^2 + ..., x and y are eliminated. What is left is
/// of order 1/B^3, more of it the more the weights spread: `tolerance` of the largest number of each logit's row.
fn assert_bias(text: &str, exact: &[f64], theory: &[f64], tolerance: f64, all: &[Trajectory]) {
    let objective = objective(text);
    let mut limit = vec![0.0; PARAMETERS];
    let [_, _, last] = [(4, 1.0 / 3.0), (8, -2.0), (16, 8.0 / 3.0)].map(|(batch, factor)| {
        let mean = expectation(all, |tau| tau.forward, batch, |batch| gradient(&objective, Source::Forward, batch));
        add(&mut limit, factor * batch as f64, &mean);
        add(&mut limit, -factor * batch as f64, exact);
        distance(&mean, exact) * batch as f64
    });
    println!("{text}: {} in theory, {} extrapolated, {last} at 16", largest(theory), largest(&limit));
    let scales: Vec<f64> = theory.chunks_exact(SITES + 1).flat_map(|row| [largest(row); SITES + 1]).collect();
    assert_close_at_scale(&limit, theory, &scales, tolerance, text);
}

/// Bias of -E[sum_i v_i h_i], v = u / sum u, times B: the ratio of the means of u h and u to second order,
/// -E[u^2 h] / E[u]^2 + E[u h] E[u^2] / E[u]^3, with the sign of the estimator.
fn ratio_bias(all: &[Trajectory], exponent: f64, factor: f64) -> Vec<f64> {
    let u = |tau: &Trajectory| (exponent * tau.log_weight).exp();
    let mean: f64 = all.iter().map(|tau| tau.forward * u(tau)).sum();
    let mean_square: f64 = all.iter().map(|tau| tau.forward * u(tau) * u(tau)).sum();
    let mut bias = weighted_scores(all, |tau| -tau.forward * u(tau) * u(tau) / (mean * mean));
    add(&mut bias, mean_square / mean.powi(3), &weighted_scores(all, |tau| tau.forward * u(tau)));
    scale(&bias, factor)
}

#[test]
fn self_normalised_estimators_have_the_bias_of_a_ratio() {
    let all = Problem::new(true).trajectories();
    assert_bias("kind = 'snis_forward_kl'", &forward_kl(&all), &ratio_bias(&all, 1.0, -1.0), 0.04, &all);
    for (order, tolerance) in [(0.5, 0.004), (2.0, 0.06)] {
        let factor = order / (order - 1.0);
        let power = |tau: &Trajectory| tau.forward * ((1.0 - order) * tau.log_weight).exp();
        let mean: f64 = all.iter().map(power).sum();
        let exact = weighted_scores(&all, |tau| factor * power(tau) / mean);
        let text = format!("kind = 'renyi'\ndivergence_order = {order}");
        assert_bias(&text, &exact, &ratio_bias(&all, 1.0 - order, factor), tolerance, &all);
    }
}

#[test]
fn tsallis_at_the_batch_estimate_of_log_z_has_the_bias_of_a_product() {
    let all = Problem::new(true).trajectories();
    let z = Problem::log_z().exp();
    let w = |tau: &Trajectory| tau.log_weight.exp();
    let mean = |of: &dyn Fn(&Trajectory) -> f64| -> f64 { all.iter().map(|tau| tau.forward * of(tau)).sum() };
    for (order, tolerance) in [(0.5, 0.02), (2.0, 1e-3)] {
        // The estimate is W^(a-1) G with W = mean w and G unbiased, an average of (u_i - u_j) h_i, u = w^(1-a). To
        // first order the bias is (a-1) Z^(a-2) Cov(W, G) + (a-1)(a-2)/2 Z^(a-3) Var(W) E[G].
        let u = |tau: &Trajectory| w(tau).powf(1.0 - order);
        let (u_mean, variance) = (mean(&u), mean(&|tau| w(tau) * w(tau)) - z * z);
        let unscaled = weighted_scores(&all, |tau| tau.forward * u(tau));
        let mut theory = weighted_scores(&all, |tau| tau.forward * w(tau) * (u(tau) - u_mean));
        add(&mut theory, -z + 0.5 * (order - 2.0) / z * variance, &unscaled);
        let theory = scale(&theory, order * z.powf(order - 2.0));
        let exact = scale(&unscaled, order / (order - 1.0) * z.powf(order - 1.0));
        let text = format!("kind = 'tsallis'\ndivergence_order = {order}");
        assert_bias(&text, &exact, &theory, tolerance, &all);
    }
}

#[test]
fn batch_forms_of_the_optimal_control_variates_have_their_bias() {
    let all = Problem::new(true).trajectories();
    let exact = reverse_kl(&all);
    // -(1/B) E[(f + k) n h] / E[n], f = -log w, n = |h|^2 or each parameter's own h^2, k = -E[f n] / E[n].
    let theory = |n: &dyn Fn(&Trajectory, usize) -> f64| -> Vec<f64> {
        let bias = |d: usize| {
            let mean = |of: &dyn Fn(&Trajectory) -> f64| -> f64 { all.iter().map(|tau| tau.forward * of(tau)).sum() };
            let square = mean(&|tau| n(tau, d));
            let k = mean(&|tau| tau.log_weight * n(tau, d)) / square;
            -mean(&|tau| (k - tau.log_weight) * n(tau, d) * tau.score[d]) / square
        };
        (0..PARAMETERS).map(|d| if all.iter().all(|tau| n(tau, d) == 0.0) { 0.0 } else { bias(d) }).collect()
    };
    let scalar = "kind = 'reverse_kl'\ncontrol_variate = 'optimal'";
    assert_bias(scalar, &exact, &theory(&|tau, _| square(tau)), 1e-3, &all);
    let per_parameter = "kind = 'reverse_kl'\ncontrol_variate = 'optimal_per_parameter'";
    assert_bias(per_parameter, &exact, &theory(&|tau, d| tau.score[d] * tau.score[d]), 2e-3, &all);
}

#[test]
fn what_claims_no_unbiasedness_has_a_bias_that_shrinks() {
    let all = Problem::new(false).trajectories();
    let cases = [
        ("kind = 'snis_forward_kl'", forward_kl(&all)),
        ("kind = 'reverse_kl'\ncontrol_variate = 'optimal'", reverse_kl(&all)),
        ("kind = 'reverse_kl'\ncontrol_variate = 'optimal_per_parameter'", reverse_kl(&all)),
    ];
    for (text, exact) in cases {
        let objective = objective(text);
        let bias = [2, 3].map(|batch| {
            let found =
                expectation(&all, |tau| tau.forward, batch, |batch| gradient(&objective, Source::Forward, batch));
            distance(&found, &exact)
        });
        println!("{text}: {bias:?}");
        assert!(bias[0] > 1e-3 && bias[1] < bias[0], "{text}: {bias:?}");
    }
}

#[test]
fn tsallis_at_a_constant_log_z_is_unbiased_and_renyi_is_the_derivative_of_its_divergence() {
    let problem = Problem::new(false);
    let all = problem.trajectories();
    for order in [0.5, 2.0, 3.0] {
        // Unbiased for the divergence at the log Z it is given, the true one or another.
        for log_z in [Problem::log_z(), 0.4] {
            let divergence = |all: &[Trajectory]| -> f64 {
                let power = |tau: &Trajectory| tau.forward * ((1.0 - order) * (tau.log_weight - log_z)).exp();
                (all.iter().map(power).sum::<f64>() - 1.0) / (order - 1.0)
            };
            let coefficients = |batch: &[&Trajectory]| {
                let log_weights: Vec<f64> = batch.iter().map(|tau| tau.log_weight).collect();
                tsallis(&log_weights, order, log_z)
            };
            let found = expectation(
                &all,
                |tau| tau.forward,
                2,
                |batch| {
                    let mut gradient = vec![0.0; PARAMETERS];
                    let policy = coefficients(batch).0;
                    batch.iter().zip(policy).for_each(|(tau, c)| add(&mut gradient, c, &tau.score));
                    gradient
                },
            );
            let exact = problem.differentiate(divergence);
            assert!(distance(&found, &exact) < DIFFERENCES, "order {order}, log Z {log_z}");
            let loss = expectation(&all, |tau| tau.forward, 2, |batch| vec![coefficients(batch).1]);
            assert!((loss[0] - divergence(&all)).abs() < EXACT, "order {order}, log Z {log_z}");
        }
        // Renyi is a ratio of means, so only its limit of large batches is exact: the whole of E[u h] / E[u].
        let renyi = |all: &[Trajectory]| -> f64 {
            let power = |tau: &Trajectory| tau.forward * ((1.0 - order) * tau.log_weight).exp();
            all.iter().map(power).sum::<f64>().ln() / (order - 1.0)
        };
        let power = |tau: &Trajectory| tau.forward * ((1.0 - order) * tau.log_weight).exp();
        let mean: f64 = all.iter().map(power).sum();
        let limit = weighted_scores(&all, |tau| order / (order - 1.0) * power(tau) / mean);
        assert!(distance(&limit, &problem.differentiate(renyi)) < DIFFERENCES, "order {order}");
    }
}
