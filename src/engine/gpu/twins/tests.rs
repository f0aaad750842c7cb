use super::*;
use crate::engine::gpu::link::KERNELS;
use crate::engine::gpu::network::Input;
use crate::engine::gpu::tests::Dense;
use crate::engine::gpu::tiling::Tiling;
use crate::engine::gpu::{GpuEngine, GpuOptions, KernelSet};
use crate::engine::resident::{Launch, Plan, Resident, State};
use crate::engine::{AdapterKind, Behaviour, Coefficients, Differentiate, Given, Roll, Rollout, StepCoefficients};
use crate::grid::Hills;
use crate::network::{Initialisation, Layout, initialise};
use crate::objective::{ControlVariate, Estimator, Loss};
use crate::process::{Encoding, Extras, Flow, Guided, Hypergrid, Order, Process, SiteFilling};
use crate::random::{Draw, Stream};
use crate::targets::ising::Ising;

const DRAW: Draw = Draw { seed: 3, iteration: 7, stream: Stream::Training, first_trajectory: 0 };
/// Two blocks, the second one not full.
const COUNT: usize = BLOCK + 6;

/// An engine and what it was made of.
struct Case {
    process: Arc<dyn Process>,
    target: Arc<dyn Target>,
    hidden: &'static [usize],
    activation: Activation,
    tiling: Tiling,
}

impl Case {
    fn layout(&self) -> Layout {
        Layout::new(self.process.columns(), self.hidden, self.process.outputs())
    }

    /// With room for all of it, which then goes back through all layers at once, or for one step of one block, layer by layer.
    fn engine(&self, kept: bool, set: KernelSet) -> GpuEngine {
        let (memory_budget, fused_below) = if kept { (1 << 28, usize::MAX) } else { (0, 0) };
        let tiling = Some(Tiling { fused_below, ..self.tiling });
        let options = GpuOptions { tiling, memory_budget, kernels: Some(set), ..GpuOptions::default() };
        let (process, layout) = (self.process.clone(), self.layout());
        GpuEngine::new(process, layout, self.activation, self.target.clone(), options)
            .unwrap_or_else(|error| panic!("{error}: to run the GPU tests, install mesa-vulkan-drivers"))
    }

    fn watched(&self, engine: &GpuEngine) -> Engine {
        let (set, memory) = (engine.network.set, engine.network.workgroup_memory);
        let network =
            |input, layout| Network::new(self.process.clone(), input, layout, self.tiling).unwrap().with(set, memory);
        let reward = self.target.network();
        Engine {
            policy: (network(Input::States, self.layout()), self.activation),
            reward: reward.map(|reward| (network(Input::Objects, reward.layout), reward.activation)),
            target: self.target.clone(),
            training: None,
        }
    }
}

fn cases() -> Vec<Case> {
    let tilings = [AdapterKind::Software, AdapterKind::Discrete].map(|kind| Tiling::suggested(kind, 24));
    let ising = Arc::new(Ising::new(3, 0.4).unwrap());
    let spins = SiteFilling { sites: 9, values: 2, order: Order::Uniform, encoding: ising.encoding() };
    let grid = Hypergrid::new(2, 4);
    let layout = Layout::new(15, &[8, 12], 1);
    let parameters = initialise(&layout, Initialisation::FanIn, 5, Stream::EnergyInitialisation);
    let dense = Arc::new(Dense(layout, parameters.into()));
    let guided = Guided::new(spins.clone(), ising.guide().unwrap());
    let letters = SiteFilling { sites: 5, values: 3, order: Order::Fixed, encoding: Encoding::OneHot };
    vec![
        Case {
            process: Arc::new(spins),
            target: ising.clone(),
            hidden: &[12, 16],
            activation: Activation::Swish,
            tiling: tilings[0],
        },
        Case {
            process: Arc::new(guided),
            target: ising,
            hidden: &[16, 8],
            activation: Activation::Relu,
            tiling: tilings[1],
        },
        Case {
            process: Arc::new(letters),
            target: dense,
            hidden: &[8],
            activation: Activation::Tanh,
            tiling: tilings[1],
        },
        Case {
            process: Arc::new(Hypergrid {
                extras: Extras { learned_backward: true, flow: Flow::Output },
                ..grid.clone()
            }),
            target: Arc::new(Hills(grid.clone())),
            hidden: &[12, 8],
            activation: Activation::Swish,
            tiling: tilings[0],
        },
        Case {
            process: Arc::new(Hypergrid { extras: Extras { flow: Flow::Stop, ..Extras::default() }, ..grid.clone() }),
            target: Arc::new(Hills(grid.clone())),
            hidden: &[8],
            activation: Activation::Tanh,
            tiling: tilings[0],
        },
        Case {
            process: Arc::new(grid.clone()),
            target: Arc::new(Hills(grid)),
            hidden: &[8, 16, 12],
            activation: Activation::Elu,
            tiling: tilings[1],
        },
    ]
}

fn coefficients(count: usize) -> Vec<f64> {
    (0..count).map(|i| (1.7 * i as f64 + 0.3).sin()).collect()
}

