//! Policies that say P_B and the flow through states as well: both engines, for the hypergrid and for filling sites.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::Wave;
use common::compare::{assert_close, assert_close_at_scale, assert_layers_close, largest};
use wgflow::config::Settings;
use wgflow::engine::cpu::CpuEngine;
use wgflow::engine::gpu::{GpuEngine, GpuOptions};
use wgflow::engine::{BLOCK, Coefficients, Differentiate, Engine, Given, Roll, Rollout, StepCoefficients};
use wgflow::evaluation::enumerate;
use wgflow::metrics::log_sum_exp;
use wgflow::network::{Activation, Initialisation, Layout, Real, initialise};
use wgflow::process::{
    Encoding, Extras, Flow, FreeFilling, Hypergrid, Objects, Order, Process, SiteFilling, Trajectories,
};
use wgflow::random::{Draw, Stream};
use wgflow::targets::Target;
use wgflow::trainer::Builder;

const DRAW: Draw = Draw { seed: 5, iteration: 2, stream: Stream::Training, first_trajectory: 0 };
/// Two blocks, the second one not full.
const COUNT: usize = BLOCK + 6;
const BOTH: Extras = Extras { learned_backward: true, flow: Flow::Output };
const STOPPING: Extras = Extras { learned_backward: true, flow: Flow::Stop };

fn free(sites: usize, values: usize, order: Order, encoding: Encoding, extras: Extras) -> Arc<dyn Process> {
    Arc::new(FreeFilling { filling: SiteFilling { sites, values, order, encoding }, extras })
}

/// Small enough to go through every trajectory.
fn small() -> Vec<Arc<dyn Process>> {
    let spins = Encoding::Scalar { unset: 0.0, codes: vec![-1.0, 1.0] };
    vec![
        Arc::new(Hypergrid { extras: BOTH, ..Hypergrid::new(2, 3) }),
        Arc::new(Hypergrid { extras: STOPPING, ..Hypergrid::new(2, 3) }),
        free(3, 2, Order::Uniform, spins.clone(), BOTH),
        free(2, 3, Order::Uniform, Encoding::OneHot, BOTH),
        free(3, 2, Order::Uniform, spins.clone(), Extras::default()),
        free(3, 2, Order::Fixed, spins, Extras { flow: Flow::Output, ..Extras::default() }),
    ]
}

/// For kernels: masks of more than a word among them.
fn large() -> Vec<Arc<dyn Process>> {
    let spins = Encoding::Scalar { unset: 0.0, codes: vec![-1.0, 1.0] };
    vec![
        Arc::new(Hypergrid { extras: BOTH, ..Hypergrid::new(3, 4) }),
        Arc::new(Hypergrid { extras: STOPPING, ..Hypergrid::new(3, 4) }),
        free(9, 2, Order::Uniform, spins.clone(), BOTH),
        free(5, 7, Order::Uniform, Encoding::OneHot, Extras { flow: Flow::Output, ..Extras::default() }),
        free(5, 3, Order::Uniform, Encoding::OneHot, Extras { learned_backward: true, ..Extras::default() }),
        free(6, 2, Order::Fixed, spins, Extras { flow: Flow::Output, ..Extras::default() }),
    ]
}

fn layout(process: &dyn Process) -> Layout {
    Layout::new(process.columns(), &[24, 16], process.outputs())
}

fn parameters(process: &dyn Process) -> Vec<f64> {
    let fan_in = initialise(&layout(process), Initialisation::FanIn, 3, Stream::Initialisation);
    fan_in.iter().map(|value| f64::from((2.0 * value) as f32)).collect()
}

fn target(process: &dyn Process) -> Arc<dyn Target> {
    Arc::new(Wave { sites: process.sites(), values: process.values() })
}

fn native<T: Real>(process: &Arc<dyn Process>, budget: u64) -> CpuEngine<T> {
    let layout = layout(process.as_ref());
    let mut engine =
        CpuEngine::new(process.clone(), layout, Activation::Swish, target(process.as_ref()), budget).unwrap();
    engine.set_parameters(&parameters(process.as_ref())).unwrap();
    engine
}

