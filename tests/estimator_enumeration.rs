//! Estimators end to end, objective, control variate and engine together, by enumeration of every batch of a problem
//! with three sites of two values.

mod common;

use common::compare::{assert_layers_close, relative_difference};
use common::{Setting, coefficients, estimate_of, left_out_sizes};
use wgflow::engine::cpu::CpuEngine;
use wgflow::engine::{Differentiate, Roll, Rollout};
use wgflow::network::Activation;
use wgflow::objective::{Settings, Term};
use wgflow::process::{Objects, Order, Trajectories};
use wgflow::random::{Draw, Stream};
use wgflow::schedule::Progress;

const DRAW: Draw = Draw { seed: 5, iteration: 0, stream: Stream::Training, first_trajectory: 0 };
/// An arbitrary learned log Z: no expectation of a policy gradient on forward samples depends on it.
const ZETA: f64 = 0.7;
/// Sums of some thousand f64 terms of order one.
const EXACT: f64 = 1e-10;

/// All trajectories of a problem, and an engine to replay them.
struct Problem {
    setting: Setting,
    engine: CpuEngine<f64>,
    all: Vec<Vec<u32>>,
    /// P_F and pi P_B of each.
    forward: Vec<f64>,
    backward: Vec<f64>,
    log_weights: Vec<f64>,
}

