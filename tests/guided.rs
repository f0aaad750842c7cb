//! Guided policies: increments of the target's intermediate log-reward on the logits, against enumeration and between engines.
//! Those on a GPU need an adapter; a software one is enough.

mod common;

use std::sync::Arc;

use common::compare::{assert_close_at_scale, largest};
use common::{Setting, Wave, coefficients};
use wgflow::config::Config;
use wgflow::engine::cpu::CpuEngine;
use wgflow::engine::gpu::{AdapterKind, GpuEngine, GpuOptions, Tiling};
use wgflow::engine::{Differentiate, Engine, EngineError, Given, Roll, Rollout};
use wgflow::metrics::log_sum_exp;
use wgflow::network::{Activation, Real};
use wgflow::process::{Filled, Guide, GuideKernel, Guided, NO_ACTION, Objects, Order, Process, Trajectories};
use wgflow::random::{Draw, Stream};
use wgflow::targets::Target;
use wgflow::targets::ising::Ising;
use wgflow::trainer::{Builder, Trainer};

const DRAW: Draw = Draw { seed: 4, iteration: 2, stream: Stream::Training, first_trajectory: 0 };

/// The pairs of neighbouring sites of [`Wave`] that are both set: a table over (site, value, value of the next site).
#[derive(Debug)]
struct Pairs {
    sites: usize,
    values: usize,
    table: Vec<f64>,
}

impl Pairs {
    /// With `forbids`, the last value is never to follow itself.
    fn of(wave: &Wave, forbids: bool) -> Self {
        let Wave { sites, values } = *wave;
        let pair = |i: usize, a: usize, b: usize| (1.3 * a as f64 + 2.1 * b as f64 + i as f64).sin();
        let places =
            (0..sites - 1).flat_map(|i| (0..values * values).map(move |both| (i, both / values, both % values)));
        let table = places.map(|(i, a, b)| if forbids && a == values - 1 && b == a { -1e30 } else { pair(i, a, b) });
        Self { sites, values, table: table.collect() }
    }

    fn pair(&self, site: usize, first: usize, second: usize) -> f64 {
        self.table[(site * self.values + first) * self.values + second]
    }
}

impl Guide for Pairs {
    fn increments(&self, filled: Filled, site: usize, increments: &mut [f64]) {
        let set = |site: usize| filled.value(site).map(usize::from);
        for (value, increment) in increments.iter_mut().enumerate() {
            let before =
                if site > 0 { set(site - 1).map_or(0.0, |other| self.pair(site - 1, other, value)) } else { 0.0 };
            let last = site == self.sites - 1;
            let after = if last { 0.0 } else { set(site + 1).map_or(0.0, |other| self.pair(site, value, other)) };
            // Two forbidden pairs are no worse than one.
            *increment = (before + after).max(-1e30);
        }
    }

    fn kernel(&self) -> Option<GuideKernel> {
        let source = "
            fn pair(site: u32, first: u32, second: u32) -> f32 {
                if first == UNFILLED || second == UNFILLED {
                    return 0.0;
                }
                return guide_parameter((site * VALUES + first) * VALUES + second);
            }

            fn log_reward_increment(filled: Filled, site: u32, value: u32) -> f32 {
                var sum = 0.0;
                if site > 0u {
                    sum += pair(site - 1u, filled_value(filled, site - 1u), value);
                }
                if site < SITES - 1u {
                    sum += pair(site, value, filled_value(filled, site + 1u));
                }
                return max(sum, -1e30);
            }";
        Some(GuideKernel::new(source, self.table.iter().map(|&number| number as f32).collect()))
    }
}

/// A setting and its process with a guide.
struct Case {
    setting: Setting,
    guide: Arc<dyn Guide>,
}

impl Case {
    fn ising(side: usize, order: Order, activation: Activation) -> Self {
        let target = Arc::new(Ising::new(side, 0.3).unwrap());
        let guide = target.guide().unwrap();
        Self { setting: Setting::new(target, order, &[16, 24], activation), guide }
    }