#[test]
fn every_kernel_does_what_its_twin_does() {
    let mut seen = BTreeSet::new();
    let ways = [KernelSet::Software, KernelSet::Hardware].map(|set| [(true, set), (false, set)]).concat();
    for (case, (kept, set)) in cases().iter().flat_map(|case| ways.iter().map(move |way| (case, *way))) {
        let mut engine = case.engine(kept, set);
        let steps = case.process.max_steps();
        let parameters = initialise(&case.layout(), Initialisation::FanIn, 9, Stream::Initialisation);
        seen.extend(watching(case.watched(&engine), || {
            engine.set_parameters(&parameters).unwrap();
            engine.rollout(&Rollout::sample(DRAW, COUNT).kept()).unwrap();
            engine.gradient(&coefficients(COUNT)).unwrap();
            // One choice in three at random, the others at twice the temperature.
            let behaviour = Behaviour { epsilon: 0.3, temperature: 2.0 };
            engine.rollout(&Rollout::sample(DRAW, COUNT).behaving(behaviour)).unwrap();
            let trajectories = engine.trajectories().unwrap();
            // From given starts on, whose steps do not count.
            let given = Given { trajectories: &trajectories, scored_from: 1, sampled_from: 2 };
            let request = Rollout {
                draw: DRAW,
                count: COUNT,
                given: Some(given),
                keep: true,
                stepwise: false,
                behaviour: Default::default(),
            };
            engine.rollout(&request).unwrap();
            let moments = engine.moments(&coefficients(COUNT)).unwrap();
            engine.leave_one_out_gradient(&coefficients(COUNT), &moments).unwrap();
            let mut gradient = vec![0.0; engine.arrangement().length()];
            let [forward, backward, flow] = [0, 1, 2].map(|first| coefficients(COUNT * steps + first).split_off(first));
            let steps = StepCoefficients { forward, backward, flow };
            engine.accumulate(&Coefficients::Steps(steps), &mut gradient).unwrap();
            if case.process.as_site_filling().is_some() {
                engine.square_norms().unwrap();
            }
            if case.target.network().is_some() {
                let objects = engine.objects().unwrap();
                engine.reward_gradient(&objects, &coefficients(COUNT)).unwrap();
            }
        }));
    }
    seen.extend(train());
    let missed: Vec<_> = KERNELS.concat().into_iter().filter(|(name, _)| !seen.contains(*name)).collect();
    assert!(missed.is_empty(), "no dispatch of {missed:?}");
}

/// Every estimator that a device knows, some iterations of each on every process that it can train.
fn train() -> BTreeSet<String> {
    let losses = [
        Loss::Squared,
        Loss::HalfSquared,
        Loss::Huber { threshold: 0.5 },
        Loss::Linex { scale: 0.5 },
        Loss::ShiftedCosh,
    ];
    let variates =
        [ControlVariate::None, ControlVariate::Learned, ControlVariate::LeaveOneOut, ControlVariate::LeaveOneOutLogZ];
    let estimators = variates.map(Estimator::ReverseKl).into_iter().chain(losses.map(Estimator::Regression)).chain([
        Estimator::SnisForwardKl,
        Estimator::Renyi { order: 0.5 },
        Estimator::Renyi { order: 2.0 },
        Estimator::Tsallis { order: 0.5 },
        Estimator::Tsallis { order: 1.5 },
        Estimator::LogVariance,
    ]);
    let trainable: Vec<_> = cases().into_iter().filter(|case| case.process.as_site_filling().is_some()).collect();
    let mut seen = BTreeSet::new();
    for (index, estimator) in estimators.enumerate() {
        let case = &trainable[index % trainable.len()];
        let plan = Plan {
            formula: estimator.formula().unwrap(),
            batch: COUNT,
            log_reward_floor: (index % 2 == 0).then_some(-0.5),
            log_prefix: 0.0,
            learning_rates: [1e-2, 0.1],
            betas: [0.9, 0.99],
            epsilon: 1e-8,
            weight_decay: 0.01,
            average: (index % 2 == 1).then_some(0.9),
            clip_norm: (index % 3 == 0).then_some(0.1),
            patience: 3,
        };
        let set = [KernelSet::Software, KernelSet::Hardware][index / trainable.len() % 2];
        let mut engine = case.engine(true, set);
        let mut watched = case.watched(&engine);
        watched.training = Some((plan.clone(), estimator));
        let arrange = |list: &[f64]| engine.arrangement().arrange(list);
        let parameters = arrange(&initialise(&case.layout(), Initialisation::FanIn, 9, Stream::Initialisation));
        let zeros = vec![0.0; parameters.len()];
        let average = plan.average.map(|_| parameters.clone());
        let state = State { parameters, average, moments: [zeros.clone(), zeros], ..State::default() };
        seen.extend(watching(watched, || {
            engine.settle(&plan).unwrap();
            engine.put(&state).unwrap();
            let launch = |iteration| Launch { draw: Draw { iteration, ..DRAW }, rate_factor: 0.5, beta: 0.75 };
            engine.launch(&[launch(0), launch(1)]).unwrap();
            assert!(engine.land().unwrap().iter().all(|landed| landed.applied));
        }));
        assert_eq!(engine.get().unwrap().steps, 2);
    }
    seen
}

#[test]
#[should_panic(expected = "after `head_backward`")]
fn a_kernel_that_does_something_else_is_found() {
    let case = &cases()[0];
    let mut engine = case.engine(true, KernelSet::Software);
    engine.set_parameters(&initialise(&case.layout(), Initialisation::FanIn, 9, Stream::Initialisation)).unwrap();
    engine.rollout(&Rollout::sample(DRAW, COUNT).kept()).unwrap();
    // The twin takes the head's rows from where the kernel does not.
    let mut watched = case.watched(&engine);
    watched.policy.0.head += 1;
    watching(watched, || drop(engine.gradient(&coefficients(COUNT))));
}
