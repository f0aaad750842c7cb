//! A process and an objective of one's own, on the native engine: trajectories of several lengths that end with a stop, and
//! coefficients of single steps. Nothing of the engines or the trainer knows of either.

mod common;

use std::sync::Arc;

use common::compare::{assert_close, assert_close_at_scale};
use common::grid::Hills;
use wgflow::config::Settings;
use wgflow::engine::cpu::CpuEngine;
use wgflow::engine::{Batch, Coefficients, Differentiate, EngineError, Given, Roll, Rollout, StepCoefficients};
use wgflow::evaluation::evaluate;
use wgflow::network::{Activation, Initialisation, Layout, Real, initialise};
use wgflow::objective::{Contribution, Estimator, Objective, Own, OwnEstimator, Source};
use wgflow::process::{Hypergrid, Objects, Process, Trajectories};
use wgflow::random::{Draw, Stream};
use wgflow::trainer::{Builder, Trainer};

/// Reverse KL with, for each step, no more than what comes after it: what came before does not depend on the choice, so it
/// adds variance alone. c_t = (sum over s >= t of (log P_F - log P_B) - log R - baseline) / B, the baseline being the mean
/// over the other trajectories of their whole sum, if there is one.
#[derive(Debug)]
struct RewardToGo {
    baseline: bool,
}

impl OwnEstimator for RewardToGo {
    fn contribution(&self, weight: f64, batch: &Batch, _: f64) -> Contribution {
        let steps = batch.steps.as_ref().expect("asked for");
        let count = batch.count();
        let log_weights = batch.log_weights();
        let total: f64 = log_weights.iter().sum();
        let mut coefficients = vec![0.0; count * steps.max_steps];
        for (row, log_weight) in log_weights.iter().enumerate() {
            let mut later = -batch.log_reward[row];
            if self.baseline {
                later += (total - log_weight) / (count as f64 - 1.0);
            }
            for t in (0..steps.lengths[row]).rev() {
                let at = row * steps.max_steps + t;
                later += steps.log_forward[at] - steps.log_backward[at];
                coefficients[at] = weight * later / count as f64;
            }
        }
        let loss = -weight * total / count as f64;
        Contribution { policy: Coefficients::Steps(coefficients.into()), zeta: None, loss }
    }

    fn needs_steps(&self) -> bool {
        true
    }
}

const DRAW: Draw = Draw { seed: 5, iteration: 2, stream: Stream::Training, first_trajectory: 0 };

fn engine<T: Real>(grid: &Hypergrid) -> (CpuEngine<T>, Layout, Vec<f64>) {
    let layout = Layout::new(grid.columns(), &[7, 5], grid.actions());
    let parameters = initialise(&layout, Initialisation::FanIn, 3, Stream::Initialisation);
    let process: Arc<dyn Process> = Arc::new(grid.clone());
    let mut engine =
        CpuEngine::new(process, layout.clone(), Activation::Swish, Arc::new(Hills(grid.clone())), u64::MAX).unwrap();
    engine.set_parameters(&parameters).unwrap();
    (engine, layout, parameters)
}

/// Every trajectory there is.
fn all(grid: &Hypergrid) -> Trajectories {
    fn go_on(grid: &Hypergrid, state: &[u32], actions: &[u32], found: &mut Vec<Vec<u32>>) {
        for action in (0..grid.actions() as u32).filter(|&action| grid.allows(state, action)) {
            let (mut next, actions) = (state.to_vec(), [actions, &[action]].concat());
            if grid.advance(&mut next, action).ends {
                found.push(actions);
            } else {
                go_on(grid, &next, &actions, found);
            }
        }
    }
    let mut found = Vec::new();
    go_on(grid, &vec![0; grid.state_words()], &[], &mut found);
    Trajectories::from_rows(grid.max_steps(), found)
}