    fn wave(sites: usize, values: usize, order: Order, forbids: bool) -> Self {
        let guide = Arc::new(Pairs::of(&Wave { sites, values }, forbids));
        Self { setting: Setting::wave(sites, values, order, &[24], Activation::Swish), guide }
    }

    fn process(&self) -> Arc<dyn Process> {
        Arc::new(Guided::new(self.setting.process.clone(), self.guide.clone()))
    }

    fn native<T: Real>(&self) -> CpuEngine<T> {
        let Setting { layout, activation, target, .. } = self.setting.clone();
        let mut engine = CpuEngine::new(self.process(), layout, activation, target, u64::MAX).unwrap();
        engine.set_parameters(&self.setting.parameters()).unwrap();
        engine
    }

    fn gpu(&self, options: GpuOptions) -> Result<GpuEngine, EngineError> {
        let Setting { layout, activation, target, .. } = self.setting.clone();
        let options = GpuOptions { adapter: std::env::var("WGFLOW_ADAPTER").ok(), ..options };
        GpuEngine::new(self.process(), layout, activation, target, options)
    }

    /// All trajectories that there are.
    fn trajectories(&self) -> Trajectories {
        let process = self.process();
        let mut rows = vec![(vec![0; process.state_words()], Vec::new())];
        for _ in 0..process.sites() {
            let step = |(state, row): (Vec<u32>, Vec<u32>)| {
                let allowed: Vec<u32> = (0..process.actions() as u32).filter(|&a| process.allows(&state, a)).collect();
                let process = &process;
                allowed.into_iter().map(move |action| {
                    let (mut state, mut row) = (state.clone(), row.clone());
                    process.advance(&mut state, action);
                    row.push(action);
                    (state, row)
                })
            };
            rows = rows.into_iter().flat_map(step).collect();
        }
        Trajectories::from_rows(process.max_steps(), rows.into_iter().map(|(_, row)| row))
    }
}

fn replay(trajectories: &Trajectories) -> Rollout<'_> {
    Rollout::replay(DRAW, trajectories).kept()
}

/// Small enough to go through all trajectories: 512, 3! * 27, 2^4 with a pair that is forbidden.
fn enumerable() -> Vec<Case> {
    vec![
        Case::ising(3, Order::Fixed, Activation::Elu),
        Case::wave(3, 3, Order::Uniform, false),
        Case::wave(4, 2, Order::Fixed, true),
    ]
}

/// What is added along a trajectory comes to log R, whatever the order.
#[test]
fn increments_add_up_to_log_r() {
    let mut seen = 0;
    for case in [Case::ising(3, Order::Uniform, Activation::Relu), Case::ising(4, Order::Uniform, Activation::Relu)] {
        let process = case.process();
        let mut engine = case.native::<f64>();
        let log_reward = engine.rollout(&Rollout::sample(DRAW, 50)).unwrap().log_reward;
        let trajectories = engine.trajectories().unwrap();
        for (row, expected) in log_reward.into_iter().enumerate() {
            let mut state = vec![0; process.state_words()];
            let mut sum = 0.0;
            for &action in trajectories.row(row).iter().filter(|&&action| action != NO_ACTION) {
                let mut increments = [0.0; 2];
                case.guide.increments(Filled::new(&state), action as usize / 2, &mut increments);
                sum += increments[action as usize % 2];
                process.advance(&mut state, action);
            }
            assert_close_at_scale(&[sum], &[expected], &[10.0], 1e-13, "the sum of increments");
            seen += 1;
        }
    }
    assert_eq!(seen, 100);
}

