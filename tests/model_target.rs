//! Models from files as targets: both engines on every kind of factor, training and resuming, and `wgflow exact`.

#[path = "common/cli.rs"]
mod cli;
mod common;

use std::fs;
use std::path::Path;

use common::compare::assert_close_at_scale;
use wgflow::config::{Config, Inputs};
use wgflow::engine::Rollout;
use wgflow::process::Objects;
use wgflow::random::{Draw, Stream};
use wgflow::trainer::checkpoint::Checkpoint;
use wgflow::trainer::{Builder, Trainer};

/// Factors over one, two and three variables, over none, with zeros, and variables of 2, 3 and 4 values.
const MIXED: &str = "MARKOV 4 2 3 4 2 5 0 1 2 2 0 1 3 1 2 3 2 3 0
1 2.5
4 1.0 0.5 2.0 0.25
6 1 0.5 2 3 0 0.25
24 1 2 0.5 1 0 1 2 1 1 0.2 3 1 1 1 0.5 0.7 2 2 1 0 1 1.5 1 2
4 1 0.3 2 1
";

/// Variables of three values in pairs: a ring.
const RING: &str = "MARKOV 5 3 3 3 3 3 5 2 0 1 2 1 2 2 2 3 2 3 4 2 4 0
9 1 2 0.5 0.1 1 2 3 0.4 1 9 1 2 0.5 0.1 1 2 3 0.4 1 9 1 2 0.5 0.1 1 2 3 0.4 1
9 1 2 0.5 0.1 1 2 3 0.4 1 9 1 2 0.5 0.1 1 2 3 0.4 1
";

/// Spins with fields.
const SPINS: &str = "# vartype=SPIN\n0 0 0.5\n0 1 1\n1 2 -0.75\n2 3 1.25\n3 3 -0.25\n0 4 0.5\n";

fn config(target: &str, changes: &[&str]) -> Config {
    let text = format!(
        "target = {{ kind = 'model', {target} }}
        policy = {{ hidden = [16, 16], order = 'fixed', guided = true, initialisation = 'fan_in' }}
        objective = {{ kind = 'snis_forward_kl' }}
        optimizer = {{ learning_rate = 1e-2 }}
        training = {{ iterations = 40, batch = 64 }}"
    );
    let changes: Vec<String> = changes.iter().map(ToString::to_string).collect();
    Config::parse(&text, &changes).unwrap()
}

fn inline(text: &str) -> String {
    format!("text = {text:?}")
}

fn built(target: &str, changes: &[&str]) -> Result<Trainer, String> {
    let builder = Builder::of(&config(target, changes), Inputs::Files).map_err(|error| error.to_string())?;
    Ok(builder.build().map_err(|error| error.to_string())?.0)
}

/// log P_F and log R of every object that is allowed, by f32 natively and on the GPU, against f64.
#[test]
fn both_engines_guide_and_reward_alike_on_every_kind_of_factor() {
    let mut compared = 0;
    for text in [MIXED, RING, SPINS] {
        for order in ["policy.order=fixed", "policy.order=uniform"] {
            let build = |changes: &[&str]| built(&inline(text), &[&[order], changes].concat()).unwrap();
            let mut double = build(&["engine.kind=cpu", "engine.precision=f64"]);
            let (sites, values) = (double.target().sites(), double.target().values());
            let all = Objects::numbered(sites, values, 0..values.pow(sites as u32));
            let mut log_reward = vec![f64::NAN; all.count()];
            double.target().log_reward(&all, &mut log_reward);
            let allowed = all.rows().zip(&log_reward).filter(|(_, log_reward)| log_reward.is_finite());
            let allowed = Objects::new(sites, allowed.flat_map(|(row, _)| row.to_vec()).collect());
            let count = allowed.count();
            let expected = double.evaluate_backward(1, 0, &allowed).unwrap();
            // In the fixed order an object has one trajectory, so their probabilities add up to what is not forbidden.
            let sum: f64 = expected.log_forward.iter().map(|log_forward| log_forward.exp()).sum();
            assert!(order.ends_with("uniform") || (0.5..1.0 + 1e-12).contains(&sum), "{sum}");
            for engine in ["engine.kind=cpu", "engine.kind=gpu"] {
                let found = build(&[engine]).evaluate_backward(1, 0, &allowed).unwrap();
                // Some roundings of logits and increments a step.
                let what = format!("{order}, {engine}");
                assert_close_at_scale(&found.log_forward, &expected.log_forward, &vec![10.0; count], 2e-6, &what);
                assert_close_at_scale(&found.log_reward, &expected.log_reward, &vec![10.0; count], 2e-6, &what);
                compared += count;
            }
        }
    }
    assert!(compared > 1000, "{compared}");
}