impl Problem {
    fn new(order: Order) -> Self {
        let setting = Setting::wave(3, 2, order, &[6, 5], Activation::Swish);
        let mut engine = setting.native::<f64>();
        let orders: &[[u32; 3]] = match order {
            Order::Fixed => &[[0, 1, 2]],
            Order::Uniform => &[[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]],
        };
        let objects = Objects::numbered(3, 2, 0..8);
        let fill =
            |object: &[u8], order: &[u32; 3]| order.map(|site| 2 * site + u32::from(object[site as usize])).to_vec();
        let all: Vec<_> =
            objects.rows().flat_map(|object| orders.iter().map(move |order| fill(object, order))).collect();
        let batch = engine.rollout(&Rollout::replay(DRAW, &Trajectories::new(3, all.concat()))).unwrap();
        let z: f64 = (0..all.len()).map(|i| (batch.log_reward[i] + batch.log_backward[i]).exp()).sum();
        let forward: Vec<f64> = batch.log_forward.iter().map(|log| log.exp()).collect();
        let backward = (0..all.len()).map(|i| (batch.log_reward[i] + batch.log_backward[i]).exp() / z).collect();
        assert!((forward.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        Self { setting, engine, all, forward, backward, log_weights: batch.log_weights() }
    }

    /// sum over all trajectories of a number times grad log P_F.
    fn weighted_scores(&mut self, numbers: &[f64]) -> Vec<f64> {
        self.engine.rollout(&Rollout::replay(DRAW, &Trajectories::new(3, self.all.concat())).kept()).unwrap();
        self.engine.gradient(numbers).unwrap()
    }

    fn reverse_kl(&mut self) -> Vec<f64> {
        let numbers: Vec<f64> =
            self.forward.iter().zip(&self.log_weights).map(|(p, log_weight)| -p * log_weight).collect();
        self.weighted_scores(&numbers)
    }

    fn forward_kl(&mut self) -> Vec<f64> {
        let numbers: Vec<f64> = self.backward.iter().map(|p| -p).collect();
        self.weighted_scores(&numbers)
    }

    /// The exact expectation of a term's gradient over batches of `size` independent trajectories with these
    /// probabilities. Batches that differ in their order alone are taken together, with their number as a factor.
    fn expectation(&mut self, term: &Term, probabilities: &[f64], size: usize) -> Vec<f64> {
        let mut sum = vec![0.0; self.setting.layout.parameters()];
        let mut indices = vec![0; size];
        loop {
            let (mut weight, mut run) = (1.0, 0);
            for position in 0..size {
                run = if position > 0 && indices[position] == indices[position - 1] { run + 1 } else { 1 };
                weight *= probabilities[indices[position]] * (position + 1) as f64 / f64::from(run);
            }
            let actions = indices.iter().flat_map(|&index| self.all[index].clone()).collect();
            let batch = self.engine.rollout(&Rollout::replay(DRAW, &Trajectories::new(3, actions)).kept()).unwrap();
            let contribution = term.contribution(&batch, ZETA);
            let gradient =
                estimate_of(&mut self.engine, contribution.policy.of_trajectories().unwrap(), term.optimal());
            sum.iter_mut().zip(gradient).for_each(|(sum, value)| *sum += weight * value);
            match indices.iter().rposition(|&index| index + 1 < self.all.len()) {
                Some(position) => {
                    let next = indices[position] + 1;
                    indices[position..].fill(next);
                }
                None => return sum,
            }
        }
    }
}

fn term(text: &str) -> Term {
    let objective = toml::from_str::<Settings>(text).unwrap().objective(2).unwrap();
    objective.terms(Progress { iteration: 0, total: 1 }).swap_remove(0)
}

fn reverse(control_variate: &str) -> Term {
    term(&format!("kind = 'reverse_kl'\ncontrol_variate = '{control_variate}'"))
}

/// Problems and sizes of batches: all batches of three of 8 trajectories, and of two of 48.
fn problems() -> [(Problem, usize); 2] {
    [(Problem::new(Order::Fixed), 3), (Problem::new(Order::Uniform), 2)]
}

#[test]
fn unbiased_estimators_have_the_exact_gradient_for_expectation() {
    for (mut problem, size) in problems() {
        let (forward, backward) = (problem.forward.clone(), problem.backward.clone());
        let exact = problem.reverse_kl();
        let unbiased = [
            "none",
            "learned",
            "leave_one_out",
            "leave_one_out_log_z",
            "optimal_leave_one_out",
            "optimal_per_parameter_leave_one_out",
        ];
        for name in unbiased {
            let found = problem.expectation(&reverse(name), &forward, size);
            assert!(relative_difference(&found, &exact) < EXACT, "{name}");
        }
        let twice: Vec<f64> = exact.iter().map(|value| 2.0 * value).collect();
        for text in ["kind = 'trajectory_balance'", "kind = 'log_variance'"] {
            let found = problem.expectation(&term(text), &forward, size);
            assert!(relative_difference(&found, &twice) < EXACT, "{text}");
        }
        let exact = problem.forward_kl();
        let found = problem.expectation(&term("kind = 'forward_kl'"), &backward, size);
        assert!(relative_difference(&found, &exact) < EXACT);
    }
}

#[test]
fn batch_forms_are_biased_and_less_so_in_larger_batches() {
    let mut problem = Problem::new(Order::Fixed);
    let forward = problem.forward.clone();
    let exact = problem.reverse_kl();
    for name in ["optimal", "optimal_per_parameter"] {
        let bias = [2, 4].map(|size| relative_difference(&problem.expectation(&reverse(name), &forward, size), &exact));
        println!("{name}: {bias:?}");
        assert!(bias[0] > 1e-2 && bias[1] < bias[0], "{name}: {bias:?}");
    }
}

#[test]
fn identities_hold_on_the_same_samples() {
    let setting = Setting::wave(9, 2, Order::Uniform, &[24, 16], Activation::Swish);
    let mut engine = setting.native::<f64>();
    let batch = engine.rollout(&Rollout::sample(DRAW, 100).kept()).unwrap();
    let mut gradient = |term: Term| {
        let contribution = term.contribution(&batch, ZETA);
        estimate_of(&mut engine, contribution.policy.of_trajectories().unwrap(), term.optimal())
    };
    let scaled = |values: Vec<f64>, factor: f64| values.iter().map(|value| factor * value).collect::<Vec<f64>>();
    let left_out = gradient(reverse("leave_one_out"));
    let cases = [
        (
            "trajectory balance",
            gradient(term("kind = 'trajectory_balance'")),
            scaled(gradient(reverse("learned")), 2.0),
        ),
        ("log-variance", gradient(term("kind = 'log_variance'")), scaled(left_out.clone(), 2.0)),
    ];
    for (name, found, expected) in cases {
        assert!(relative_difference(&found, &expected) < 1e-12, "{name}");
    }
    // Renyi's limit is centred by the batch's own mean, which is leave-one-out less a 1/B of itself; the next order in
    // a - 1 is some ten times as large as a - 1.
    for order in [1.0 - 1e-7, 1.0 + 1e-7] {
        let renyi = gradient(term(&format!("kind = 'renyi'\ndivergence_order = {order}")));
        assert!(relative_difference(&renyi, &scaled(left_out.clone(), 0.99)) < 1e-5, "order {order}");
    }
}

#[test]
fn what_all_coefficients_share_drops_out_of_the_optimal_forms_in_f32_too() {
    let setting = Setting::wave(9, 2, Order::Uniform, &[24, 16], Activation::Swish);
    let (mut double, mut single) = (setting.native::<f64>(), setting.native::<f32>());
    double.rollout(&Rollout::sample(DRAW, 100).kept()).unwrap();
    let trajectories = double.trajectories().unwrap();
    single.rollout(&Rollout::replay(DRAW, &trajectories).kept()).unwrap();
    let coefficients = coefficients(100);
    let shifted: Vec<f64> = coefficients.iter().map(|c| c + 100.0).collect();
    let terms = left_out_sizes(&mut double, &coefficients);
    for name in ["optimal", "optimal_leave_one_out", "optimal_per_parameter", "optimal_per_parameter_leave_one_out"] {
        let optimal = reverse(name).optimal();
        let expected = estimate_of(&mut double, &coefficients, optimal);
        // 100 is ten thousand times a coefficient: it costs f64 four of its sixteen digits.
        let found = estimate_of(&mut double, &shifted, optimal);
        assert_layers_close(&setting.layout, &found, &expected, &terms, 1e-11, name);
        // In f32 nothing of it may be left: roundings of sums of a hundred terms, as without it.
        let found = estimate_of(&mut single, &shifted, optimal);
        assert_layers_close(&setting.layout, &found, &expected, &terms, 64.0 * f64::from(f32::EPSILON), name);
    }
}