#[test]
fn probabilities_of_all_trajectories_add_up_and_follow_the_guided_softmax() {
    for case in enumerable() {
        let trajectories = case.trajectories();
        let log_forward = case.native::<f64>().rollout(&replay(&trajectories)).unwrap().log_forward;
        assert_close_at_scale(&[log_sum_exp(&log_forward)], &[0.0], &[1.0], 1e-12, "log of the sum of P_F");
        // With a network that says nothing, the policy is the guide's: a chain whose pairs in the fixed order are all known.
        let mut silent = case.native::<f64>();
        silent.set_parameters(&vec![0.0; case.setting.layout.parameters()]).unwrap();
        let log_forward = silent.rollout(&replay(&trajectories)).unwrap().log_forward;
        let filling = &case.setting.process;
        for (row, &found) in log_forward.iter().enumerate() {
            let mut state = vec![0; filling.state_words()];
            let mut expected = filling.log_order(0);
            for &action in trajectories.row(row) {
                let (site, value) = (action as usize / filling.values, action as usize % filling.values);
                let mut increments = vec![0.0; filling.values];
                case.guide.increments(Filled::new(&state), site, &mut increments);
                expected += increments[value] - log_sum_exp(&increments);
                filling.advance(&mut state, action);
            }
            assert_close_at_scale(&[found], &[expected], &[expected.abs().max(1.0)], 1e-12, "log P_F");
        }
        assert!(!log_forward.is_empty());
    }
}

/// sum P_F c h is the gradient of sum P_F c where c does not depend on the policy: by central differences, and 0 for c = 1.
#[test]
fn gradients_over_all_trajectories_are_those_of_expectations() {
    for case in enumerable() {
        let trajectories = case.trajectories();
        let mut engine = case.native::<f64>();
        let parameters = case.setting.parameters();
        let c: Vec<f64> = (0..trajectories.count()).map(|i| (0.7 * i as f64).cos()).collect();
        let expectation = |engine: &mut CpuEngine<f64>, parameters: &[f64]| {
            engine.set_parameters(parameters).unwrap();
            let log_forward = engine.rollout(&replay(&trajectories)).unwrap().log_forward;
            let probabilities: Vec<f64> = log_forward.iter().map(|log| log.exp()).collect();
            let mean: f64 = probabilities.iter().zip(&c).map(|(p, c)| p * c).sum();
            (mean, probabilities)
        };
        let (_, probabilities) = expectation(&mut engine, &parameters);
        let none = engine.gradient(&probabilities).unwrap();
        assert!(largest(&none) < 1e-13, "{}", largest(&none));
        let weighted: Vec<f64> = probabilities.iter().zip(&c).map(|(p, c)| p * c).collect();
        let gradient = engine.gradient(&weighted).unwrap();
        assert!(largest(&gradient) > 1e-3);
        for index in (0..parameters.len()).step_by(parameters.len() / 40) {
            let mut at = |shift: f64| {
                let mut shifted = parameters.clone();
                shifted[index] += shift;
                expectation(&mut engine, &shifted).0
            };
            let difference = (at(1e-5) - at(-1e-5)) / 2e-5;
            // Third derivative times 1e-10, rounding 1e-16 / 1e-5.
            assert_close_at_scale(&[gradient[index]], &[difference], &[1.0], 1e-9, &format!("parameter {index}"));
        }
    }
}

#[test]
fn what_is_forbidden_is_never_made() {
    for order in [Order::Fixed, Order::Uniform] {
        let case = Case::wave(6, 2, order, true);
        for engine in [&mut case.native::<f32>() as &mut dyn Engine, &mut case.gpu(GpuOptions::default()).unwrap()] {
            engine.set_parameters(&case.setting.parameters()).unwrap();
            let batch = engine.rollout(&Rollout::sample(DRAW, 300)).unwrap();
            assert!(batch.log_forward.iter().all(|log| log.is_finite() && *log > -50.0));
            let objects = engine.objects().unwrap();
            assert_eq!(objects.count(), 300);
            assert!(
                objects.rows().all(|object| object.windows(2).all(|pair| pair != [1, 1])),
                "two last values in a row"
            );
        }
    }
}

