//! Training on the device (`optimizer.location = "device"`) against the host's, on the GPU engine.

#![cfg(feature = "gpu")]

use std::sync::Arc;

use wgflow::config::Settings;
use wgflow::engine::Counts;
use wgflow::evaluation::{Evaluation, evaluate};
use wgflow::process::{Encoding, Objects};
use wgflow::targets::ising::Ising;
use wgflow::targets::{RewardKernel, Target};
use wgflow::trainer::{PATIENCE, Step, TrainError, Trainer};

/// A policy of two layers of 16.
fn settings(location: &str, more: &str) -> Settings {
    let text = format!(
        "seed = 5\npolicy = {{ hidden = [16, 16], initialisation = 'fan_in' }}\n{}\noptimizer.location = '{location}'\n{more}",
        if more.contains("engine") { "" } else { "engine.kind = 'gpu'" }
    );
    toml::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn build(settings: &Settings, target: Arc<dyn Target>) -> Result<Trainer, String> {
    Trainer::build(settings, target).map(|(trainer, _)| trainer).map_err(|error| error.to_string())
}

/// On a torus of 3 x 3 spins.
fn trainer(location: &str, more: &str) -> Trainer {
    build(&settings(location, more), Arc::new(Ising::new(3, 0.3).unwrap())).unwrap()
}

fn steps(trainer: &mut Trainer, count: u32) -> Vec<Step> {
    trainer.look_ahead(trainer.iteration() + count);
    (0..count).map(|_| trainer.step().unwrap()).collect()
}

fn counts(trainer: &mut Trainer) -> Counts {
    trainer.engine().counts().expect("a device")
}

/// Objectives with zeta and without, schedules, clipping, weight decay, annealing and a floor.
const TRAININGS: [&str; 4] = [
    "objective.kind = 'trajectory_balance'\noptimizer.zeta_learning_rate = 0.1\noptimizer.schedule = 'cosine'",
    "objective = { kind = 'reverse_kl', control_variate = 'leave_one_out' }\noptimizer.clip_norm = 0.5\noptimizer.warmup = 20",
    "objective = { kind = 'regression', loss = 'huber', log_reward_floor = -2.0 }\noptimizer.zeta_learning_rate = 0.05\n\
     optimizer.weight_decay = 1e-2\nevaluation.average = 0.98",
    "objective = { kind = 'renyi', divergence_order = 0.5 }\nanneal = { start = 0.5 }",
];

/// Both places see the same trajectories as long as no choice falls to the other side of a threshold for a rounding, which one of
/// 500 x 64 x 9 choices does sooner or later: up to there iterations agree within what f32 gradients differ by, and after it
/// both are trainings of the same law. So first losses are compared one by one, and the ends by exact enumeration.
#[test]
fn five_hundred_iterations_go_the_way_of_the_host() {
    for more in TRAININGS {
        let more = format!("{more}\noptimizer.learning_rate = 5e-3\ntraining = {{ batch = 64, iterations = 500 }}");
        let (mut host, mut device) = (trainer("host", &more), trainer("device", &more));
        let (by_host, on_device) = (steps(&mut host, 500), steps(&mut device, 500));
        for (expected, found) in by_host.iter().zip(&on_device).take(10) {
            let close = |found: f64, expected: f64| (found - expected).abs() < 2e-3 * expected.abs().max(0.1);
            let what = format!("{more}: {} of the host, {} of the device", expected.loss, found.loss);
            assert!(close(found.loss, expected.loss) && close(found.gradient_norm, expected.gradient_norm), "{what}");
            assert_eq!(found.zeta.is_some(), expected.zeta.is_some(), "{what}");
            assert!(close(found.zeta.unwrap_or(1.0), expected.zeta.unwrap_or(1.0)), "{what}");
            assert_eq!((found.iteration, found.skipped), (expected.iteration, expected.skipped), "{what}");
        }
        let late = |steps: &[Step]| steps[400..].iter().map(|step| step.loss).sum::<f64>() / 100.0;
        let spread = |steps: &[Step]| {
            let mean = late(steps);
            (steps[400..].iter().map(|step| (step.loss - mean).powi(2)).sum::<f64>() / 99.0 / 100.0).sqrt()
        };
        let (expected, found) = (late(&by_host), late(&on_device));
        let error = 4.0 * spread(&by_host).hypot(spread(&on_device));
        assert!((expected - found).abs() < error + 0.05 * expected.abs(), "{more}: {expected} and {found}");

        let [exact, found] = [&mut host, &mut device].map(|trainer| evaluate(trainer, 4096).unwrap().evaluation);
        let tv = |evaluation: &Evaluation| evaluation.exact.as_ref().expect("512 objects").total_variation;
        for (name, of) in [
            ("ELBO", (|e: &Evaluation| e.elbo) as fn(&Evaluation) -> f64),
            ("log Z", |e: &Evaluation| e.log_z_estimate),
            ("EUBO", |e: &Evaluation| e.eubo.expect("a sampler")),
        ] {
            // The end of a training is as random as its trajectories: runs of other seeds differ by some hundredths.
            assert!((of(&exact) - of(&found)).abs() < 0.05, "{more}: {name} {} and {}", of(&exact), of(&found));
        }
        assert!((tv(&exact) - tv(&found)).abs() < 0.05 && tv(&found) < 0.2, "{more}: {} {}", tv(&exact), tv(&found));
    }
}

/// Fixed order, guides, mirror images known by construction, several blocks that do not all fit the memory.
#[test]
fn whatever_process_and_memory_first_iterations_are_the_host_s() {
    let cases =
        ["order = 'fixed'", "guided = true", "symmetry = 'flip'", "symmetry = 'flip', guided = true, order = 'fixed'"];
    for more in cases {
        let text = |location: &str| {
            format!(
                "policy = {{ hidden = [16, 16], {more} }}\ntraining.batch = 700\nengine = {{ kind = 'gpu', memory_mib = 1 }}\n\
                 objective.kind = 'trajectory_balance'\noptimizer = {{ location = '{location}', learning_rate = 5e-3 }}"
            )
        };
        let [mut host, mut device] = ["host", "device"].map(|location| {
            let settings: Settings = toml::from_str(&text(location)).unwrap();
            build(&settings, Arc::new(Ising::new(3, 0.3).unwrap())).unwrap()
        });
        for (expected, found) in steps(&mut host, 4).iter().zip(&steps(&mut device, 4)) {
            let close = |found: f64, expected: f64| (found - expected).abs() < 2e-3 * expected.abs().max(0.1);
            assert!(close(found.loss, expected.loss), "{more}: {} {}", found.loss, expected.loss);
            assert!(close(found.gradient_norm, expected.gradient_norm), "{more}");
            let [found, expected] = [found, expected].map(|step| step.forward_log_weights.as_ref().unwrap());
            let far = found.iter().zip(expected).filter(|(found, expected)| !close(**found, **expected)).count();
            assert!(found.len() == 700 && far < 10, "{more}: {far} log-weights differ");
        }
    }
}

#[test]
fn a_resumed_training_goes_on_bit_for_bit() {
    let more = "objective.kind = 'trajectory_balance'\noptimizer.clip_norm = 1.0\nevaluation.average = 0.9\n\
                training = { batch = 70, iterations = 60 }";
    let mut whole = trainer("device", more);
    let all = steps(&mut whole, 60);
    // One by one, in flights, and from a checkpoint in the middle of what would have been a flight.
    let mut first = trainer("device", more);
    let mut told: Vec<Step> = (0..3).map(|_| first.step().unwrap()).collect();
    told.extend(steps(&mut first, 24));
    assert!(!first.is_ahead());
    let checkpoint = first.checkpoint();
    // An evaluation in between looks at the average.
    first.evaluate_forward(1, 0, 64).unwrap();
    let again = first.step().unwrap();
    let mut second = trainer("device", more);
    // What it has done before does not matter.
    steps(&mut second, 5);
    second.restore(&checkpoint).unwrap();
    assert_eq!(second.iteration(), 27);
    assert_eq!(again.loss.to_bits(), all[27].loss.to_bits());
    told.extend(steps(&mut second, 33));
    for (expected, found) in all.iter().zip(&told) {
        assert_eq!(expected.loss.to_bits(), found.loss.to_bits(), "{}", expected.iteration);
        assert_eq!(expected.gradient_norm.to_bits(), found.gradient_norm.to_bits(), "{}", expected.iteration);
        assert_eq!(expected.forward_log_weights, found.forward_log_weights);
    }
    assert_eq!((all.len(), told.len()), (60, 60));
    assert!(whole.checkpoint() == second.checkpoint(), "checkpoints differ");
    assert!(whole.parameters().iter().any(|&p| f64::from(p as f32) != p), "parameters have more bits than f32");
}

#[test]
fn a_trainer_that_is_ahead_has_the_state_of_before() {
    let more = "objective.kind = 'log_variance'\ntraining = { batch = 64, iterations = 64 }";
    let mut trainer = trainer("device", more);
    steps(&mut trainer, 4);
    let before = trainer.checkpoint();
    trainer.look_ahead(40);
    for iteration in 4..20 {
        assert_eq!(trainer.step().unwrap().iteration, iteration);
    }
    assert!(trainer.is_ahead());
    assert!(trainer.checkpoint() == before);
    assert!(trainer.evaluate_forward(1, 0, 64).unwrap_err().to_string().contains("look_ahead"));
    // What is under way is told, and no more is begun.
    trainer.look_ahead(0);
    while trainer.is_ahead() {
        trainer.step().unwrap();
    }
    assert!((20..40).contains(&trainer.iteration()), "{}", trainer.iteration());
    // So it is after a checkpoint was taken up.
    let mut other = self::trainer("device", more);
    other.restore(&before).unwrap();
    other.look_ahead(40);
    other.step().unwrap();
    assert!(other.is_ahead() && other.checkpoint() == before);
    assert!(trainer.checkpoint() != before);
    trainer.evaluate_forward(1, 0, 64).unwrap();
}

/// Spins whose log R is no number where site 0 is up, as the parameter says: minus infinity, NaN or plus infinity.
struct Broken(f32);

impl Target for Broken {
    fn sites(&self) -> usize {
        4
    }

    fn values(&self) -> usize {
        2
    }

    fn encoding(&self) -> Encoding {
        Encoding::Scalar { unset: 0.0, codes: vec![-1.0, 1.0] }
    }

    fn log_reward(&self, objects: &Objects, log_reward: &mut [f64]) {
        let told = |object: &[u8]| if object[0] == 1 { f64::from(self.0) } else { 0.0 };
        objects.rows().zip(log_reward).for_each(|(object, log)| *log = told(object));
    }

    fn kernel(&self) -> Option<RewardKernel> {
        let source =
            "fn log_reward(trajectory: u32) -> f32 { return select(0.0, parameter(0u), value(trajectory, 0u) == 1u); }";
        Some(RewardKernel { source: source.into(), parameters: vec![self.0], ..RewardKernel::default() })
    }
}

#[test]
fn a_gradient_that_is_not_finite_is_skipped_and_ten_in_a_row_end_the_run() {
    let more = "objective.kind = 'trajectory_balance'\ntraining = { batch = 64, iterations = 64 }";
    let mut device = build(&settings("device", more), Arc::new(Broken(f32::NEG_INFINITY))).unwrap();
    let mut host = build(&settings("host", more), Arc::new(Broken(f32::NEG_INFINITY))).unwrap();
    let before = device.parameters();
    for _ in 1..PATIENCE {
        let (found, expected) = (device.step().unwrap(), host.step().unwrap());
        assert!(found.skipped && expected.skipped);
        assert_eq!((found.gradient_norm, found.forbidden_fraction), (0.0, expected.forbidden_fraction));
    }
    assert_eq!((device.skipped(), host.skipped()), (PATIENCE - 1, PATIENCE - 1));
    // However far ahead it may look.
    device.look_ahead(40);
    for _ in 0..2 {
        let (found, expected) = (device.step().unwrap_err(), host.step().unwrap_err());
        assert!(matches!(found, TrainError::Diverged { iteration: 9, .. }), "{found}");
        assert_eq!(found.to_string(), expected.to_string());
    }
    assert!(!device.is_ahead());
    assert_eq!((device.parameters(), device.skipped(), device.iteration()), (before, PATIENCE - 1, PATIENCE - 1));
    // A floor makes it whole.
    let more = "objective = { kind = 'trajectory_balance', log_reward_floor = -5.0 }\ntraining = { batch = 64, iterations = 64 }";
    let mut floored = build(&settings("device", more), Arc::new(Broken(f32::NEG_INFINITY))).unwrap();
    assert!(steps(&mut floored, 20).iter().all(|step| !step.skipped && step.forbidden_fraction > 0.0));
}

#[test]
fn a_log_r_that_is_none_is_the_error_that_the_host_has() {
    let more = "objective.kind = 'log_variance'\ntraining = { batch = 64, iterations = 64 }";
    for wrong in [f32::NAN, f32::INFINITY] {
        let error = |location| {
            let mut trainer = build(&settings(location, more), Arc::new(Broken(wrong))).unwrap();
            trainer.look_ahead(30);
            let error = trainer.step().unwrap_err().to_string();
            assert_eq!((trainer.iteration(), trainer.is_ahead()), (0, false));
            error
        };
        assert_eq!(error("device"), error("host"));
    }
}

/// After a step that is far too large nothing is finite any more, and nothing is applied.
#[test]
fn a_diverging_training_never_reaches_the_weights() {
    let more = "objective = { kind = 'regression', loss = 'linex', scale = 1.0 }\noptimizer.learning_rate = 1e30\n\
                training = { batch = 64, iterations = 400 }";
    let mut trainer = trainer("device", more);
    trainer.look_ahead(400);
    let error = std::iter::repeat_with(|| trainer.step()).take(400).find_map(Result::err);
    assert!(matches!(error, Some(TrainError::Diverged { .. })), "{error:?}");
    assert!(trainer.parameters().iter().all(|parameter| parameter.is_finite()));
}

/// On the host an iteration submits and waits once before the coefficients and once after; on the device a flight of eight does.
#[test]
fn dispatches_submits_and_waits_of_both_places() {
    let more = "objective.kind = 'reverse_kl'\ntraining = { batch = 128, iterations = 200 }";
    let mut each = Vec::new();
    for location in ["host", "device"] {
        let mut trainer = trainer(location, more);
        steps(&mut trainer, 8);
        let before = counts(&mut trainer);
        steps(&mut trainer, 64);
        let after = counts(&mut trainer);
        each.push([after.dispatches - before.dispatches, after.submits - before.submits, after.waits - before.waits]);
    }
    let [[on_host, submits, waits], [on_device, few_submits, few_waits]] = each[..] else { panic!("two places") };
    assert_eq!((submits, waits), (2 * 64, 2 * 64));
    // The state is read at the end of all.
    assert_eq!((few_submits, few_waits), (64 / 8 + 1, 64 / 8 + 1));
    assert_eq!(on_device, on_host + 5 * 64, "weigh, gradient_norm, decide, adam, empty");
}

#[test]
fn what_a_device_cannot_do_is_refused_by_name() {
    let cases = [
        ("objective.kind = 'forward_kl'", "objective.kind"),
        ("objective = { kind = 'alpha_tb', alpha = 0.5 }", "objective.kind and alpha"),
        ("objective = { kind = 'reverse_kl', control_variate = 'optimal' }", "single trajectories"),
        ("objective.kind = 'detailed_balance'\npolicy.order = 'learned'", "single steps"),
        ("objective.kind = 'trajectory_balance'\npolicy.order = 'learned'", "processes that fill sites"),
        ("objective.kind = 'trajectory_balance'\nreplay.capacity = 100", "replay.capacity = 100"),
        ("objective.kind = 'trajectory_balance'\nexploration.epsilon = 0.1", "exploration"),
        ("objective.kind = 'trajectory_balance'\nengine.kind = 'cpu'", "engine.kind = \"gpu\""),
    ];
    for (more, words) in cases {
        let text = format!(
            "optimizer.location = 'device'\npolicy.hidden = [16]\n{}\n{more}",
            if more.contains("engine") { "" } else { "engine.kind = 'gpu'" }
        );
        let settings: Settings = toml::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let error = build(&settings, Arc::new(Ising::new(3, 0.3).unwrap())).err().expect(more);
        assert!(error.starts_with("optimizer.location = \"device\"") && error.contains(words), "{more}: {error}");
        assert!(error.contains("optimizer.location = \"host\""), "{more}: {error}");
    }
}