fn gpu(process: &Arc<dyn Process>, memory_budget: u64) -> GpuEngine {
    let adapter = std::env::var("WGFLOW_ADAPTER").ok();
    let options = GpuOptions { adapter, memory_budget, ..GpuOptions::default() };
    let layout = layout(process.as_ref());
    let mut engine = GpuEngine::new(process.clone(), layout, Activation::Swish, target(process.as_ref()), options)
        .unwrap_or_else(|error| panic!("{error}: to run the GPU tests, install the package mesa-vulkan-drivers"));
    engine.set_parameters(&parameters(process.as_ref())).unwrap();
    engine
}

/// Every trajectory there is.
fn all(process: &dyn Process) -> Trajectories {
    fn follow(process: &dyn Process, state: &[u32], so_far: &[u32], rows: &mut Vec<Vec<u32>>) {
        for action in (0..process.actions() as u32).filter(|&action| process.allows(state, action)) {
            let (mut after, mut row) = (state.to_vec(), so_far.to_vec());
            row.push(action);
            if process.advance(&mut after, action).ends { rows.push(row) } else { follow(process, &after, &row, rows) }
        }
    }
    let mut rows = Vec::new();
    follow(process, &vec![0; process.state_words()], &[], &mut rows);
    Trajectories::from_rows(process.max_steps(), rows)
}

fn coefficients(count: usize) -> StepCoefficients {
    let list = |phase: f64| (0..count).map(|i| (1.7 * i as f64 + phase).sin() / count as f64).collect();
    StepCoefficients { forward: list(0.3), backward: list(1.3), flow: list(2.3) }
}

fn gradient(engine: &mut dyn Engine, coefficients: &StepCoefficients) -> Vec<f64> {
    let mut total = vec![0.0; engine.arrangement().length()];
    engine.accumulate(&Coefficients::Steps(coefficients.clone()), &mut total).unwrap();
    engine.arrangement().restore(&total)
}

#[test]
fn probabilities_forward_and_backward_sum_to_one() {
    for process in small() {
        let all = all(process.as_ref());
        let mut engine = native::<f64>(&process, u64::MAX);
        let batch = engine.rollout(&Rollout::replay(DRAW, &all).with_steps(true)).unwrap();
        assert!((log_sum_exp(&batch.log_forward)).abs() < 1e-12, "{process:?}");
        let objects = engine.objects().unwrap();
        let mut by_object: BTreeMap<&[u8], Vec<f64>> = BTreeMap::new();
        for (object, &log) in objects.rows().zip(&batch.log_backward) {
            by_object.entry(object).or_default().push(log);
        }
        assert_eq!(by_object.len(), process.values().pow(process.sites() as u32));
        for (object, logs) in by_object {
            assert!(log_sum_exp(&logs).abs() < 1e-12, "{process:?} {object:?}");
        }
        let steps = batch.steps.unwrap();
        assert_eq!(
            steps.log_flow.len(),
            if process.flow() == Flow::Unsaid { 0 } else { all.count() * steps.max_steps }
        );
        for row in 0..all.count() {
            let of = row * steps.max_steps..(row + 1) * steps.max_steps;
            for (single, whole) in
                [(&steps.log_forward, &batch.log_forward), (&steps.log_backward, &batch.log_backward)]
            {
                assert!((single[of.clone()].iter().sum::<f64>() - whole[row]).abs() < 1e-12);
                assert!(single[of.clone()][steps.lengths[row]..].iter().all(|&log| log == 0.0));
            }
        }
    }
}

