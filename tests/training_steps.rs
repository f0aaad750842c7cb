//! An iteration is applied whole or not at all, zeta is a number of the host, samplers of data are held and resume.

#[path = "common/cli.rs"]
mod cli;
mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use common::hooked::{Answer, Call, Hooked};
use wgflow::config::Settings;
use wgflow::data::{Coding, DataSet};
use wgflow::engine::cpu::CpuEngine;
use wgflow::engine::{Batch, Rollout};
use wgflow::evaluation::evaluate;
use wgflow::joint::{self, Acceptance};
use wgflow::process::{Encoding, Objects};
use wgflow::random::{Draw, Stream};
use wgflow::targets::density::Density;
use wgflow::targets::energy_model::{self, EnergyModel};
use wgflow::targets::ising::Ising;
use wgflow::targets::{RewardNetwork, Sampler, Target, TargetError};
use wgflow::trainer::{Builder, PATIENCE, Shape, TrainError, Trainer, shape};

/// Two spirals in 8 bits with an energy model trained along, whose data come in the order of a counter.
struct Counted {
    density: Density,
}

/// Objects whose values are the bits of a running number: what comes next is the state's business, not the draw's.
struct Counter {
    count: usize,
    next: u64,
}

impl Sampler for Counter {
    fn sample(&mut self, _: &Draw) -> Objects {
        let first = self.next;
        self.next += self.count as u64;
        let bits = |number: u64| (0..8).map(move |bit| (number.wrapping_mul(0x9E37_79B9) >> (bit + 8) & 1) as u8);
        Objects::new(8, (first..self.next).flat_map(bits).collect())
    }

    fn state(&self) -> Vec<u8> {
        self.next.to_le_bytes().to_vec()
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), TargetError> {
        self.next =
            u64::from_le_bytes(state.try_into().map_err(|_| TargetError::State("eight bytes are needed".into()))?);
        Ok(())
    }
}

impl Target for Counted {
    fn sites(&self) -> usize {
        self.density.sites()
    }

    fn values(&self) -> usize {
        self.density.values()
    }

    fn encoding(&self) -> Encoding {
        self.density.encoding()
    }

    fn log_reward(&self, objects: &Objects, log_reward: &mut [f64]) {
        self.density.log_reward(objects, log_reward);
    }

    fn data(&self, count: usize) -> Option<Box<dyn Sampler>> {
        Some(Box::new(Counter { count, next: 0 }))
    }

    fn network(&self) -> Option<RewardNetwork> {
        self.density.network()
    }

    fn energy_model(&self) -> Option<Arc<EnergyModel>> {
        self.density.energy_model()
    }
}

const ITERATIONS: u32 = 12;

/// alpha-TB uses data for backward trajectories, the energy model's step for its contrast; zeta is learned.
fn settings() -> Settings {
    toml::from_str(&format!(
        "seed = 4\n\
         policy = {{ hidden = [16], initialisation = 'fan_in' }}\n\
         objective = {{ kind = 'alpha_tb', alpha = 0.5 }}\n\
         training = {{ iterations = {ITERATIONS}, batch = 70 }}"
    ))
    .unwrap()
}

fn counted() -> Arc<Counted> {
    let layout = energy_model::layout(8, &[16]);
    let model = EnergyModel::new(layout.clone(), &vec![0.0; layout.parameters()]);
    let coding = Coding::new(DataSet::TwoSpirals, 8).unwrap();
    Arc::new(Counted { density: Density::with_energy(DataSet::TwoSpirals, coding, model) })
}

/// A joint training whose engine never gets into trouble until it is told to.
fn joint_training(trouble: Call) -> (Trainer, Arc<AtomicU32>) {
    joint_training_with(trouble, || Answer::Fails)
}

/// The same, whose engine answers so at the call of this kind that a countdown reaches 0 with.
fn joint_training_with(trouble: Call, answer: fn() -> Answer) -> (Trainer, Arc<AtomicU32>) {
    let (settings, target, left) = (settings(), counted(), Arc::new(AtomicU32::new(0)));
    let Shape { process, layout, .. } = shape(&settings, target.as_ref(), None, Default::default()).unwrap();
    let engine = CpuEngine::<f64>::new(process, layout, settings.policy.activation, target.clone(), u64::MAX);
    let countdown = left.clone();
    let engine = Box::new(Hooked::new(engine.unwrap(), move |call| {
        let reached = call == trouble && countdown.fetch_sub(1, Ordering::SeqCst) == 1;
        if reached { answer() } else { Answer::Engine }
    }));
    let training =
        joint::Settings { acceptance: Acceptance::Barker, horizon: 20, learning_rate: 1e-2, warm_start: false };
    (Builder::new(&settings, target).energy_training(training).build_on(engine).unwrap(), left)
}

