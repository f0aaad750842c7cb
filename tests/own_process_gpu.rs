//! A process of one's own on the GPU: its kernels against the native engine in f64, and a training on it.

mod common;

use std::sync::Arc;

use common::compare::{assert_close_at_scale, assert_layers_close, largest};
use common::grid::Hills;
use common::{coefficients, moments_of};
use wgflow::config::Settings;
use wgflow::engine::cpu::CpuEngine;
use wgflow::engine::gpu::{GpuEngine, GpuOptions};
use wgflow::engine::{BLOCK, Coefficients, Differentiate, Engine, EngineError, Given, Roll, Rollout};
use wgflow::evaluation::evaluate;
use wgflow::network::{Activation, Initialisation, Layout, initialise};
use wgflow::process::{Hypergrid, Objects, Process, ProcessKernel, Step, Trajectories};
use wgflow::random::{Draw, Stream};
use wgflow::trainer::Builder;

const DRAW: Draw = Draw { seed: 5, iteration: 2, stream: Stream::Training, first_trajectory: 0 };
/// Two blocks, the second one not full.
const COUNT: usize = BLOCK + 6;

/// The second one has 40 actions, whose mask takes two words.
fn grids() -> [Hypergrid; 2] {
    [Hypergrid::new(3, 4), Hypergrid::new(39, 2)]
}

fn layout(grid: &Hypergrid) -> Layout {
    Layout::new(grid.columns(), &[24, 16], grid.actions())
}

fn open(process: impl Process + 'static, grid: &Hypergrid, memory_budget: u64) -> Result<GpuEngine, EngineError> {
    let adapter = std::env::var("WGFLOW_ADAPTER").ok();
    let options = GpuOptions { adapter, memory_budget, ..GpuOptions::default() };
    let process: Arc<dyn Process> = Arc::new(process);
    GpuEngine::new(process, layout(grid), Activation::Swish, Arc::new(Hills(grid.clone())), options)
}

fn parameters(grid: &Hypergrid) -> Vec<f64> {
    let fan_in = initialise(&layout(grid), Initialisation::FanIn, 3, Stream::Initialisation);
    fan_in.iter().map(|value| f64::from((2.0 * value) as f32)).collect()
}

fn gpu(grid: &Hypergrid, memory_budget: u64) -> GpuEngine {
    let mut engine = open(grid.clone(), grid, memory_budget)
        .unwrap_or_else(|error| panic!("{error}: to run the GPU tests, install the package mesa-vulkan-drivers"));
    engine.set_parameters(&parameters(grid)).unwrap();
    engine
}

fn native(grid: &Hypergrid) -> CpuEngine<f64> {
    let (process, target): (Arc<dyn Process>, _) = (Arc::new(grid.clone()), Arc::new(Hills(grid.clone())));
    let mut engine = CpuEngine::new(process, layout(grid), Activation::Swish, target, u64::MAX).unwrap();
    engine.set_parameters(&parameters(grid)).unwrap();
    engine
}

fn replay(trajectories: &Trajectories, scored_from: usize) -> Rollout<'_> {
    let given = Given { trajectories, scored_from, sampled_from: trajectories.max_steps() };
    Rollout {
        draw: DRAW,
        count: trajectories.count(),
        given: Some(given),
        keep: true,
        stepwise: true,
        behaviour: Default::default(),
    }
}

/// In the order of the policy's layout.
fn gradient(engine: &mut dyn Engine, coefficients: Coefficients) -> Vec<f64> {
    let mut total = vec![0.0; engine.arrangement().length()];
    engine.accumulate(&coefficients, &mut total).unwrap();
    engine.arrangement().restore(&total)
}