/// A dense QUBO: steps of a chain are cut so that a software adapter does not leave the guide's loops, of four pairs an
/// iteration.
#[test]
fn dense_models_are_guided_on_a_gpu() {
    const VARIABLES: usize = 300;
    let coefficient = |one: usize, other: usize| ((one * 37 + other * 101 + one * other) % 23) as f64 / 50.0 - 0.22;
    let pairs = (0..VARIABLES).flat_map(|one| (one..VARIABLES).map(move |other| (one, other)));
    let lines = pairs.map(|(one, other)| format!("{one} {other} {}\n", coefficient(one, other)));
    let text = format!("# vartype=BINARY\n{}", lines.collect::<String>());
    let mut compared = 0;
    for order in ["policy.order=fixed", "policy.order=uniform"] {
        let build = |changes: &[&str]| built(&inline(&text), &[&[order], changes].concat()).unwrap();
        let (mut gpu, mut double) = (build(&["engine.kind=gpu"]), build(&["engine.kind=cpu", "engine.precision=f64"]));
        // Increments are sums of up to 300 terms of 0.2, rounded to 2e-6; log P_F is a sum of 300 of them.
        // log R is a sum of 45,150 entries, of which some hundreds of nats are rounded 11,000 times.
        let check = |found: &[f64], expected: &[f64], what: &str| {
            let scale = vec![if what == "log R" { 2000.0 } else { VARIABLES as f64 }; found.len()];
            assert_close_at_scale(found, expected, &scale, 2e-6, &format!("{order}, {what}"));
        };
        // Trajectories of the policy's own, in chains of steps.
        let (drawn, objects) = gpu.evaluate_forward(1, 0, 100).unwrap();
        let trajectories = gpu.engine().trajectories().unwrap();
        let replay = Rollout::replay(Draw::new(1, 0, Stream::Evaluation), &trajectories);
        let expected = double.engine().rollout(&replay).unwrap();
        check(&drawn.log_forward, &expected.log_forward, "drawn");
        check(&gpu.engine().log_reward(&objects).unwrap(), &expected.log_reward, "log R");
        // Objects that it would hardly make, by trajectories whose steps do not wait for each other.
        let objects =
            Objects::new(VARIABLES, (0..100 * VARIABLES).map(|place| (place * place / 7 % 2) as u8).collect());
        let (found, expected) = (gpu.evaluate_backward(1, 0, &objects), double.evaluate_backward(1, 0, &objects));
        let (found, expected) = (found.unwrap(), expected.unwrap());
        check(&found.log_forward, &expected.log_forward, "replayed");
        check(&gpu.engine().log_reward(&objects).unwrap(), &expected.log_reward, "log R");
        compared += drawn.log_forward.len() + found.log_forward.len();
    }
    assert_eq!(compared, 400);
}

/// All factors of three of 50 variables: in software chains of steps are three long, and log R is for the host.
#[test]
fn models_of_many_loops_are_cut_into_short_chains() {
    let triples =
        (0..50).flat_map(|a| (a + 1..50).flat_map(move |b| (b + 1..50).map(move |c| format!("3 {a} {b} {c}\n"))));
    let scopes: Vec<String> = triples.collect();
    let (count, tables) = (scopes.len(), "8 1 1 1 1 1 1.001 1 1.002\n".repeat(scopes.len()));
    let text = format!("MARKOV 50 {}{count}\n{}{tables}", "2 ".repeat(50), scopes.concat());
    let build = |changes: &[&str]| built(&inline(&text), changes).unwrap();
    let (mut gpu, mut double) = (build(&["engine.kind=gpu"]), build(&["engine.kind=cpu", "engine.precision=f64"]));
    let (drawn, objects) = gpu.evaluate_forward(1, 0, 100).unwrap();
    let trajectories = gpu.engine().trajectories().unwrap();
    let replay = Rollout::replay(Draw::new(1, 0, Stream::Evaluation), &trajectories);
    let expected = double.engine().rollout(&replay).unwrap();
    // Some roundings of logits and increments a step; thousands of roundings of a log R of some nats.
    assert_close_at_scale(&drawn.log_forward, &expected.log_forward, &[10.0; 100], 2e-6, "log P_F");
    let found = gpu.engine().log_reward(&objects).unwrap();
    assert_close_at_scale(&found, &expected.log_reward, &[100.0; 100], 2e-6, "log R");
    assert!(expected.log_reward.iter().all(|log_reward| *log_reward > 1.0), "{:?}", expected.log_reward);
}

