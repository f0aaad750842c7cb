//! What evaluations claim of themselves: seeds give independent samples, standard errors are those of the estimates, and a
//! number is the same wherever it is written.

#[path = "common/cli.rs"]
mod cli;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use cli::{SMALL, refuse, succeed};
use serde_json::Value;
use wgflow::config::{Config, EvaluationConfig, Settings};
use wgflow::evaluation::{Evaluation, Seed, evaluate, evaluate_sized, forward};
use wgflow::process::Objects;
use wgflow::random::{Draw, Stream, uniform};
use wgflow::session::Session;
use wgflow::stop::Stop;
use wgflow::targets::{Sampler, Target, TargetError, enumeration};
use wgflow::trainer::{Builder, Trainer};

/// A small data set in bits with an energy model trained along: everything that an evaluation can draw but target samples.
const DATA: &str = "
seed = 3
target = { kind = 'density', mode = 'joint', data = 'circles', bits = 8, hidden = [8], horizon = 5 }
policy = { hidden = [8], initialisation = 'fan_in' }
training = { iterations = 5, batch = 16 }
evaluation = { samples = 4096, nll_points = 200, nll_trajectories = 2, mmd_samples = 300 }
";

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("one JSON object")
}

/// Trains an experiment on the native engine; returns the run's directory and its summary.
fn run(place: &Path, experiment: &str) -> (String, Value) {
    let (file, run) = (place.join("experiment.toml"), place.join("run").to_str().expect("plain text").to_string());
    fs::write(&file, experiment).unwrap();
    succeed(&["train", file.to_str().unwrap(), "--engine", "cpu", "--out", &run]);
    let summary = json(&fs::read_to_string(format!("{run}/summary.json")).unwrap());
    (run, summary)
}

#[test]
fn a_seed_gives_an_evaluation_of_its_own() {
    let ising = ["/elbo", "/log_z_estimate", "/eubo", "/ess", "/observables/0/gflownet", "/observables/0/target"];
    let data = ["/elbo", "/log_z_estimate", "/nll", "/mmd"];
    for (experiment, drawn) in [(SMALL, &ising[..]), (DATA, &data[..])] {
        let place = tempfile::tempdir().unwrap();
        let (run, summary) = run(place.path(), experiment);
        let evaluated = |more: &[&str]| json(&succeed(&[&["evaluate", &run, "--json"], more].concat()));
        let found = [evaluated(&[]), evaluated(&["--seed", "2"]), evaluated(&["--seed", "9223372036854775807"])];
        assert_eq!(found[0], evaluated(&["--seed", "1"]), "a seed decides everything, and the default is 1");
        assert_eq!((&found[0]["evaluation_seed"], &found[1]["evaluation_seed"]), (&1.into(), &2.into()));
        for key in drawn {
            let mut numbers: Vec<f64> = [&summary, &found[0], &found[1], &found[2]]
                .map(|object| object.pointer(key).and_then(Value::as_f64).expect("a number"))
                .to_vec();
            numbers.sort_by(f64::total_cmp);
            assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{key} is there twice: {numbers:?}");
        }
        assert!(succeed(&["evaluate", &run, "--seed", "5"]).contains("seed of this evaluation: 5\n"));
    }
}

#[test]
fn a_seed_gives_samples_of_its_own() {
    let place = tempfile::tempdir().unwrap();
    let (run, _) = run(place.path(), SMALL);
    let sampled = |more: &[&str]| {
        let out = place.path().join("samples.csv");
        let said = succeed(&[&["sample", &run, "-n", "300", "--out", out.to_str().unwrap()], more].concat());
        (said, fs::read_to_string(out).unwrap())
    };
    let ((said, default), (_, same), (_, other)) = (sampled(&[]), sampled(&["--seed", "1"]), sampled(&["--seed", "2"]));
    assert!(said.contains("seed 1"), "{said}");
    assert!(default == same && default != other);

    let mut session = Session::open(Path::new(&run), |_| ()).unwrap();
    let mut objects = |seed| forward(session.trainer(), 300, seed, &Stop::default()).unwrap().1;
    let rows = |objects: &Objects| -> Vec<String> {
        objects.rows().map(|row| row.iter().map(u8::to_string).collect::<Vec<_>>().join(",")).collect()
    };
    let (own, first) = (objects(Seed::Own), objects(Seed::Fresh(1)));
    assert_eq!(rows(&first), default.lines().skip(1).collect::<Vec<_>>());
    // Nine spins of a policy that has hardly begun: independent samples agree in some places by chance, not in most.
    let agreeing = own.rows().zip(first.rows()).filter(|(a, b)| a == b).count();
    assert!(agreeing < 100, "{agreeing} of 300 objects are those of the run's own evaluation");
}

