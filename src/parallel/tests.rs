//! Trainings on threads as ranks against the same ones alone.

use std::sync::Arc;
use std::thread;

use super::threads::threads;
use super::{Ranks, Shared, blocks_of, rows_of};
use crate::config::{Config, Inputs};
use crate::engine::cpu::CpuEngine;
use crate::engine::{Batch, Coefficients, Differentiate, Engine, EngineError, Roll, Rollout, Tree};
use crate::network::{Activation, Arrangement, Initialisation, Layout, initialise};
use crate::process::{Objects, Order, SiteFilling, Trajectories};
use crate::random::{Draw, Stream};
use crate::stop::{Reason, Stop};
use crate::targets::Target;
use crate::targets::ising::Ising;
use crate::{Builder, Trainer};

/// What `lead` makes of the ranks on rank 0, the others doing what `follow` says.
fn on_ranks<T>(count: usize, lead: impl FnOnce(Ranks) -> T, follow: impl Fn(Ranks) + Sync) -> T {
    let mut all = threads(count).into_iter().map(Ranks::new);
    let first = all.next().expect("a rank");
    thread::scope(|scope| {
        for ranks in all {
            let follow = &follow;
            scope.spawn(move || follow(ranks));
        }
        lead(first)
    })
}

/// All that a training of some iterations leaves: parameters, log Z, losses, and an evaluation's log-weights.
fn outcome(mut trainer: Trainer) -> (Vec<f64>, Option<f64>, Vec<f64>, Vec<f64>) {
    let mut losses = Vec::new();
    while !trainer.is_done() {
        let step = trainer.step().expect("a step");
        assert!(!step.skipped);
        losses.push(step.loss);
        losses.extend(step.energy.map(|energy| energy.gradient_norm));
    }
    assert!(losses.len() >= 3);
    let (batch, objects) = trainer.evaluate_forward(7, 5, 200).expect("an evaluation");
    assert_eq!(objects.count(), 200);
    let weights = if trainer.target().has_reward() { batch.log_weights() } else { batch.log_forward };
    (trainer.parameters(), trainer.zeta(), losses, weights)
}

#[test]
fn any_number_of_ranks_gives_the_same_bits() {
    let ising = "target = { kind = 'ising', side = 3, coupling = 0.4 }\nengine = { kind = 'cpu' }\n";
    let grid = "target = { kind = 'hypergrid', dimensions = 2, height = 4 }\nengine = { kind = 'cpu' }\n";
    let density = "target = { kind = 'density', data = '2spirals', bits = 8, mode = ";
    let cases = [
        format!("{ising}objective = {{ kind = 'trajectory_balance' }}\npolicy = {{ guided = true }}"),
        format!("{ising}objective = {{ kind = 'reverse_kl', control_variate = 'leave_one_out' }}"),
        format!("{ising}objective = {{ kind = 'reverse_kl', control_variate = 'optimal_leave_one_out' }}"),
        format!("{ising}objective = {{ kind = 'reverse_kl', control_variate = 'optimal_per_parameter' }}"),
        format!("{ising}objective = {{ control_variate = 'optimal_per_parameter_leave_one_out' }}"),
        format!("{ising}objective = {{ kind = 'alpha_kl', alpha = 0.5 }}\nevaluation = {{ average = 0.9 }}"),
        format!("{ising}objective = {{ kind = 'forward_kl' }}\npolicy = {{ order = 'learned' }}"),
        format!("{grid}objective = {{ kind = 'detailed_balance' }}\npolicy = {{ backward = 'learned' }}"),
        format!("{grid}objective = {{ kind = 'flow_matching' }}"),
        format!(
            "{grid}objective = {{ kind = 'trajectory_balance' }}\nreplay = {{ capacity = 500, fraction = 0.4 }}\n\
             exploration = {{ epsilon = 0.1 }}"
        ),
        format!("{density}'joint', hidden = [8] }}\nengine = {{ kind = 'cpu' }}"),
        format!("{density}'data' }}\nengine = {{ kind = 'cpu' }}\nobjective = {{ kind = 'forward_kl' }}"),
    ];
    for text in cases {
        // Four full blocks and one of 44 trajectories; then one block, that only one rank has.
        for batch in [300, 40] {
            let changes =
                [format!("training.batch={batch}"), "training.iterations=3".into(), "policy.hidden=[16]".into()];
            let config = Config::parse(&text, &changes).unwrap_or_else(|error| panic!("{text}: {error}"));
            let builder = || Builder::of(&config, Inputs::Files).expect("a target");
            let alone = outcome(builder().build().expect("a trainer").0);
            for count in 1..=4 {
                let lead = |ranks| outcome(builder().ranks(ranks).build().expect("a trainer").0);
                let found = on_ranks(count, lead, |ranks| builder().ranks(ranks).serve());
                assert!(found == alone, "{count} ranks, batch {batch}: {text}");
            }
        }
    }
}