#[test]
fn samples_replays_and_gradients_follow_f64() {
    for grid in grids() {
        let (mut double, mut engine) = (native(&grid), gpu(&grid, 1 << 30));
        let sampled = engine.rollout(&Rollout::sample(DRAW, COUNT).kept()).unwrap();
        let trajectories = engine.trajectories().unwrap();
        // The same words choose the same actions, but for a uniform within rounding of a threshold.
        double.rollout(&Rollout::sample(DRAW, COUNT)).unwrap();
        let same = (0..COUNT).filter(|&row| double.trajectories().unwrap().row(row) == trajectories.row(row)).count();
        assert!(same >= COUNT - 1, "{same} of {COUNT} trajectories agree");
        assert_eq!(engine.objects().unwrap(), grid.finish(&trajectories));
        let lengths: Vec<usize> = (0..COUNT).map(|row| trajectories.row(row).len()).collect();
        assert!(lengths.iter().min() < lengths.iter().max(), "{lengths:?}");

        for scored_from in [0, 2] {
            let expected = double.rollout(&replay(&trajectories, scored_from)).unwrap();
            let found = engine.rollout(&replay(&trajectories, scored_from)).unwrap();
            if scored_from == 0 {
                assert_eq!(found.log_forward, sampled.log_forward, "a replay has the bits of its rollout");
            }
            let scales: Vec<f64> = expected.log_forward.iter().map(|log| log.abs().max(1.0)).collect();
            assert_close_at_scale(&found.log_forward, &expected.log_forward, &scales, 3e-6, "log P_F");
            assert_eq!((&found.log_backward, &found.log_reward), (&expected.log_backward, &expected.log_reward));
            let (told, expected) = (found.steps.unwrap(), expected.steps.unwrap());
            assert_eq!((told.lengths, &told.log_backward), (expected.lengths, &expected.log_backward));
            let scales: Vec<f64> = expected.log_forward.iter().map(|log| log.abs().max(1.0)).collect();
            assert_close_at_scale(&told.log_forward, &expected.log_forward, &scales, 3e-6, "log P_F of steps");

            let c = coefficients(COUNT);
            let terms = common::term_sizes(&mut double, &c);
            let (found, expected) = (engine.gradient(&c).unwrap(), double.gradient(&c).unwrap());
            // Sums over up to forty steps of products at the end of a few layers.
            let tolerance = 64.0 * f64::from(f32::EPSILON);
            assert_layers_close(&layout(&grid), &found, &expected, &terms, tolerance, "gradient");
            let each: Vec<f64> = (0..COUNT * grid.max_steps()).map(|i| (1.7 * i as f64).sin() / COUNT as f64).collect();
            let found = gradient(&mut engine, Coefficients::Steps(each.clone().into()));
            let expected = gradient(&mut double, Coefficients::Steps(each.into()));
            let scales = vec![largest(&expected); expected.len()];
            assert_close_at_scale(&found, &expected, &scales, tolerance, "gradient with coefficients of steps");
        }
    }
}

#[test]
fn statistics_follow_f64() {
    for grid in grids() {
        let (mut double, mut engine) = (native(&grid), gpu(&grid, 1 << 30));
        double.rollout(&Rollout::sample(DRAW, COUNT)).unwrap();
        let trajectories = double.trajectories().unwrap();
        double.rollout(&replay(&trajectories, 0)).unwrap();
        engine.rollout(&replay(&trajectories, 0)).unwrap();
        let c = coefficients(COUNT);
        let (found, expected) = (moments_of(&mut engine, &c), moments_of(&mut double, &c));
        let tolerance = 64.0 * f64::from(f32::EPSILON);
        for (found, expected, what) in [
            (&found.sum, &expected.sum, "sum h"),
            (&found.weighted_sum, &expected.weighted_sum, "sum c h"),
            (&found.squares, &expected.squares, "sum h^2"),
            (&found.weighted_squares, &expected.weighted_squares, "sum c h^2"),
        ] {
            let scales = vec![largest(expected); expected.len()];
            assert_close_at_scale(found, expected, &scales, tolerance, what);
        }
        let (found, expected) = (engine.square_norms().unwrap(), double.square_norms().unwrap());
        assert_close_at_scale(&found, &expected, &expected, tolerance, "square norms");
        let left_out = |engine: &mut dyn Engine| {
            let moments = engine.moments(&c).unwrap();
            let gradient = engine.leave_one_out_gradient(&c, &moments).unwrap();
            engine.arrangement().restore(&gradient)
        };
        let (found, expected) = (left_out(&mut engine), left_out(&mut double));
        // Differences of sums that share most of their terms.
        let scales = vec![largest(&expected); expected.len()];
        assert_close_at_scale(&found, &expected, &scales, 1e-3, "leave-one-out");
    }
}