/// 4950 factors of three around variable 0, each with a loop of its own.
#[test]
fn a_guide_of_too_many_loops_is_refused_by_software_alone_with_the_reason() {
    let pairs = (1..=100).flat_map(|one| (one + 1..=100).map(move |other| (one, other)));
    let scopes: String = pairs.map(|(one, other)| format!("3 0 {one} {other}\n")).collect();
    let text = format!("MARKOV 101 {}4950\n{scopes}{}", "2 ".repeat(101), "8 1 1 1 1 1 1 1 2\n".repeat(4950));
    match built(&inline(&text), &["engine.kind=gpu"]) {
        Ok(_) => assert!(wgflow::engine::gpu::has_hardware_adapter()),
        Err(error) => {
            assert!(["the guide's", "65000", "software", "cpu"].iter().all(|word| error.contains(word)), "{error}")
        }
    }
    assert!(built(&inline(&text), &["engine.kind=gpu", "policy.guided=false"]).is_ok());
}

#[test]
fn training_finds_log_z_and_resumes_bit_for_bit() {
    for engine in ["engine.kind=cpu", "engine.kind=gpu"] {
        let build = || built(&inline(MIXED), &[engine]).unwrap();
        let (mut whole, mut first, mut second) = (build(), build(), build());
        (0..40).for_each(|_| drop(whole.step().unwrap()));
        (0..17).for_each(|_| drop(first.step().unwrap()));
        second.restore(&first.checkpoint()).unwrap();
        (17..40).for_each(|_| drop(second.step().unwrap()));
        assert_eq!(second.parameters(), whole.parameters(), "{engine}");
        let found = wgflow::evaluate(&mut whole, 4096).unwrap().evaluation;
        let off = (found.log_z_estimate - found.log_z_exact.unwrap()).abs();
        assert!(off < 5.0 * found.log_z_standard_error + 1e-6, "{engine}: off by {off}");
        assert!(found.eubo.unwrap() > found.log_z_exact.unwrap(), "{engine}");
        let marginals = found.marginals.expect("a model knows its marginals");
        assert!(marginals.worst < 0.2, "{marginals:?}");
    }
}

#[test]
fn a_model_that_has_changed_is_refused_and_so_is_one_that_forbids_without_a_guide() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("m.uai");
    fs::write(&file, MIXED).unwrap();
    let target = format!("file = {:?}", file.to_str().unwrap());
    let mut trainer = built(&target, &[]).unwrap();
    trainer.step().unwrap();
    let checkpoint = trainer.checkpoint();
    fs::write(&file, MIXED.replace("2.5", "2.75")).unwrap();
    let error = built(&target, &[]).unwrap().restore(&checkpoint).unwrap_err().to_string();
    assert!(error.contains("another model") && error.contains("target.file"), "{error}");
    fs::remove_file(&file).unwrap();
    let error = built(&target, &[]).err().unwrap();
    assert!(error.contains("target.file") && error.contains("m.uai"), "{error}");

    let error = built(&inline(MIXED), &["policy.guided=false"]).err().unwrap();
    assert!(error.contains("policy.guided") && error.contains("log_reward_floor"), "{error}");
    assert!(built(&inline(MIXED), &["policy.guided=false", "objective.log_reward_floor=-9.0"]).is_ok());
}