#[test]
fn shares_are_whole_blocks_and_everything_is_somebodys() {
    for (ranks, count) in [(1, 0), (3, 1), (3, 64), (4, 300), (2, 1024), (5, 641)] {
        let shares: Vec<_> = (0..ranks).map(|rank| rows_of(rank, ranks, count)).collect();
        assert_eq!((shares[0].start, shares[ranks - 1].end), (0, count));
        assert!(
            shares.windows(2).all(|pair| pair[0].end == pair[1].start && pair[0].end % 64 * (count - pair[0].end) == 0)
        );
        let blocks: Vec<_> = (0..ranks).map(|rank| blocks_of(rank, ranks, count.div_ceil(64)).len()).collect();
        assert!(blocks.iter().max().unwrap() - blocks.iter().min().unwrap() <= 1);
        assert!(count == 0 || blocks[0] > 0, "rank 0 has the first block");
    }
}

/// An Ising model on 3 x 3 sites, and engines for it.
struct Setting {
    process: Arc<SiteFilling>,
    target: Arc<dyn Target>,
    layout: Layout,
}

impl Setting {
    fn new() -> Self {
        let target = Arc::new(Ising::new(3, 0.4).unwrap());
        let process = SiteFilling { sites: 9, values: 2, order: Order::Uniform, encoding: target.encoding() };
        Self { process: Arc::new(process), target, layout: Layout::new(9, &[16], 18) }
    }

    fn engine(&self) -> Box<dyn Engine> {
        let (layout, process) = (self.layout.clone(), SiteFilling::clone(&self.process));
        let engine = CpuEngine::<f64>::new(process, layout, Activation::Tanh, self.target.clone(), u64::MAX);
        Box::new(engine.expect("an engine"))
    }

    fn shared(&self, engine: Box<dyn Engine>, ranks: Ranks) -> Result<Shared, EngineError> {
        Shared::new(engine, self.process.clone(), self.target.clone(), ranks)
    }

    fn serve(&self, ranks: Ranks, engine: Result<Box<dyn Engine>, EngineError>) {
        super::serve(ranks, self.target.clone(), || engine);
    }
}

#[test]
fn an_engine_of_ranks_does_all_that_an_engine_does() {
    let setting = Setting::new();
    let parameters = initialise(&setting.layout, Initialisation::FanIn, 4, Stream::Initialisation);
    let draw = Draw { first_trajectory: 11, ..Draw::new(3, 2, Stream::Training) };
    let run = |mut engine: Box<dyn Engine>| {
        engine.set_parameters(&parameters).unwrap();
        let batch = engine.rollout(&Rollout::sample(draw, 200).kept().with_steps(true)).unwrap();
        let (trajectories, objects) = (engine.trajectories().unwrap(), engine.objects().unwrap());
        let coefficients: Vec<f64> = (0..200).map(|i| (f64::from(i) * 0.7).sin()).collect();
        let moments = engine.moments(&coefficients).unwrap();
        let numbers = [
            engine.square_norms().unwrap(),
            engine.gradient(&coefficients).unwrap(),
            engine.leave_one_out_gradient(&coefficients, &moments).unwrap(),
            engine.log_reward(&objects).unwrap(),
        ];
        assert!(numbers.iter().flatten().any(|&number| number != 0.0));
        let wrong = engine.gradient(&coefficients[1..]).expect_err("too few").to_string();
        let replayed = engine.rollout(&Rollout::replay(draw, &trajectories)).unwrap();
        let loose = engine.gradient(&coefficients).expect_err("not kept").to_string();
        let none = engine.reward_gradient(&objects, &coefficients).expect_err("no network").to_string();
        let empty = engine.rollout(&Rollout::sample(draw, 0).kept()).unwrap();
        assert_eq!((empty.count(), engine.held()), (0, 0));
        (batch, trajectories, objects, moments, numbers, replayed, [wrong, loose, none])
    };
    let alone = run(setting.engine());
    for count in 2..=5 {
        let lead = |ranks| run(Box::new(setting.shared(setting.engine(), ranks).expect("ranks alike")));
        let found = on_ranks(count, lead, |ranks| setting.serve(ranks, Ok(setting.engine())));
        assert!(found == alone, "{count} ranks");
    }
}