fn run(trainer: &mut Trainer, until: u32) {
    while trainer.iteration() < until {
        trainer.step().unwrap();
    }
}

/// What the engine itself says of a fixed batch: it tells whose parameters it has.
fn answer(trainer: &mut Trainer) -> Batch {
    trainer.engine().rollout(&Rollout::sample(Draw::new(9, 9, Stream::Evaluation), 64)).unwrap()
}

#[test]
fn an_iteration_that_fails_anywhere_leaves_nothing_behind() {
    let (mut whole, _) = joint_training(Call::Rollout);
    run(&mut whole, ITERATIONS);
    // Rollouts: forward, backward, clearing, refilling. Parameters: the policy's step.
    let places = [
        (Call::Rollout, 1),
        (Call::Rollout, 2),
        (Call::Gradient, 2),
        (Call::Load, 1),
        (Call::Rollout, 3),
        (Call::Rollout, 4),
        (Call::RewardGradient, 1),
    ];
    for (trouble, call) in places {
        let (mut trainer, left) = joint_training(trouble);
        run(&mut trainer, 5);
        let (checkpoint, before) = (trainer.checkpoint(), answer(&mut trainer));
        left.store(call, Ordering::SeqCst);
        let error = trainer.step().expect_err("the engine fails");
        assert!(error.to_string().contains(&format!("{trouble:?} failed")), "{trouble:?} {call}: {error}");
        assert!(trainer.checkpoint() == checkpoint, "{trouble:?} {call}: half a step is left");
        assert_eq!(answer(&mut trainer), before, "{trouble:?} {call}: the engine has other parameters");
        // The engine works again: the same iteration is done, as if nothing had been.
        run(&mut trainer, ITERATIONS);
        assert!(trainer.checkpoint() == whole.checkpoint(), "{trouble:?} {call}: another end");
    }
}

#[test]
fn an_energy_gradient_that_is_not_finite_skips_the_policy_s_step_as_well() {
    let (mut trainer, left) = joint_training_with(Call::RewardGradient, || Answer::NotFinite);
    run(&mut trainer, 3);
    let (checkpoint, before) = (trainer.checkpoint(), answer(&mut trainer));
    left.store(1, Ordering::SeqCst);
    let step = trainer.step().unwrap();
    assert!(step.skipped && step.gradient_norm.is_finite() && step.energy.unwrap().gradient_norm.is_nan());
    assert_eq!((trainer.iteration(), trainer.skipped()), (4, 1));
    assert_eq!(answer(&mut trainer), before);
    let after = trainer.checkpoint();
    let parameters = trainer.parameters().len();
    for name in ["optimizer.first_moment", "optimizer.second_moment"] {
        assert_eq!(after.f64(name, parameters).unwrap(), checkpoint.f64(name, parameters).unwrap());
    }
    assert_eq!(after.f64("zeta", 1).unwrap(), checkpoint.f64("zeta", 1).unwrap());
    // The iteration did happen: the next one draws other objects.
    assert_ne!(after.bytes("sampler").unwrap(), checkpoint.bytes("sampler").unwrap());
    let step = trainer.step().unwrap();
    assert!(!step.skipped && step.energy.unwrap().gradient_norm.is_finite());
    assert_ne!(answer(&mut trainer), before);
}

#[test]
fn a_sampler_of_data_is_held_for_both_uses_and_resumes() {
    let drawn = |trainer: &Trainer| {
        let checkpoint = trainer.checkpoint();
        u64::from_le_bytes(checkpoint.bytes("sampler").unwrap().try_into().unwrap())
    };
    let (mut whole, _) = joint_training(Call::Rollout);
    assert_eq!(drawn(&whole), 0);
    run(&mut whole, 5);
    // 70 for the backward trajectories and 70 for the energy model, an iteration.
    assert_eq!(drawn(&whole), 5 * 140);
    let checkpoint = whole.checkpoint();
    let (mut resumed, _) = joint_training(Call::Rollout);
    resumed.restore(&checkpoint).unwrap();
    assert!(resumed.checkpoint() == checkpoint);
    run(&mut whole, ITERATIONS);
    run(&mut resumed, ITERATIONS);
    assert_eq!(drawn(&resumed), u64::from(ITERATIONS) * 140);
    assert!(resumed.checkpoint() == whole.checkpoint(), "a resumed run is another");
}