#[test]
fn a_run_outlives_its_files_and_refuses_others() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let files = || {
        fs::write(path("m.uai"), MIXED).unwrap();
        fs::write(path("m.evid"), "1 3 1\n").unwrap();
    };
    files();
    let target = format!("file = {:?}, evidence = {:?}", path("m.uai"), path("m.evid"));
    let config = config(&target, &["training.iterations=6", "engine.kind=cpu", "evaluation.samples=4096"]);
    fs::write(path("e.toml"), config.to_toml()).unwrap();
    cli::succeed(&["train", &path("e.toml"), "--out", &path("whole")]);
    cli::succeed(&["train", &path("e.toml"), "--out", &path("run"), "--stop-after", "2"]);

    for (file, changed, word) in [
        ("m.uai", MIXED.replace("2.5", "2.75"), "another model"),
        ("m.uai", "MARKOV 1".to_owned(), "m.uai, line 1"),
        ("m.evid", "1 3 0\n".to_owned(), "another model"),
    ] {
        fs::write(path(file), changed).unwrap();
        cli::refuse(2, &[word, "target.", "put it back", "take it away"], &["train", "--resume", &path("run")]);
        files();
    }
    fs::remove_file(path("m.uai")).unwrap();
    cli::succeed(&["train", "--resume", &path("run"), "--stop-after", "2"]);
    fs::remove_file(path("m.evid")).unwrap();
    cli::succeed(&["train", "--resume", &path("run")]);
    let (found, expected) = (cli::tensors(Path::new(&path("run"))), cli::tensors(Path::new(&path("whole"))));
    assert!(found == expected && found.iter().any(|(_, content)| content == MIXED.as_bytes()));
    let found = cli::succeed(&["evaluate", &path("run"), "--json"]);
    let found: serde_json::Value = serde_json::from_str(&found).unwrap();
    assert!(found["log_z_exact"].is_number(), "{found}");
    cli::succeed(&["sample", &path("run"), "-n", "20", "--out", &path("s.csv")]);
    let samples = fs::read_to_string(path("s.csv")).unwrap();
    assert_eq!(samples.lines().filter(|line| line.ends_with(",1")).count(), 20, "the evidence holds: {samples}");

    // Checkpoints from before files were kept have none.
    let kept = Checkpoint::default().files().unwrap();
    let error = Builder::of(&config, Inputs::Checkpoint(kept)).err().unwrap().to_string();
    assert!(["target.file", "m.uai", "put it back"].iter().all(|word| error.contains(word)), "{error}");
    assert!(!error.contains("take it away"), "{error}");
}

/// An even model may be folded, one with fields may not.
#[test]
fn models_without_fields_take_the_flip() {
    let even = "# vartype=SPIN\n0 1 1\n1 2 -0.75\n2 3 1.25\n3 0 0.5\n";
    let mut trainer = built(&inline(even), &["policy.symmetry=flip"]).unwrap();
    let found = wgflow::evaluate(&mut trainer, 4096).unwrap().evaluation;
    assert!((found.log_z_estimate - found.log_z_exact.unwrap()).abs() < 5.0 * found.log_z_standard_error + 1e-6);
    let error = built(&inline(SPINS), &["policy.symmetry=flip"]).err().unwrap();
    assert!(error.contains("policy.symmetry"), "{error}");
}