#[test]
fn gradients_are_central_differences() {
    for process in small() {
        let all = all(process.as_ref());
        let mut engine = native::<f64>(&process, u64::MAX);
        let (layout, parameters) = (layout(process.as_ref()), parameters(process.as_ref()));
        let c = coefficients(all.count() * process.max_steps());
        for scored_from in [0, 1] {
            let given = Given { trajectories: &all, scored_from, sampled_from: process.max_steps() };
            let request = Rollout { given: Some(given), ..Rollout::replay(DRAW, &all) }.kept().with_steps(true);
            engine.set_parameters(&parameters).unwrap();
            engine.rollout(&request).unwrap();
            let found = gradient(&mut engine, &c);
            let mut weighted = |parameters: &[f64]| -> f64 {
                engine.set_parameters(parameters).unwrap();
                let steps = engine.rollout(&request).unwrap().steps.unwrap();
                let pairs = [&steps.log_forward, &steps.log_backward, &steps.log_flow].into_iter().zip(c.lists());
                pairs.map(|(logs, c)| logs.iter().zip(c).map(|(log, c)| c * log).sum::<f64>()).sum()
            };
            let mut checked = 0;
            for index in (0..layout.parameters()).step_by(3) {
                let mut at = |shift: f64| {
                    let mut shifted = parameters.clone();
                    shifted[index] += shift;
                    weighted(&shifted)
                };
                let difference = (at(1e-5) - at(-1e-5)) / 2e-5;
                // A third derivative times 1e-10, and rounding 1e-15 / 1e-5.
                assert!((found[index] - difference).abs() < 1e-8, "{process:?} {index}: {} {difference}", found[index]);
                checked += 1;
            }
            assert!(checked > 100);
        }
    }
}

#[test]
fn engines_in_f32_follow_f64() {
    for process in large() {
        let mut double = native::<f64>(&process, u64::MAX);
        double.rollout(&Rollout::sample(DRAW, COUNT)).unwrap();
        let trajectories = double.trajectories().unwrap();
        let c = coefficients(COUNT * process.max_steps());
        let mut engines: [Box<dyn Engine>; 4] = [
            Box::new(native::<f32>(&process, u64::MAX)),
            Box::new(native::<f32>(&process, 0)),
            Box::new(gpu(&process, 1 << 28)),
            Box::new(gpu(&process, 0)),
        ];
        for engine in &mut engines {
            engine.rollout(&Rollout::sample(DRAW, COUNT)).unwrap();
            let found = engine.trajectories().unwrap();
            // The same words choose the same actions, but for a uniform within rounding of a threshold.
            let same = (0..COUNT).filter(|&row| found.row(row) == trajectories.row(row)).count();
            assert!(same >= COUNT - 1, "{}: {same} of {COUNT} trajectories agree", engine.name());
        }
        // What other, longer and shorter, trajectories leave behind in buffers does not count.
        for engine in &mut engines {
            engine.rollout(&Rollout::sample(Draw { iteration: 9, ..DRAW }, COUNT + 9)).unwrap();
        }
        for scored_from in [0, 2] {
            let given = Given { trajectories: &trajectories, scored_from, sampled_from: process.max_steps() };
            let request = Rollout { given: Some(given), ..Rollout::replay(DRAW, &trajectories) };
            let request = request.kept().with_steps(true);
            let expected = double.rollout(&request).unwrap();
            let told = expected.steps.as_ref().unwrap();
            let gradient_expected = gradient(&mut double, &c);
            let plain = common::coefficients(COUNT);
            let (terms, of_trajectories) = (common::term_sizes(&mut double, &plain), double.gradient(&plain).unwrap());
            for engine in &mut engines {
                let label = format!("{}: {process:?} from {scored_from}", engine.name());
                let found = engine.rollout(&request).unwrap();
                assert_eq!(found.log_reward.len(), COUNT);
                let steps = found.steps.unwrap();
                assert_eq!(steps.lengths, told.lengths, "{label}");
                for (found, expected, what) in [
                    (&found.log_forward, &expected.log_forward, "log P_F"),
                    (&found.log_backward, &expected.log_backward, "log P_B"),
                    (&steps.log_forward, &told.log_forward, "log P_F of steps"),
                    (&steps.log_backward, &told.log_backward, "log P_B of steps"),
                    (&steps.log_flow, &told.log_flow, "log F"),
                ] {
                    if expected.is_empty() {
                        assert!(found.is_empty() && what == "log F", "{label}: {what}");
                        continue;
                    }
                    let scales: Vec<f64> = expected.iter().map(|log| log.abs().max(1.0)).collect();
                    assert_close_at_scale(found, expected, &scales, 3e-6, &format!("{label}: {what}"));
                }
                let found = gradient(engine.as_mut(), &c);
                // Sums over some tens of steps of products at the end of a few layers.
                let tolerance = 64.0 * f64::from(f32::EPSILON);
                let scales = vec![largest(&gradient_expected); gradient_expected.len()];
                assert_close_at_scale(&found, &gradient_expected, &scales, tolerance, &label);
                // That of log P_F alone does not know of the rest.
                let found = engine.gradient(&plain).unwrap();
                assert_layers_close(&layout(process.as_ref()), &found, &of_trajectories, &terms, tolerance, &label);
            }
        }
    }
}

