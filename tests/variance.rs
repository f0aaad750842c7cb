//! `wgflow variance`: known variances and biases are found, and the command says what is wrong with what it is given.

#[path = "common/cli.rs"]
mod cli;
mod common;

use std::fs;
use std::sync::{Arc, Mutex};

use cli::{SMALL, refuse, succeed};
use common::Wave;
use common::hooked::{Answer, Call, Hooked};
use serde_json::Value;
use wgflow::config::Settings;
use wgflow::engine::Rollout;
use wgflow::network::Activation;
use wgflow::process::{Objects, Order, Trajectories};
use wgflow::random::{Draw, Stream};
use wgflow::trainer::Trainer;
use wgflow::variance::{Candidate, Comparison, GROUPS, Options, Row, compare};

const BATCH: usize = 4;

/// A policy small enough to enumerate its 8 trajectories, in f64.
fn trainer() -> Trainer {
    let text = "policy = { hidden = [8], order = 'fixed', initialisation = 'fan_in' }
                engine = { kind = 'cpu', precision = 'f64' }";
    let settings: Settings = toml::from_str(text).unwrap();
    Trainer::build(&settings, Arc::new(Wave { sites: 3, values: 2 })).unwrap().0
}

fn compared(trainer: &mut Trainer, names: &[&str], batches: u32) -> Comparison {
    let candidates = names.iter().map(|name| Candidate::parse(name, BATCH).unwrap()).collect();
    let options = Options { candidates, batch: BATCH, batches, long: 1000 };
    compare(trainer, &options, |_, _| ()).unwrap()
}

fn row<'a>(comparison: &'a Comparison, name: &str) -> &'a Row {
    comparison.rows.iter().find(|row| row.candidate.name == name).unwrap()
}

/// P_F, log w and grad log P_F of every trajectory.
fn enumerate(trainer: &mut Trainer) -> Vec<(f64, f64, Vec<f64>)> {
    let objects = Objects::numbered(3, 2, 0..8);
    let fill = |object: &[u8]| (0..3).map(|site| 2 * site + u32::from(object[site as usize])).collect::<Vec<u32>>();
    let trajectories = Trajectories::new(3, objects.rows().flat_map(fill).collect());
    let draw = Draw::new(0, 0, Stream::Variance);
    let batch = trainer.engine().rollout(&Rollout::replay(draw, &trajectories).kept()).unwrap();
    let one = |i: usize| (0..8).map(|j| f64::from(u8::from(i == j))).collect::<Vec<f64>>();
    let log_weights = batch.log_weights();
    (0..8).map(|i| (batch.log_forward[i].exp(), log_weights[i], trainer.engine().gradient(&one(i)).unwrap())).collect()
}

#[test]
fn the_variance_of_independent_terms_is_the_exact_one_over_the_batch() {
    let mut trainer = trainer();
    let found = compared(&mut trainer, &["none", "learned", "tb", "half-squared"], 4000);
    let all = enumerate(&mut trainer);
    for (name, k) in [("none", 0.0), ("learned", found.zeta)] {
        let mut mean = vec![0.0; all[0].2.len()];
        let mut square = 0.0;
        for (probability, log_weight, score) in &all {
            let c = k - log_weight;
            mean.iter_mut().zip(score).for_each(|(mean, h)| *mean += probability * c * h);
            square += probability * c * c * score.iter().map(|h| h * h).sum::<f64>();
        }
        let square_of_mean: f64 = mean.iter().map(|m| m * m).sum();
        let exact = (square - square_of_mean) / BATCH as f64;
        let row = row(&found, name);
        assert!((row.variance.value - exact).abs() < 4.0 * row.variance.standard_error, "{name}: {row:?}, not {exact}");
        assert!(row.variance.standard_error < 0.05 * exact);
        assert!(row.square_of_mean.standard_error < 0.1 * square_of_mean, "{name}: {row:?}");
        assert!((row.square_of_mean.value - square_of_mean).abs() < 5.0 * row.square_of_mean.standard_error, "{name}");
    }
    // The same numbers, halved and not, on the same batches: bit for bit, as a factor of two is exact.
    for name in ["tb", "half-squared"] {
        assert_eq!(row(&found, name).variance, row(&found, "learned").variance);
    }
}

#[test]
fn biased_estimators_are_told_from_unbiased_ones() {
    let names = ["none", "leave-one-out", "optimal", "optimal-leave-one-out", "optimal-per-parameter"];
    let names = [&names[..], &["optimal-per-parameter-leave-one-out", "log-variance"]].concat();
    let found = compared(&mut trainer(), &names, 4000);
    assert_eq!(found.rows.len(), 7);
    for row in &found.rows {
        let bias = row.square_of_bias;
        let biased = ["optimal", "optimal-per-parameter"].contains(&row.candidate.name.as_str());
        println!("{}: {bias:?}", row.candidate.name);
        // In batches of four the bias of the batch forms is far above the noise of 4000 batches: its square is near 0.1.
        assert!(bias.value.is_finite() && bias.standard_error < 0.01, "{}: {bias:?}", row.candidate.name);
        assert_eq!(bias.value > 6.0 * bias.standard_error, biased, "{}: {bias:?}", row.candidate.name);
    }
}