#[test]
fn probabilities_of_all_trajectories_add_up_to_one_both_ways() {
    let grid = Hypergrid::new(2, 3);
    let (mut engine, ..) = engine::<f64>(&grid);
    let all = all(&grid);
    assert_eq!(all.count(), 19);
    let batch = engine.rollout(&Rollout::replay(DRAW, &all).with_steps(true)).unwrap();
    let total: f64 = batch.log_forward.iter().map(|log| log.exp()).sum();
    assert!((total - 1.0).abs() < 1e-12, "{total}");
    // Backward, from each of the nine points.
    let objects = engine.objects().unwrap();
    for point in Objects::numbered(2, 3, 0..9).rows() {
        let of = (0..all.count()).filter(|&row| objects.row(row) == point);
        let total: f64 = of.map(|row| batch.log_backward[row].exp()).sum();
        assert!((total - 1.0).abs() < 1e-12, "{point:?}: {total}");
    }
    let steps = batch.steps.expect("asked for");
    for row in 0..all.count() {
        assert_eq!(steps.lengths[row], all.row(row).len());
        let of = row * steps.max_steps..(row + 1) * steps.max_steps;
        for (single, whole) in [(&steps.log_forward, &batch.log_forward), (&steps.log_backward, &batch.log_backward)] {
            assert!((single[of.clone()].iter().sum::<f64>() - whole[row]).abs() < 1e-12);
            assert!(single[of.clone()][all.row(row).len()..].iter().all(|&log| log == 0.0));
        }
    }
}

#[test]
fn gradients_are_central_differences_and_statistics_follow_the_definition() {
    let grid = Hypergrid::new(2, 3);
    let (mut engine, layout, parameters) = engine::<f64>(&grid);
    let all = all(&grid);
    let count = all.count();
    let by_step: Vec<f64> = (0..count * grid.max_steps()).map(|i| (1.3 * i as f64).sin()).collect();
    let request = Rollout::replay(DRAW, &all).kept().with_steps(true);
    engine.rollout(&request).unwrap();
    let mut total = vec![0.0; engine.arrangement().length()];
    engine.accumulate(&Coefficients::Steps(by_step.clone().into()), &mut total).unwrap();
    let gradient = engine.arrangement().restore(&total);
    let mut weighted = |parameters: &[f64]| -> f64 {
        engine.set_parameters(parameters).unwrap();
        let steps = engine.rollout(&request).unwrap().steps.unwrap();
        steps.log_forward.iter().zip(&by_step).map(|(log, c)| c * log).sum()
    };
    let mut checked = 0;
    for index in 0..layout.parameters() {
        let mut at = |shift: f64| {
            let mut shifted = parameters.clone();
            shifted[index] += shift;
            weighted(&shifted)
        };
        // Third derivative times 1e-10, rounding 1e-14 / 1e-5.
        let difference = (at(1e-5) - at(-1e-5)) / 2e-5;
        assert!((gradient[index] - difference).abs() < 1e-8, "{index}: {} {difference}", gradient[index]);
        checked += 1;
    }
    assert!(checked > 100);

    // Statistics of single trajectories, against a gradient for each.
    engine.set_parameters(&parameters).unwrap();
    engine.rollout(&request).unwrap();
    let coefficients: Vec<f64> = (0..count).map(|i| (0.7 * i as f64).cos()).collect();
    let mut definition = common::hooked::Hooked::by_definition(engine);
    let expected = definition.moments(&coefficients).unwrap();
    let norms = definition.square_norms().unwrap();
    let left_out = definition.leave_one_out_gradient(&coefficients, &expected).unwrap();
    let mut engine = definition.engine;
    let found = engine.moments(&coefficients).unwrap();
    for (found, expected, what) in [
        (&found.sum, &expected.sum, "sum h"),
        (&found.weighted_sum, &expected.weighted_sum, "sum c h"),
        (&found.squares, &expected.squares, "sum h^2"),
        (&found.weighted_squares, &expected.weighted_squares, "sum c h^2"),
    ] {
        assert_close(found, expected, 1e-12, what);
    }
    assert_close_at_scale(&engine.square_norms().unwrap(), &norms, &norms, 1e-12, "norms");
    assert_close(&engine.leave_one_out_gradient(&coefficients, &found).unwrap(), &left_out, 1e-9, "leave-one-out");
}

#[test]
fn coefficients_of_steps_have_the_expectation_of_those_of_trajectories() {
    let grid = Hypergrid::new(2, 3);
    let (mut engine, ..) = engine::<f64>(&grid);
    let all = all(&grid);
    let batch = engine.rollout(&Rollout::replay(DRAW, &all).kept().with_steps(true)).unwrap();
    let probabilities: Vec<f64> = batch.log_forward.iter().map(|log| log.exp()).collect();
    let count = all.count() as f64;
    let Coefficients::Steps(StepCoefficients { forward: mut to_go, .. }) =
        RewardToGo { baseline: false }.contribution(count, &batch, 0.0).policy
    else {
        panic!("coefficients of steps")
    };
    to_go
        .chunks_exact_mut(grid.max_steps())
        .zip(&probabilities)
        .for_each(|(row, p)| row.iter_mut().for_each(|c| *c *= p));
    let whole = batch.log_weights().iter().zip(&probabilities).map(|(log_weight, p)| -p * log_weight).collect();
    let mut gradient = |coefficients: Coefficients| {
        let mut total = vec![0.0; engine.arrangement().length()];
        engine.accumulate(&coefficients, &mut total).unwrap();
        total
    };
    let (found, expected) = (gradient(Coefficients::Steps(to_go.into())), gradient(Coefficients::Trajectories(whole)));
    assert!(expected.iter().any(|derivative| derivative.abs() > 1e-3));
    assert_close(&found, &expected, 1e-12, "the gradient of reverse KL");
}