/// An engine that fails at what its name says.
struct Failing(Box<dyn Engine>, &'static str);

impl Failing {
    fn at(&self, what: &str) -> Result<(), EngineError> {
        if self.1 == what { Err(EngineError::Device(format!("no {what}"))) } else { Ok(()) }
    }
}

impl Roll for Failing {
    fn name(&self) -> String {
        self.0.name()
    }

    fn adapter(&self) -> String {
        self.0.adapter()
    }

    fn rollout(&mut self, request: &Rollout) -> Result<Batch, EngineError> {
        self.at("rollout")?;
        self.0.rollout(request)
    }

    fn trajectories(&mut self) -> Result<Trajectories, EngineError> {
        self.0.trajectories()
    }

    fn objects(&mut self) -> Result<Objects, EngineError> {
        self.0.objects()
    }

    fn log_reward(&mut self, objects: &Objects) -> Result<Vec<f64>, EngineError> {
        self.0.log_reward(objects)
    }

    fn reward_gradient(&mut self, objects: &Objects, coefficients: &[f64]) -> Result<Vec<f64>, EngineError> {
        self.0.reward_gradient(objects, coefficients)
    }
}

impl Differentiate for Failing {
    fn arrangement(&self) -> &Arrangement {
        self.0.arrangement()
    }

    fn load(&mut self, arranged: &[f64]) -> Result<(), EngineError> {
        self.0.load(arranged)
    }

    fn accumulate(&mut self, coefficients: &Coefficients, total: &mut [f64]) -> Result<(), EngineError> {
        self.0.accumulate(coefficients, total)
    }

    fn held(&self) -> usize {
        self.0.held()
    }

    fn leaves(&self, blocks: usize) -> usize {
        self.0.leaves(blocks)
    }

    fn add_leaves(&mut self, of: crate::engine::Summand, tree: &mut Tree) -> Result<(), EngineError> {
        self.at("gradient")?;
        self.0.add_leaves(of, tree)
    }
}

#[test]
fn what_fails_on_any_rank_is_the_error_of_rank_0_and_all_go_on() {
    let setting = Setting::new();
    let parameters = initialise(&setting.layout, Initialisation::FanIn, 4, Stream::Initialisation);
    let request = Rollout::sample(Draw::new(3, 2, Stream::Training), 500).kept();
    for failing in 0..4 {
        for what in ["rollout", "gradient"] {
            let of = |rank: usize, engine| -> Box<dyn Engine> {
                if rank == failing { Box::new(Failing(engine, what)) } else { engine }
            };
            let lead = |ranks| {
                let mut shared = setting.shared(of(0, setting.engine()), ranks).expect("ranks alike");
                shared.set_parameters(&parameters).expect("parameters");
                for _ in 0..2 {
                    let outcome = shared.rollout(&request).and_then(|_| shared.gradient(&[1.0; 500]));
                    let message = outcome.expect_err("a rank fails").to_string();
                    let said = if failing == 0 { format!("no {what}") } else { format!("rank {failing}: no {what}") };
                    assert_eq!(message, said);
                }
            };
            let follow = |ranks: Ranks| {
                let rank = ranks.communicator.rank();
                setting.serve(ranks, Ok(of(rank, setting.engine())));
            };
            on_ranks(4, lead, follow);
        }
    }
}

#[test]
fn a_rank_without_an_engine_or_with_another_one_is_refused() {
    let setting = Setting::new();
    let refused = |engine: &(dyn Fn() -> Result<Box<dyn Engine>, EngineError> + Sync)| {
        let lead = |ranks| setting.shared(setting.engine(), ranks).err().expect("refused").to_string();
        on_ranks(3, lead, |ranks: Ranks| {
            let odd = ranks.communicator.rank() == 2;
            setting.serve(ranks, if odd { engine() } else { Ok(setting.engine()) });
        })
    };
    assert_eq!(refused(&|| Err(EngineError::NoAdapter("no adapter".into()))), "rank 2: no adapter");
    let other = || -> Result<Box<dyn Engine>, EngineError> {
        let (layout, process) = (setting.layout.clone(), SiteFilling::clone(&setting.process));
        Ok(Box::new(CpuEngine::<f32>::new(process, layout, Activation::Tanh, setting.target.clone(), u64::MAX)?))
    };
    let message = refused(&other);
    assert!(message.contains("native f64 and rank 2 has native f32"), "{message}");
}

#[test]
fn a_signal_to_any_rank_is_told_to_rank_0() {
    let setting = Setting::new();
    let stop = Stop::default();
    let lead = |ranks: Ranks| {
        let mut shared = setting.shared(setting.engine(), ranks.heeding(&stop)).expect("ranks alike");
        shared.set_parameters(&vec![0.1; setting.layout.parameters()]).expect("parameters");
    };
    let follow = |ranks: Ranks| {
        let raised = Stop::default();
        if ranks.communicator.rank() == 2 {
            raised.raise(Reason::Resubmit);
        }
        setting.serve(ranks.heeding(&raised), Ok(setting.engine()));
    };
    on_ranks(3, lead, follow);
    assert_eq!(stop.reason(), Some(Reason::Resubmit));
}