#[test]
fn exact_answers_on_the_command_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("m.uai"), "MARKOV\n2\n2 3\n2\n1 0\n2 0 1\n2 1.0 2.5\n6 1 0.5 2 3 1 0\n").unwrap();
    let found: serde_json::Value =
        serde_json::from_str(&cli::succeed(&["exact", &path("m.uai"), "--json"])).expect("one JSON object");
    // 1 (1 + 0.5 + 2) + 2.5 (3 + 1 + 0)
    let (log_z, expected) = (found["log_z"].as_f64().unwrap(), 13.5_f64.ln());
    assert_close_at_scale(&[log_z], &[expected], &[1.0], 1e-14, "log Z");
    let text = cli::succeed(&["exact", &path("m.uai")]);
    assert!(text.contains("2.60") && text.contains("1.13"), "natural and to base 10: {text}");

    cli::succeed(&["exact", &path("m.uai"), "-n", "50", "--out", &path("s.csv")]);
    let samples = fs::read_to_string(path("s.csv")).unwrap();
    assert_eq!(samples.lines().count(), 51);
    assert!(samples.lines().skip(1).all(|line| line != "1,2"), "what is forbidden is never drawn");

    // The files of the UAI competitions have every digit.
    cli::succeed(&["exact", &path("m.uai"), "--pr", &path("m.PR"), "--mar", &path("m.MAR")]);
    let pr = fs::read_to_string(path("m.PR")).unwrap();
    let log10_z: f64 = pr.strip_prefix("PR\n").unwrap().trim_end().parse().unwrap();
    assert_close_at_scale(&[log10_z], &[13.5_f64.log10()], &[1.0], 1e-14, "PR");
    let mar = fs::read_to_string(path("m.MAR")).unwrap();
    let mar: Vec<&str> = mar.strip_prefix("MAR\n").unwrap().split_whitespace().collect();
    assert_eq!((mar.len(), mar[0], mar[1], mar[4]), (8, "2", "2", "3"));
    let probabilities = [2, 3, 5, 6, 7].map(|place| mar[place].parse::<f64>().unwrap());
    let expected = [3.5, 10.0, 8.5, 3.0, 2.0].map(|sum| sum / 13.5);
    assert_close_at_scale(&probabilities, &expected, &[1.0; 5], 1e-14, "MAR");
    cli::refuse(2, &["--pr", "--mar", "same"], &["exact", &path("m.uai"), "--pr", &path("x"), "--mar", &path("x")]);
    cli::refuse(2, &["make it first"], &["exact", &path("m.uai"), "--pr", &path("none/x")]);
    fs::write(path("none.uai"), "MARKOV 1 2 1 1 0 2 0 0").unwrap();
    cli::refuse(2, &["no marginals"], &["exact", &path("none.uai"), "--mar", &path("none.MAR")]);
    cli::succeed(&["exact", &path("none.uai"), "--pr", &path("none.PR")]);
    assert_eq!(fs::read_to_string(path("none.PR")).unwrap(), "PR\n-inf\n");
    fs::remove_file(path("none.uai")).unwrap();

    fs::write(path("e.evid"), "1 0 1\n").unwrap();
    let given = cli::succeed(&["exact", &path("m.uai"), "--evidence", &path("e.evid"), "--json"]);
    let given: serde_json::Value = serde_json::from_str(&given).unwrap();
    assert_close_at_scale(&[given["log_z"].as_f64().unwrap()], &[10.0_f64.ln()], &[1.0], 1e-14, "log Z given");

    fs::write(path("bad.uai"), "MARKOV\n2\n2 3\n1\n1 7\n2 1 1\n").unwrap();
    cli::refuse(2, &["bad.uai", "5", "7"], &["exact", &path("bad.uai")]);
    cli::refuse(2, &["none.uai"], &["exact", &path("none.uai")]);
}

#[test]
fn marginals_and_the_best_objects_on_the_command_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let target = inline(SPINS);
    let changes = ["training.iterations=3"];
    fs::write(path("e.toml"), config(&target, &changes).to_toml()).unwrap();
    cli::succeed(&["train", &path("e.toml"), "--out", &path("run")]);

    let found = cli::succeed(&["evaluate", &path("run"), "--marginals", &path("m.csv"), "--json"]);
    let found: serde_json::Value = serde_json::from_str(&found).unwrap();
    let worst = found["worst_marginal_in_standard_errors"]["weighted"].as_f64().unwrap();
    // The worst of five independent numbers.
    assert!(worst < 5.0, "{worst}");
    let marginals = fs::read_to_string(path("m.csv")).unwrap();
    let lines: Vec<Vec<&str>> = marginals.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!((lines.len(), lines[0][6], &lines[1][..2]), (11, "exact", &["0", "-1"][..]));
    let number = |line: usize, column: usize| lines[line][column].parse::<f64>().unwrap();
    for column in [2, 4, 6] {
        let sum = number(1, column) + number(2, column);
        assert_close_at_scale(&[sum], &[1.0], &[1.0], 1e-12, "both values of a site");
    }

    let text = cli::succeed(&["sample", &path("run"), "-n", "200", "--best", "3", "--out", &path("b.csv")]);
    let best = fs::read_to_string(path("b.csv")).unwrap();
    let lines: Vec<&str> = best.lines().collect();
    assert_eq!((lines.len(), lines[0]), (4, "log_reward,energy,0,1,2,3,4"));
    let log_reward = |line: &str| line.split(',').next().unwrap().parse::<f64>().unwrap();
    assert!(lines[1..].windows(2).all(|pair| log_reward(pair[0]) >= log_reward(pair[1])), "{best}");
    assert!(text.contains("the best: log R"), "{text}");
    cli::succeed(&["sample", &path("run"), "-n", "20", "--out", &path("b.npy"), "--best"]);
    assert_eq!(fs::read(path("b.npy")).unwrap().len() % 64, 5, "one object of five sites");
}