#[test]
fn a_sampler_that_gives_what_no_object_is_is_refused() {
    struct Odd;
    impl Target for Odd {
        fn sites(&self) -> usize {
            4
        }

        fn values(&self) -> usize {
            2
        }

        fn log_reward(&self, _: &Objects, log_reward: &mut [f64]) {
            log_reward.fill(0.0);
        }

        // Eight bits where there are four sites.
        fn data(&self, count: usize) -> Option<Box<dyn Sampler>> {
            Some(Box::new(Counter { count, next: 0 }))
        }
    }
    let mut settings = settings();
    settings.objective = toml::from_str("kind = 'forward_kl'").unwrap();
    let error = Trainer::build(&settings, Arc::new(Odd)).unwrap().0.step().unwrap_err().to_string();
    assert!(error.contains("70 objects of 8 sites") && error.contains("4 sites"), "{error}");
}

/// log R is 0 for whatever sizes it is given.
struct Sized(usize, usize, Encoding);

impl Target for Sized {
    fn sites(&self) -> usize {
        self.0
    }

    fn values(&self) -> usize {
        self.1
    }

    fn encoding(&self) -> Encoding {
        self.2.clone()
    }

    fn log_reward(&self, _: &Objects, log_reward: &mut [f64]) {
        log_reward.fill(0.0);
    }
}

#[test]
fn targets_of_sizes_that_nothing_can_represent_are_refused_before_anything_else() {
    // Settings that are wrong as well: the target comes first.
    let mut settings = settings();
    settings.training.batch = 0;
    let scalar = |codes: &[f64]| Encoding::Scalar { unset: 0.0, codes: codes.to_vec() };
    for (sites, values, encoding, words) in [
        (3, 300, Encoding::OneHot, "300 values a site: 2 to 256"),
        (3, 1, Encoding::OneHot, "1 values a site: 2 to 256"),
        (0, 2, Encoding::OneHot, "0 sites: 1 to"),
        (3, 2, scalar(&[1.0]), "1 codes for 2 values"),
        (3, 2, scalar(&[1.0, f64::INFINITY]), "the code inf"),
    ] {
        let error = Trainer::build(&settings, Arc::new(Sized(sites, values, encoding))).err().unwrap();
        assert!(matches!(error, TrainError::Config(_)) && error.to_string().contains(words), "{error}");
    }
}

#[test]
fn f64_and_a_gpu_are_refused_together() {
    let target = || Arc::new(Sized(3, 2, Encoding::OneHot));
    for engine in ["kind = 'gpu'", "adapter = 'llvmpipe'"] {
        let settings: Settings = toml::from_str(&format!("engine = {{ precision = 'f64', {engine} }}")).unwrap();
        let error = Trainer::build(&settings, target()).err().unwrap().to_string();
        let key = engine.split(' ').next().unwrap();
        assert!(error.contains("engine.precision = \"f64\"") && error.contains(&format!("engine.{key}")), "{error}");
    }
    let native: Settings = toml::from_str("engine = { precision = 'f64', kind = 'cpu' }").unwrap();
    assert!(Trainer::build(&native, target()).unwrap().1.contains("f64"));
}

#[test]
fn an_adapter_of_the_environment_and_f64_are_bad_usage_that_names_both() {
    let place = tempfile::tempdir().unwrap();
    let (file, out) = (place.path().join("small.toml"), place.path().join("run"));
    std::fs::write(&file, cli::SMALL).unwrap();
    let arguments = ["train", file.to_str().unwrap(), "--out", out.to_str().unwrap(), "--set", "engine.precision=f64"];
    let refused = cli::wgflow(&arguments).env("WGFLOW_ADAPTER", "llvmpipe").output().unwrap();
    let message = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{message}");
    assert!(message.contains("engine.precision") && message.contains("WGFLOW_ADAPTER = \"llvmpipe\""), "{message}");
    assert!(!out.exists(), "a refused configuration leaves nothing behind");
    cli::refuse(
        2,
        &["engine.precision = \"f64\"", "engine.kind = \"gpu\""],
        &[&arguments[..], &["--engine", "gpu"]].concat(),
    );
    assert!(cli::succeed(&arguments).contains("native f64"));
}

fn ising(objective: &str, batch: usize, iterations: u32) -> Trainer {
    lattice(8, objective, batch, iterations)
}

fn lattice(side: usize, objective: &str, batch: usize, iterations: u32) -> Trainer {
    let settings: Settings = toml::from_str(&format!(
        "seed = 1\n\
         policy = {{ hidden = [32, 32], initialisation = 'fan_in' }}\n\
         objective = {{ {objective} }}\n\
         training = {{ iterations = {iterations}, batch = {batch} }}\n\
         optimizer.learning_rate = 4e-3\n\
         engine.kind = 'cpu'"
    ))
    .unwrap();
    Trainer::build(&settings, Arc::new(Ising::new(side, 0.44).unwrap())).unwrap().0
}