#[test]
fn neither_memory_nor_prefixes_change_a_bit() {
    for grid in grids() {
        let all = |memory_budget: u64| {
            let mut engine = gpu(&grid, memory_budget);
            let batch = engine.rollout(&Rollout::sample(DRAW, 3 * BLOCK + 6).kept().with_steps(true)).unwrap();
            let trajectories = engine.trajectories().unwrap();
            let c = coefficients(3 * BLOCK + 6);
            let gradient = engine.gradient(&c).unwrap();
            // The rest is sampled again, with the same words, after two steps that are given.
            let given = Given { trajectories: &trajectories, scored_from: 0, sampled_from: 2 };
            let request = Rollout {
                draw: DRAW,
                count: trajectories.count(),
                given: Some(given),
                keep: true,
                stepwise: true,
                behaviour: Default::default(),
            };
            assert_eq!(engine.rollout(&request).unwrap(), batch);
            assert_eq!(engine.trajectories().unwrap(), trajectories);
            assert_eq!(engine.gradient(&c).unwrap(), gradient);
            (batch, trajectories, gradient)
        };
        assert_eq!(all(1 << 30), all(0));
    }
}

/// A grid whose rules in WGSL are these.
#[derive(Clone, Debug)]
struct Ruled(Hypergrid, Option<&'static str>);

impl Process for Ruled {
    fn sites(&self) -> usize {
        self.0.sites()
    }

    fn values(&self) -> usize {
        self.0.values()
    }

    fn columns(&self) -> usize {
        self.0.columns()
    }

    fn actions(&self) -> usize {
        self.0.actions()
    }

    fn max_steps(&self) -> usize {
        self.0.max_steps()
    }

    fn initial_input(&self) -> Vec<f64> {
        self.0.initial_input()
    }

    fn state_words(&self) -> usize {
        self.0.state_words()
    }

    fn allows(&self, state: &[u32], action: u32) -> bool {
        self.0.allows(state, action)
    }

    fn advance(&self, state: &mut [u32], action: u32) -> Step {
        self.0.advance(state, action)
    }

    fn object(&self, state: &[u32], values: &mut [u8]) {
        self.0.object(state, values);
    }

    fn backward(&self, objects: &Objects, draw: &Draw) -> Trajectories {
        self.0.backward(objects, draw)
    }

    fn kernel(&self) -> Option<ProcessKernel> {
        self.1.map(|source| ProcessKernel { source: source.into() })
    }
}

#[test]
fn rules_that_are_missing_or_wrong_are_refused_in_their_own_lines() {
    let [grid, _] = grids();
    let Err(EngineError::Limit(message)) = open(Ruled(grid.clone(), None), &grid, 0) else { panic!("without rules") };
    assert!(message.contains("has no WGSL") && message.contains("engine.kind"), "{message}");
    let value = "fn process_value(t: u32, site: u32) -> u32 { return 0u; }\n";
    let allows = "fn process_allows(t: u32, a: u32) -> bool { return true; }\n";
    let advance = "fn process_advance(t: u32, a: u32) -> Advance { return Advance(0u, 0.0, 0u, 0.0, true); }\n";
    let leak = |parts: &[&str]| -> &'static str { Box::leak(parts.concat().into_boxed_str()) };
    for (source, words) in [
        (leak(&[value, allows]), ["does not define `fn process_advance(", ""]),
        (
            leak(&[value, allows, "\nfn process_advance(t: u32, a: u32) -> f32 { return 0.0; }"]),
            ["line 4: ", "must be"],
        ),
        (leak(&[value, allows, advance, "fn walks(t: u32) {}"]), ["line 4: ", "`walks` is a name"]),
        (leak(&[value, allows, advance, "fn mine() { spin(); }"]), ["line 4: ", "spin"]),
    ] {
        let Err(EngineError::Kernel(message)) = open(Ruled(grid.clone(), Some(source)), &grid, 0) else {
            panic!("{source}")
        };
        assert!(words.iter().all(|word| message.contains(word)), "{message}");
    }
}

#[test]
fn training_on_the_gpu_finds_the_exact_log_z() {
    let grid = Hypergrid::new(2, 5);
    let settings: Settings = toml::from_str(
        "seed = 1\npolicy = { hidden = [32, 32], initialisation = 'fan_in' }\nengine = { kind = 'gpu' }\n\
         objective = { kind = 'log_variance' }\ntraining = { iterations = 400, batch = 64 }\n\
         optimizer = { learning_rate = 1e-2, schedule = 'cosine' }",
    )
    .unwrap();
    let (mut trainer, _) = Builder::new(&settings, Arc::new(Hills(grid.clone())))
        .process(grid)
        .build()
        .expect("an adapter, for the GPU tests");
    while !trainer.is_done() {
        assert!(!trainer.step().unwrap().skipped);
    }
    let found = evaluate(&mut trainer, 4096).unwrap().evaluation;
    let exact = found.log_z_exact.unwrap();
    assert!((0.0..0.03).contains(&(exact - found.elbo)), "ELBO {} of {exact}", found.elbo);
}