fn settings(text: &str) -> Settings {
    toml::from_str(&format!(
        "seed = 1\npolicy = {{ hidden = [32, 32], initialisation = 'fan_in', order = 'learned', backward = 'learned' }}\n\
         engine = {{ kind = 'cpu' }}\ntraining = {{ iterations = 300, batch = 64 }}\n\
         optimizer = {{ learning_rate = 5e-3, zeta_learning_rate = 0.1, schedule = 'cosine' }}\n{text}"
    ))
    .unwrap()
}

#[test]
fn backward_trajectories_are_samples_of_the_learned_p_b() {
    let filling = SiteFilling { sites: 3, values: 2, order: Order::Uniform, encoding: Encoding::OneHot };
    backward_trajectories_are_samples(FreeFilling { filling, extras: BOTH });
    backward_trajectories_are_samples(Hypergrid { extras: BOTH, ..Hypergrid::new(2, 4) });
}

fn backward_trajectories_are_samples(process: impl Process + Clone + 'static) {
    let target = target(&process);
    let mut settings = settings("objective = { kind = 'detailed_balance' }");
    settings.policy.order = Default::default();
    let builder = Builder::new(&settings, target);
    let (mut trainer, _) = builder.process(process.clone()).build().unwrap();
    for _ in 0..60 {
        trainer.step().unwrap();
    }
    // The object that most trajectories lead to.
    let object = vec![process.values() as u8 - 1; process.sites()];
    let count = 20_000;
    let objects = Objects::new(process.sites(), object.repeat(count));
    let batch = trainer.evaluate_backward(7, 0, &objects).unwrap();
    let taken = trainer.engine().trajectories().unwrap();
    assert_eq!(process.finish(&taken), objects);
    let mut seen: BTreeMap<Vec<u32>, (usize, f64)> = BTreeMap::new();
    for row in 0..count {
        let entry = seen.entry(taken.row(row).to_vec()).or_insert((0, batch.log_backward[row]));
        entry.0 += 1;
    }
    let mut uneven = false;
    let mut total = 0.0;
    let ways = seen.len() as f64;
    for (found, log_backward) in seen.values() {
        let (p, found) = (log_backward.exp(), *found as f64 / count as f64);
        assert!((found - p).abs() < 5.0 * (p / count as f64).sqrt(), "{process:?}: {found} {p}");
        uneven |= (p * ways - 1.0).abs() > 0.05;
        total += p;
    }
    assert!(uneven && (total - 1.0).abs() < 0.02, "{process:?}: P_B has learned nothing, or {total}");

    // The mean of P_F / P_B over them is the probability of the object.
    let ratios: Vec<f64> = batch
        .log_forward
        .iter()
        .zip(&batch.log_backward)
        .map(|(forward, backward)| (forward - backward).exp())
        .collect();
    let mean = ratios.iter().sum::<f64>() / count as f64;
    let error = (ratios.iter().map(|ratio| (ratio - mean).powi(2)).sum::<f64>()).sqrt() / count as f64;
    let exact = enumerate(&mut trainer, |_| Ok(())).unwrap();
    let index = object.iter().rev().fold(0, |index, &value| index * process.values() + usize::from(value));
    let expected = exact.log_probabilities[index].exp();
    assert!(error > 0.0 && (mean - expected).abs() < 5.0 * error + 1e-5, "{process:?}: {mean} {expected} {error}");
    assert_close(&[log_sum_exp(&exact.log_probabilities)], &[0.0], 1e-5, "the policy's probabilities");
}