#[test]
fn samples_and_replays_agree_whatever_the_memory_and_bad_trajectories_are_refused() {
    let grid = Hypergrid::new(3, 4);
    let (mut engine, ..) = engine::<f32>(&grid);
    let sampled = engine.rollout(&Rollout::sample(DRAW, 150).kept()).unwrap();
    let trajectories = engine.trajectories().unwrap();
    let lengths: Vec<usize> = (0..150).map(|row| trajectories.row(row).len()).collect();
    assert!(lengths.iter().any(|&length| length < 4) && lengths.iter().any(|&length| length > 5), "{lengths:?}");
    let coefficients: Vec<f64> = (0..150).map(|i| (0.3 * f64::from(i)).sin()).collect();
    let gradient = engine.gradient(&coefficients).unwrap();
    let replayed = engine.rollout(&Rollout::replay(DRAW, &trajectories).kept()).unwrap();
    assert_eq!(replayed, sampled);
    assert_eq!(engine.gradient(&coefficients).unwrap(), gradient);
    // The rest sampled again, with the same words, after two steps that are given.
    let given = Given { trajectories: &trajectories, scored_from: 0, sampled_from: 2 };
    let request = Rollout {
        draw: DRAW,
        count: 150,
        given: Some(given),
        keep: false,
        stepwise: false,
        behaviour: Default::default(),
    };
    assert_eq!(engine.rollout(&request).unwrap(), sampled);
    assert_eq!(engine.trajectories().unwrap(), trajectories);

    for (row, word) in [
        (vec![0, 0, 0, 0, 3], "not allowed at step 3"),
        (vec![0, 1], "does not end"),
        (vec![3, 0], "after its end"),
        (vec![4], "not below 4"),
    ] {
        let bad = Trajectories::from_rows(grid.max_steps(), [row]);
        let Err(EngineError::Limit(message)) = engine.rollout(&Rollout::replay(DRAW, &bad)) else { panic!("{word}") };
        assert!(message.contains(word), "{message}");
    }
}

fn trained(objective: Option<Objective>, text: &str) -> Trainer {
    let grid = Hypergrid::new(2, 5);
    let settings: Settings = toml::from_str(&format!(
        "seed = 1\npolicy = {{ hidden = [32, 32], initialisation = 'fan_in' }}\nengine = {{ kind = 'cpu' }}\n\
         training = {{ iterations = 600, batch = 64 }}\n\
         optimizer = {{ learning_rate = 1e-2, zeta_learning_rate = 0.1, schedule = 'cosine' }}\n{text}"
    ))
    .unwrap();
    let builder = Builder::new(&settings, Arc::new(Hills(grid.clone()))).process(grid);
    let builder = match objective {
        Some(objective) => builder.objective(objective),
        None => builder,
    };
    let (mut trainer, _) = builder.build().unwrap();
    while !trainer.is_done() {
        assert!(!trainer.step().unwrap().skipped);
    }
    trainer
}

#[test]
fn training_finds_the_exact_log_z() {
    let own = Objective::of(Source::Forward, Estimator::Own(Own::new(RewardToGo { baseline: true })));
    for (mut trainer, what) in [
        (trained(None, "objective = { kind = 'trajectory_balance' }"), "trajectory balance"),
        (
            trained(
                None,
                "objective = { kind = 'reverse_kl', control_variate = 'optimal_per_parameter_leave_one_out' }",
            ),
            "optimal",
        ),
        (trained(Some(own), ""), "reward to go"),
    ] {
        let found = evaluate(&mut trainer, 4096).unwrap().evaluation;
        let exact = found.log_z_exact.unwrap();
        assert!((0.0..0.03).contains(&(exact - found.elbo)), "{what}: ELBO {} of {exact}", found.elbo);
        assert!((found.log_z_estimate - exact).abs() < 5.0 * found.log_z_standard_error.max(1e-3), "{what}");
    }
}