fn assert_follows(found: &mut dyn Engine, case: &Case) {
    let mut double = case.native::<f64>();
    double.rollout(&Rollout::sample(DRAW, 70)).unwrap();
    let trajectories = double.trajectories().unwrap();
    let c = coefficients(70);
    for scored_from in [0, 2] {
        let given = Given { trajectories: &trajectories, scored_from, sampled_from: trajectories.max_steps() };
        let request = Rollout {
            draw: DRAW,
            count: 70,
            given: Some(given),
            keep: true,
            stepwise: true,
            behaviour: Default::default(),
        };
        let (expected, batch) = (double.rollout(&request).unwrap(), found.rollout(&request).unwrap());
        // As for plain policies: some roundings of logits a step.
        assert_close_at_scale(&batch.log_forward, &expected.log_forward, &[10.0; 70], 2e-6, "log P_F");
        assert_eq!(batch.log_backward, expected.log_backward);
        let (steps, of) = (expected.steps.unwrap(), batch.steps.unwrap());
        assert_close_at_scale(&of.log_forward, &steps.log_forward, &vec![5.0; steps.log_forward.len()], 2e-6, "steps");
        assert_eq!(of.log_backward, steps.log_backward);
        let (gradient, expected) = (found.gradient(&c).unwrap(), double.gradient(&c).unwrap());
        let scale = vec![largest(&expected); expected.len()];
        assert_close_at_scale(&gradient, &expected, &scale, 1e-5, "gradient");
    }
}

fn compared() -> Vec<Case> {
    vec![
        Case::ising(4, Order::Uniform, Activation::Swish),
        Case::ising(3, Order::Fixed, Activation::Tanh),
        Case::wave(7, 3, Order::Uniform, false),
        Case::wave(5, 2, Order::Fixed, false),
    ]
}

#[test]
fn f32_follows_f64() {
    for case in compared() {
        assert_follows(&mut case.native::<f32>(), &case);
    }
}

#[test]
fn the_gpu_follows_f64() {
    for (index, case) in compared().into_iter().enumerate() {
        let kind = if index % 2 == 0 { AdapterKind::Software } else { AdapterKind::Discrete };
        // With room for all steps, or for one: then the steps run again in chains.
        for memory_budget in [1 << 28, 0] {
            let options =
                GpuOptions { tiling: Some(Tiling::suggested(kind, 24)), memory_budget, ..GpuOptions::default() };
            let mut engine = case
                .gpu(options)
                .unwrap_or_else(|error| panic!("{error}: to run the GPU tests, install mesa-vulkan-drivers"));
            engine.set_parameters(&case.setting.parameters()).unwrap();
            assert_follows(&mut engine, &case);
        }
        // What it samples it scores alike, and what the native engine samples with the same numbers is the same.
        let mut engine = case.gpu(GpuOptions::default()).unwrap();
        engine.set_parameters(&case.setting.parameters()).unwrap();
        let sampled = engine.rollout(&Rollout::sample(DRAW, 70)).unwrap().log_forward;
        let trajectories = engine.trajectories().unwrap();
        let replayed = engine.rollout(&replay(&trajectories)).unwrap().log_forward;
        assert_eq!(sampled, replayed);
        let mut double = case.native::<f64>();
        double.rollout(&Rollout::sample(DRAW, 70)).unwrap();
        let expected = double.trajectories().unwrap();
        let same = (0..70).filter(|&row| expected.row(row) == trajectories.row(row)).count();
        assert!(same >= 69, "{same} of 70 trajectories");
    }
}