#[test]
fn seeds_out_of_range_are_refused() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("samples.csv");
    for seed in ["-1", "9223372036854775808", "1e3", "x", ""] {
        let seed = format!("--seed={seed}");
        refuse(2, &["--seed"], &["evaluate", "nowhere", &seed]);
        refuse(2, &["--seed"], &["sample", "nowhere", "-n", "3", "--out", out.to_str().unwrap(), &seed]);
    }
    refuse(2, &["--seed", "0..=9223372036854775807"], &["evaluate", "nowhere", "--seed", "9223372036854775808"]);
}

#[test]
fn the_run_s_own_evaluation_stays_what_it_was() {
    for experiment in [SMALL, DATA] {
        let place = tempfile::tempdir().unwrap();
        let (run, summary) = run(place.path(), experiment);
        let mut session = Session::open(Path::new(&run), |_| ()).unwrap();
        let again = serde_json::to_value(evaluate(session.trainer(), 4096).unwrap().evaluation).unwrap();
        let again = again.as_object().unwrap();
        assert!(again.len() > 10);
        for (key, value) in again {
            assert_eq!(&summary[key], value, "{key}");
        }
    }
}

#[test]
fn sizes_that_cannot_be_are_an_error_and_no_panic() {
    let mut trainer = data_trainer();
    let sizes = trainer.settings().evaluation.clone();
    let refused = [
        EvaluationConfig { samples: 0, ..sizes.clone() },
        EvaluationConfig { samples: (1 << 32) + 1, ..sizes.clone() },
        EvaluationConfig { nll_points: 0, ..sizes.clone() },
        EvaluationConfig { nll_trajectories: 0, ..sizes.clone() },
        EvaluationConfig { nll_trajectories: usize::MAX, ..sizes.clone() },
    ];
    for sizes in refused {
        let message =
            evaluate_sized(&mut trainer, &sizes, Seed::Own, &Stop::default()).err().expect("refused").to_string();
        assert!(message.contains("must be 1 to 2^32"), "{message}");
    }
    let message = trainer.evaluate_forward(1, u32::MAX as usize, 2).unwrap_err().to_string();
    assert!(message.contains("2^32 trajectories"), "a number beyond the counter: {message}");
    assert!(trainer.evaluate_forward(1, u32::MAX as usize, 1).is_ok());
}

fn data_trainer() -> Trainer {
    // In a fixed order an object has one trajectory, and what is left to chance is the points.
    let config = Config::parse(DATA, &["policy.order=fixed".into(), "engine.kind=cpu".into()]).unwrap();
    Builder::of(&config, wgflow::config::Inputs::Files).unwrap().build().unwrap().0
}

/// Three sites, and a sampler whose chains move once in twenty rounds, to an independent sample.
struct Sticky;

const STAY: f64 = 0.95;

struct StickyChains(Vec<usize>);

fn log_reward(object: &[u8]) -> f64 {
    1.3 * f64::from(object[0] + object[1]) - 2.0 * f64::from(object[1] * object[2])
}

impl Target for Sticky {
    fn sites(&self) -> usize {
        3
    }

    fn values(&self) -> usize {
        2
    }

    fn log_reward(&self, objects: &Objects, out: &mut [f64]) {
        objects.rows().zip(out).for_each(|(object, out)| *out = log_reward(object));
    }

    fn log_z(&self) -> Result<f64, TargetError> {
        enumeration::log_z(self)
    }

    fn sampler(&self, seed: u64, chains: usize) -> Result<Box<dyn Sampler>, TargetError> {
        let mut sampler = StickyChains(vec![0; chains]);
        sampler.advance(&Draw::new(seed, u32::MAX, Stream::TargetSampler), 0.0);
        Ok(Box::new(sampler))
    }
}

impl StickyChains {
    fn advance(&mut self, draw: &Draw, stay: f64) {
        let all = Objects::numbered(3, 2, 0..8);
        let weights: Vec<f64> = all.rows().map(|row| log_reward(row).exp()).collect();
        let total: f64 = weights.iter().sum();
        for (chain, state) in self.0.iter_mut().enumerate() {
            let words = draw.words(chain as u32, 0);
            if uniform(words[0]) >= stay {
                let mut left = uniform(words[1]) * total;
                *state = weights
                    .iter()
                    .position(|weight| {
                        left -= weight;
                        left < 0.0
                    })
                    .unwrap_or(7);
            }
        }
    }
}