#[test]
fn zeta_starts_at_the_first_batch_and_stays_in_f64() {
    for objective in ["kind = 'trajectory_balance'", "kind = 'reverse_kl', control_variate = 'learned'"] {
        let mut trainer = ising(objective, 32, 8);
        assert_eq!(trainer.zeta(), None);
        // Adam by the book, on zeta alone: the derivative is 2 (zeta - mean log w) for both.
        let (mut expected, mut m, mut v) = (f64::NAN, 0.0, 0.0);
        for t in 1..=8 {
            let step = trainer.step().unwrap();
            let log_weights = step.forward_log_weights.unwrap();
            let mean = log_weights.iter().sum::<f64>() / 32.0;
            match t {
                1 => expected = mean,
                // At the start the derivative is 0 but for rounding, which Adam makes a step of 1e-6 of.
                2 => expected = step.zeta.unwrap(),
                _ => {}
            }
            assert!((step.zeta.unwrap() - expected).abs() < 1e-10, "{objective}, {t}: {:?} {expected}", step.zeta);
            let g = if t == 1 { 0.0 } else { 2.0 * (expected - mean) };
            m = 0.9 * m + 0.1 * g;
            v = 0.999 * v + 0.001 * g * g;
            let (first, second): (f64, f64) = (m / (1.0 - 0.9_f64.powi(t)), v / (1.0 - 0.999_f64.powi(t)));
            expected -= first / (second.sqrt() + 1e-8);
        }
        let zeta = trainer.zeta().unwrap();
        // Rounded to f32 at size 30, it would be off by up to 1e-6.
        assert!((zeta - expected).abs() < 1e-10 && f64::from(zeta as f32) != zeta, "{zeta} is not {expected}");
    }
    let mut told = ising("kind = 'trajectory_balance', log_z_start = 17.5", 32, 1);
    assert_eq!((told.zeta(), told.step().unwrap().zeta), (Some(17.5), Some(17.5)));
    assert_eq!(ising("kind = 'reverse_kl'", 32, 1).step().unwrap().zeta, None);
}

#[test]
fn zeta_waits_for_the_first_term_that_learns_it() {
    // Backward trajectories alone for the first half: forward KL needs no zeta.
    let mut trainer = ising("kind = 'alpha_kl', control_variate = 'learned', alpha = 'paper'", 16, 9);
    for iteration in 0..9 {
        let step = trainer.step().unwrap();
        let mean = step.forward_log_weights.map(|logs| logs.iter().sum::<f64>() / 16.0);
        match iteration {
            0..=4 => assert_eq!((step.zeta, mean), (None, None)),
            5 => assert!((step.zeta.unwrap() - mean.unwrap()).abs() < 1e-12),
            _ => assert!(step.zeta.is_some()),
        }
    }
}

#[test]
fn a_start_from_the_first_batch_saves_the_way_there() {
    let elbo = |objective: &str| {
        let mut trainer = lattice(12, objective, 32, 600);
        run(&mut trainer, 600);
        evaluate(&mut trainer, 4096).unwrap().evaluation
    };
    let (from_zero, from_batch) =
        (elbo("kind = 'trajectory_balance', log_z_start = 0"), elbo("kind = 'trajectory_balance'"));
    println!("ELBO {} from 0, {} from the first batch", from_zero.elbo, from_batch.elbo);
    // Measured: 100.7 and 130.5 of an exact 134.6; 150 iterations go by before zeta is there from 0, and in these the policy
    // unlearns. The standard errors are below 0.2.
    assert!(from_batch.elbo > from_zero.elbo + 10.0, "{} and {}", from_batch.elbo, from_zero.elbo);
}

#[test]
fn a_run_that_diverged_goes_on_to_the_same_end() {
    let mut trainer = ising("kind = 'regression', loss = 'linex', log_z_start = -5000", 32, 40);
    for _ in 1..PATIENCE {
        assert!(trainer.step().unwrap().skipped);
    }
    let checkpoint = trainer.checkpoint();
    let message = trainer.step().unwrap_err().to_string();
    assert!(message.contains("coefficients are not") && message.contains("optimizer.learning_rate"), "{message}");
    assert!(trainer.checkpoint() == checkpoint);
    let mut resumed = ising("kind = 'regression', loss = 'linex', log_z_start = -5000", 32, 40);
    resumed.restore(&checkpoint).unwrap();
    assert_eq!(resumed.step().unwrap_err().to_string(), message);
}