#[test]
fn every_gradient_is_timed_right_after_a_rollout() {
    // An engine keeps what it knows of a batch: whoever comes second would pay less.
    let setting = common::Setting::wave(3, 2, Order::Fixed, &[8], Activation::Swish);
    let calls = Arc::new(Mutex::new(String::new()));
    let notes = calls.clone();
    // r a rollout, g a gradient, n norms, m moments, l a leave-one-out gradient.
    let engine = Box::new(Hooked::new(setting.native::<f32>(), move |call| {
        let letter = match call {
            Call::Rollout => "r",
            Call::Gradient => "g",
            Call::SquareNorms => "n",
            Call::Moments => "m",
            Call::LeaveOneOut => "l",
            Call::Load | Call::RewardGradient => "",
        };
        notes.lock().unwrap().push_str(letter);
        Answer::Engine
    }));
    let settings: Settings = toml::from_str("policy = { hidden = [8], order = 'fixed' }").unwrap();
    let mut trainer = Trainer::new(&settings, setting.target.clone(), engine).unwrap();
    let names = ["none", "optimal", "optimal-leave-one-out", "optimal-per-parameter-leave-one-out", "tb"];
    compared(&mut trainer, &names, 40);
    let calls = calls.lock().unwrap();
    // zeta; a thousand batches of the long run, untimed; 25 batches in which everything is timed; 15 more.
    let (timed, plain) = ("rgrgrmrngrmlrg", "rgmngmlg");
    assert_eq!(*calls, ["r", &"rg".repeat(1000), &timed.repeat(25), &plain.repeat(15)].concat());
}

#[test]
fn the_command_leaves_a_table_in_four_forms() {
    let place = tempfile::tempdir().unwrap();
    let (file, out) = (place.path().join("small.toml"), place.path().join("variance"));
    fs::write(&file, SMALL).unwrap();
    let (file, out) = (file.to_str().unwrap(), out.to_str().unwrap());
    let sizes = ["--engine", "cpu", "--batches", "9", "--long", "8", "--out", out];
    let shown = succeed(&[&["variance", file], &sizes[..]].concat());
    let written = fs::read_to_string(format!("{out}/variance.csv")).unwrap();
    let markdown = fs::read_to_string(format!("{out}/variance.md")).unwrap();
    for name in ["leave-one-out", "optimal-per-parameter-leave-one-out", "forward-kl", "renyi-0.5", "log-variance"] {
        assert!(shown.contains(name) && written.contains(name) && markdown.contains(name), "{name} is missing");
    }
    assert_eq!(written.lines().count(), 17);
    assert!(fs::read(format!("{out}/variance.png")).unwrap().starts_with(b"\x89PNG"));
    let object: Value = serde_json::from_slice(&fs::read(format!("{out}/variance.json")).unwrap()).unwrap();
    assert_eq!((&object["batches"], &object["batch"]), (&9.into(), &70.into()));

    // A run's policy is the trained one: its iterations show. JSON is one object and nothing else.
    let run = place.path().join("run");
    let run = run.to_str().unwrap();
    succeed(&["train", file, "--out", run, "--engine", "cpu"]);
    let few = ["--batches", "8", "--long", "8", "--batch", "16", "--objectives", "tb,huber-2,linex-1", "--json"];
    let object: Value = serde_json::from_str(&succeed(&[&["variance", run], &few[..]].concat())).unwrap();
    assert_eq!((&object["iteration"], &object["batch"]), (&30.into(), &16.into()));
    let names: Vec<&str> =
        object["estimators"].as_array().unwrap().iter().map(|row| row["estimator"].as_str().unwrap()).collect();
    assert_eq!(names, ["tb", "huber-2", "linex-1"]);

    // With backward trajectories alone the times are theirs.
    let backward = ["--batches", "8", "--long", "8", "--batch", "16", "--objectives", "forward-kl", "--json"];
    let object: Value = serde_json::from_str(&succeed(&[&["variance", run], &backward[..]].concat())).unwrap();
    for time in ["rollout_seconds", "plain_seconds"] {
        assert!(object[time].as_f64().is_some_and(|seconds| seconds > 0.0), "{object}");
    }
    refuse(2, &["a run is taken as it is"], &["variance", run, "--set", "training.batch=3"]);
}

#[test]
fn what_cannot_be_compared_is_refused_with_the_reason() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("small.toml");
    fs::write(&file, SMALL).unwrap();
    let variance = |words: &[&str], more: &[&str]| {
        refuse(2, words, &[&["variance", file.to_str().unwrap(), "--engine", "cpu"], more].concat());
    };
    variance(&["unknown name", "vimco", "leave-one-out"], &["--objectives", "tb,vimco"]);
    variance(&["optimal-leave-one-out", "at least 2"], &["--batch", "1", "--objectives", "optimal-leave-one-out"]);
    variance(&["must not be 1"], &["--objectives", "renyi-1"]);
    variance(&["must be positive"], &["--objectives", "tsallis-0"]);
    variance(&["not 0"], &["--objectives", "linex-0"]);
    variance(&["--batches"], &["--batches", &(GROUPS - 1).to_string()]);
    refuse(2, &["missing.toml"], &["variance", "missing.toml"]);
}