impl Sampler for StickyChains {
    fn sample(&mut self, draw: &Draw) -> Objects {
        self.advance(draw, STAY);
        Objects::new(
            3,
            self.0.iter().flat_map(|&state| Objects::numbered(3, 2, state..state + 1).row(0).to_vec()).collect(),
        )
    }

    fn state(&self) -> Vec<u8> {
        Vec::new()
    }

    fn restore(&mut self, _: &[u8]) -> Result<(), TargetError> {
        Ok(())
    }
}

/// Evaluations of one policy with so many seeds.
fn repeated(trainer: &mut Trainer, seeds: u64) -> Vec<Evaluation> {
    let sizes = trainer.settings().evaluation.clone();
    (1..=seeds)
        .map(|seed| evaluate_sized(trainer, &sizes, Seed::Fresh(seed), &Stop::default()).unwrap().evaluation)
        .collect()
}

/// Variance of the estimates over the mean of the variances that they claim: near 1 if the claims are right.
fn spread_to_claim(estimates: &[(f64, f64)]) -> f64 {
    let count = estimates.len() as f64;
    assert!(count > 20.0 && estimates.iter().all(|(value, error)| value.is_finite() && *error > 0.0));
    let mean = estimates.iter().map(|(value, _)| value).sum::<f64>() / count;
    let spread = estimates.iter().map(|(value, _)| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
    spread / (estimates.iter().map(|(_, error)| error * error).sum::<f64>() / count)
}

#[test]
fn estimates_of_many_seeds_are_as_far_apart_as_their_standard_errors_say() {
    let settings: Settings = toml::from_str(
        "policy = { hidden = [8], order = 'fixed', initialisation = 'fan_in' }
         evaluation = { samples = 4200 }
         engine = { kind = 'cpu' }",
    )
    .unwrap();
    let mut trainer = Trainer::build(&settings, Arc::new(Sticky)).unwrap().0;
    let found = repeated(&mut trainer, 100);
    // In a fixed order the EUBO's expectation is log Z + KL(pi, P_F^T), which is known exactly.
    let exact = found[0].exact.unwrap();
    let (eubo, error) = (|e: &Evaluation| e.eubo.unwrap(), |e: &Evaluation| e.eubo_standard_error.unwrap());
    let square = |e: &Evaluation| ((eubo(e) - exact.log_z - exact.kl_target_to_model) / error(e)).powi(2);
    let mean_square = found.iter().map(square).sum::<f64>() / 100.0;
    // Mean squares of 100 standard normals: 1 with deviation sqrt(2 / 100) = 0.14. As if samples were independent, the errors
    // of chains that stay for twenty rounds of 17 would be three to four times too small.
    assert!((0.5..1.6).contains(&mean_square), "EUBO: {mean_square}");
    let (log_z, elbo): (Vec<_>, Vec<_>) =
        found.iter().map(|e| ((e.log_z_estimate, e.log_z_standard_error), (e.elbo, e.elbo_standard_error))).unzip();
    for (name, estimates) in [("log Z", log_z), ("ELBO", elbo)] {
        let ratio = spread_to_claim(&estimates);
        assert!((0.5..1.6).contains(&ratio), "{name}: {ratio}");
    }
}

#[test]
fn the_likelihood_s_error_is_that_of_evenly_spread_points() {
    let found = repeated(&mut data_trainer(), 100);
    let nll: Vec<(f64, f64)> = found.iter().map(|e| (e.nll.unwrap(), e.nll_standard_error.unwrap())).collect();
    let ratio = spread_to_claim(&nll);
    // A variance from 100 values, over a mean of 100 variances from 10 sets each: 1 with a deviation of 0.15.
    assert!((0.5..1.6).contains(&ratio), "{ratio}");
}

/// Numbers of every magnitude, whose shortest decimal forms have up to 17 digits.
fn numbers(count: u32) -> Vec<f64> {
    let bits = |index| {
        let [low, high, ..] = Draw::new(9, index, Stream::Data).words(0, 0);
        f64::from_bits(u64::from(low) | u64::from(high) << 32)
    };
    let all = (0..count).map(bits).chain([0.0, -0.0, f64::MAX, f64::MIN_POSITIVE, 5e-324, 0.1, 1e23]);
    all.filter(|number| number.is_finite()).collect()
}

#[test]
fn numbers_read_back_as_they_were_written() {
    let numbers = numbers(20_000);
    assert!(numbers.len() > 19_000);
    let text = |number: f64| serde_json::json!({ "number": number }).to_string();
    let mut table = wgflow::report::Table::new([wgflow::report::Column::right("number")]);
    for &number in &numbers {
        let lines = [text(number), serde_json::to_string_pretty(&serde_json::json!({ "number": number })).unwrap()];
        for line in lines {
            let read: Value = serde_json::from_slice(line.as_bytes()).unwrap();
            assert_eq!(read["number"].as_f64().map(f64::to_bits), Some(number.to_bits()), "{line}");
            // Written again it is the same line: what a resumed run does to the log before its checkpoint.
            assert_eq!(read.to_string(), text(number));
        }
        table.push([number.to_string().into()]);
    }
    let csv = table.to_csv();
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let read: Vec<f64> = reader.records().map(|row| row.unwrap()[0].parse().unwrap()).collect();
    assert!(read.len() == numbers.len() && read.iter().zip(&numbers).all(|(a, b)| a.to_bits() == b.to_bits()));

    let config = Config::parse(SMALL, &[]).unwrap();
    let rates = numbers.iter().map(|number| number.abs()).filter(|rate| (1e-300..1.0).contains(rate));
    let tried = rates.take(500).map(|rate| {
        let mut config = config.clone();
        config.settings.optimizer.learning_rate = rate;
        let read = Config::parse(&config.to_toml(), &[]).unwrap();
        assert_eq!(read.settings.optimizer.learning_rate.to_bits(), rate.to_bits(), "{}", config.to_toml());
    });
    assert_eq!(tried.count(), 500);
}

#[test]
fn a_comparison_of_one_run_has_the_numbers_of_its_summary() {
    let place = tempfile::tempdir().unwrap();
    let (file, out) = (place.path().join("suite.toml"), place.path().join("out"));
    let suite = r#"
        name = "one"
        seeds = 1
        metrics = [{ key = "elbo" }, { key = "log_z_estimate" }, { key = "eubo" }, { key = "ess" }, { key = "seconds" },
                   { key = "elbo_standard_error" }, { key = "exact.total_variation" }]
        experiment = { engine.kind = "cpu", policy.hidden = [8], training = { iterations = 3, batch = 8 },
                       target = { kind = "ising", side = 3 }, evaluation.samples = 4096 }
        [grid]
        "target.coupling" = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]
    "#;
    fs::write(&file, suite).unwrap();
    let shown = succeed(&["compare", file.to_str().unwrap(), "--out", out.to_str().unwrap()]);
    assert!(shown.contains("With one seed nothing is marked"), "{shown}");
    let mut reader = csv::Reader::from_path(out.join("comparison.csv")).unwrap();
    let headings = reader.headers().unwrap().clone();
    let mut compared = 0;
    for row in reader.records().map(|row| row.unwrap()) {
        let run = out.join(format!("coupling-{}_seed-1", &row[0]));
        let summary = json(&fs::read_to_string(run.join("summary.json")).unwrap());
        for (heading, cell) in headings.iter().zip(&row) {
            if let Some(key) = heading.strip_suffix("_mean") {
                let expected = summary.pointer(&format!("/{}", key.replace('.', "/"))).and_then(Value::as_f64).unwrap();
                assert_eq!(cell.parse::<f64>().unwrap().to_bits(), expected.to_bits(), "{key} of {}", run.display());
                compared += 1;
            } else if heading.ends_with("_best") {
                assert_eq!(cell, "false", "{heading}");
            }
        }
    }
    assert_eq!(compared, 8 * 7);
}

#[test]
fn resuming_leaves_the_log_s_numbers_alone() {
    let place = tempfile::tempdir().unwrap();
    let (file, run) = (place.path().join("experiment.toml"), place.path().join("run"));
    fs::write(&file, SMALL.replace("log_every = 5", "log_every = 1")).unwrap();
    let (file, run) = (file.to_str().unwrap(), run.to_str().unwrap());
    let log = || fs::read_to_string(format!("{run}/metrics.jsonl")).unwrap();
    succeed(&["train", file, "--engine", "cpu", "--out", run, "--stop-after", "20"]);
    let before = log();
    succeed(&["train", "--resume", run]);
    assert_eq!(before.lines().count(), 20);
    assert!(log().lines().count() == 30 && log().starts_with(&before), "the first 20 lines are others");
}