/// A guide that a GPU cannot follow, or whose WGSL is wrong.
#[derive(Debug)]
struct Native(Option<&'static str>);

impl Guide for Native {
    fn increments(&self, _: Filled, _: usize, _: &mut [f64]) {}

    fn kernel(&self) -> Option<GuideKernel> {
        self.0.map(|source| GuideKernel::new(source, Vec::new()))
    }
}

#[test]
fn guides_that_a_gpu_cannot_follow_are_refused_with_the_reason() {
    let refused = |source| {
        let case = Case { guide: Arc::new(Native(source)), ..Case::wave(3, 2, Order::Fixed, false) };
        case.gpu(GpuOptions::default()).map(drop).expect_err("refused").to_string()
    };
    let message = refused(None);
    assert!(message.contains("Guide::kernel") && message.contains("policy.guided = false"), "{message}");
    let message =
        refused(Some("\nfn log_reward_increment(filled: Filled, site: u32, value: u32) -> f32 {\n return gone; }"));
    assert!(message.contains("line 3") && message.contains("gone"), "{message}");
    let message = refused(Some(
        "fn rollout() {} fn log_reward_increment(filled: Filled, site: u32, value: u32) -> f32 { return 0.0; }",
    ));
    assert!(message.contains("`rollout` is a name that wgflow uses"), "{message}");
}

const GUIDED: &str = "target = { kind = 'ising', side = 3, coupling = 0.5 }
policy = { hidden = [16, 16], guided = true, order = 'fixed', initialisation = 'fan_in' }
objective = { kind = 'reverse_kl', control_variate = 'leave_one_out' }
optimizer = { learning_rate = 1e-2 }
training = { iterations = 60, batch = 64 }
engine = { kind = 'cpu' }";

fn trainer(changes: &[&str]) -> Trainer {
    let changes: Vec<String> = changes.iter().map(ToString::to_string).collect();
    let config = Config::parse(GUIDED, &changes).unwrap();
    Builder::of(&config, wgflow::config::Inputs::Files).unwrap().build().unwrap().0
}

#[test]
fn a_guided_training_resumes_bit_for_bit_and_its_exact_distribution_is_that_of_its_samples() {
    for (order, engine) in [("fixed", "cpu"), ("uniform", "cpu"), ("fixed", "gpu")] {
        let changes = [format!("policy.order={order}"), format!("engine.kind={engine}")];
        let changes: Vec<&str> = changes.iter().map(String::as_str).collect();
        let mut whole = trainer(&changes);
        let mut first = trainer(&changes);
        while whole.iteration() < 60 {
            whole.step().unwrap();
        }
        while first.iteration() < 23 {
            first.step().unwrap();
        }
        let mut second = trainer(&changes);
        second.restore(&first.checkpoint()).unwrap();
        while second.iteration() < 60 {
            second.step().unwrap();
        }
        assert_eq!(second.parameters(), whole.parameters(), "{order}, {engine}");

        let found = wgflow::evaluate(&mut whole, 8192).unwrap().evaluation;
        let exact = found.exact.expect("nine sites are few");
        // In the fixed order an object has one trajectory, so that the gap of the ELBO is the exact divergence; in the uniform
        // one it is an upper bound. Five standard errors.
        let gap = found.log_z_exact.unwrap() - found.elbo;
        let (divergence, error) = (exact.kl_model_to_target, 5.0 * found.elbo_standard_error + 1e-6);
        assert!(gap > divergence - error, "{order}: {gap} and {divergence}");
        assert!(gap < divergence + error || order == "uniform", "{order}: {gap} and {divergence}");
        assert!(divergence < 0.2, "{order}: {divergence}");
    }
}

#[test]
fn a_guide_that_is_not_there_is_asked_for_by_name() {
    let config =
        "target = { kind = 'density', mode = 'data', data = 'moons', bits = 8 }\nobjective = { kind = 'forward_kl' }";
    let config = Config::parse(config, &["policy.guided=true".into()]).unwrap();
    let error = Builder::of(&config, wgflow::config::Inputs::Files).unwrap().build().err().unwrap().to_string();
    assert!(error.contains("policy.guided = true") && error.contains("Target::guide"), "{error}");
}

/// The objects of a guided policy whose network says nothing, at a coupling far beyond the critical one, are of both signs.
#[test]
fn an_untrained_guided_policy_keeps_both_modes() {
    let target = Arc::new(Ising::new(8, 1.0).unwrap());
    let guide = target.guide().unwrap();
    let case = Case { setting: Setting::new(target, Order::Fixed, &[8], Activation::Relu), guide };
    let mut engine = case.native::<f64>();
    engine.set_parameters(&vec![0.0; case.setting.layout.parameters()]).unwrap();
    engine.rollout(&Rollout::sample(DRAW, 400)).unwrap();
    let objects: Objects = engine.objects().unwrap();
    let up = objects.rows().filter(|object| object.iter().filter(|&&value| value == 1).count() > 32).count();
    assert!((100..300).contains(&up), "{up} of 400 are up");
}
