//! Run directories: one writer at a time, a checkpoint that knows what it belongs to, nothing lost and nothing adopted.

#[path = "common/cli.rs"]
mod cli;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant, SystemTime};

use cli::{SMALL, policy_tensors, refuse, run, succeed, wgflow};
use serde_json::Value;
use tempfile::TempDir;

/// A directory with the small experiment in `small.toml`, and the path of that.
fn place() -> (TempDir, String) {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("small.toml");
    fs::write(&file, SMALL).unwrap();
    (place, file.to_str().unwrap().to_string())
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Arguments that train an experiment on the native engine.
fn train<'a>(file: &'a str, out: &'a Path) -> Vec<&'a str> {
    vec!["train", file, "--engine", "cpu", "--out", text(out)]
}

fn resume<'a>(out: &'a Path, more: &[&'a str]) -> Vec<&'a str> {
    [&["train", "--resume", text(out), "--engine", "cpu"], more].concat()
}

fn summary(out: &Path) -> Value {
    serde_json::from_slice(&fs::read(out.join("summary.json")).unwrap()).unwrap()
}

/// Contents and time of change of every file of a directory but its lock, which names whoever looked last.
fn contents(directory: &Path) -> BTreeMap<PathBuf, (Vec<u8>, SystemTime)> {
    let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| !path.ends_with(".lock"));
    let read = |path: PathBuf| {
        let changed = fs::metadata(&path).unwrap().modified().unwrap();
        (path.clone(), (fs::read(&path).unwrap(), changed))
    };
    let contents: BTreeMap<_, _> = files.map(read).collect();
    assert!(!contents.is_empty(), "{} is empty", directory.display());
    contents
}

/// Starts a run of many iterations, and waits for its first checkpoint.
fn start_long(file: &str, out: &Path) -> Child {
    let mut command = wgflow(&train(file, out));
    command.args(["--iterations", "1000000"]).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    wait_for(&out.join("checkpoint.safetensors"), &mut child);
    child
}

fn wait_for(file: &Path, child: &mut Child) {
    let begun = Instant::now();
    while !file.exists() {
        assert!(child.try_wait().unwrap().is_none(), "ended before {} was there", file.display());
        assert!(begun.elapsed() < Duration::from_secs(120), "{} is not there after two minutes", file.display());
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_second_process_in_the_same_directory_is_refused_and_touches_nothing() {
    let (place, file) = place();
    let out = place.path().join("run");
    let mut child = start_long(&file, &out);
    let holder = format!("process {}", child.id());
    let config = fs::read(out.join("config.toml")).unwrap();
    let metrics = fs::read(out.join("metrics.jsonl")).unwrap();
    refuse(2, &["already holds a run", text(&out)], &[&train(&file, &out)[..], &["--seed", "4"]].concat());
    refuse(2, &["in use", &holder, text(&out)], &resume(&out, &[]));
    refuse(2, &["in use", &holder], &resume(&out, &["--iterations", "10"]));
    assert!(child.try_wait().unwrap().is_none(), "the first one goes on");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(fs::read(out.join("config.toml")).unwrap(), config);
    assert!(fs::read(out.join("metrics.jsonl")).unwrap().starts_with(&metrics), "the log only grew");
    // The lock ends with its process, so the killed run can go on.
    succeed(&resume(&out, &["--stop-after", "1"]));
}

#[test]
fn processes_that_choose_a_directory_at_the_same_time_choose_different_ones() {
    let (place, file) = place();
    let start = |seed: usize| {
        let mut command = wgflow(&["train", &file, "--engine", "cpu", "--iterations", "2", "--seed"]);
        command.arg(seed.to_string()).current_dir(place.path()).stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let children: Vec<Child> = (1..=8).map(start).collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let mut seeds: Vec<u64> = (1..=8)
        .map(|number| {
            let run = place.path().join(format!("runs/small-{number}"));
            let config: toml::Table = fs::read_to_string(run.join("config.toml")).unwrap().parse().unwrap();
            let seed = summary(&run)["seed"].as_u64().unwrap();
            assert_eq!(config["seed"].as_integer(), Some(seed as i64), "one run's config beside another's summary");
            seed
        })
        .collect();
    seeds.sort();
    assert_eq!(seeds, [1, 2, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn keys_that_changed_under_a_checkpoint_are_named_and_refused() {
    let (place, file) = place();
    let out = place.path().join("run");
    succeed(&[&train(&file, &out)[..], &["--stop-after", "3"]].concat());
    let path = out.join("config.toml");
    let config = fs::read_to_string(&path).unwrap();
    let checkpoint = fs::read(out.join("checkpoint.safetensors")).unwrap();
    let change = |changes: &[(&str, &str)]| {
        let change = |text: String, (from, to): &(&str, &str)| {
            assert!(text.contains(from), "{from} is not in {text}");
            text.replace(from, to)
        };
        fs::write(&path, changes.iter().fold(config.clone(), change)).unwrap();
    };
    change(&[("seed = 3", "seed = 4"), ("batch = 70", "batch = 71"), ("side = 3", "side = 4")]);
    let words = ["seed is 4, not 3", "training.batch is 71, not 70", "target.side is 4, not 3", "put config.toml back"];
    refuse(2, &words, &resume(&out, &[]));
    refuse(2, &words, &["evaluate", text(&out)]);
    change(&[("iterations = 30", "iterations = 40")]);
    refuse(2, &["training.iterations is 40, not 30", "--iterations"], &resume(&out, &[]));
    assert_eq!(fs::read(out.join("checkpoint.safetensors")).unwrap(), checkpoint);
    // What the policy does not depend on may change.
    change(&[("log_every = 5", "log_every = 7"), ("samples = 4096", "samples = 5000")]);
    succeed(&resume(&out, &[]));
    assert_eq!(summary(&out)["samples"], 5000);
}

#[test]
fn a_run_becomes_longer_or_shorter_where_that_is_asked_for() {
    let (place, file) = place();
    let [whole, parts] = ["whole", "parts"].map(|name| place.path().join(name));
    succeed(&[&train(&file, &whole)[..], &["--iterations", "45"]].concat());
    succeed(&train(&file, &parts));
    assert_eq!(summary(&parts)["iterations"], 30);
    refuse(2, &["training.iterations = 20", "30"], &resume(&parts, &["--iterations", "20"]));
    assert_eq!(summary(&parts)["iterations"], 30);
    let said = succeed(&resume(&parts, &["--iterations", "45"]));
    assert!(said.contains("45 iterations now, not 30") && said.contains("no key has a schedule"), "{said}");
    assert_eq!(policy_tensors(&whole), policy_tensors(&parts), "without schedules, as if begun with that length");
    assert_eq!(summary(&parts)["iterations"], 45);
    assert!(fs::read_to_string(parts.join("config.toml")).unwrap().contains("iterations = 45"));

    let scheduled = place.path().join("scheduled");
    let cosine = ["--set", "optimizer.schedule=cosine", "--stop-after", "12"];
    succeed(&[&train(&file, &scheduled)[..], &cosine].concat());
    let said = succeed(&resume(&scheduled, &["--iterations", "12"]));
    assert!(said.contains("12 iterations now, not 30") && said.contains("optimizer.schedule"), "{said}");
    assert_eq!(summary(&scheduled)["iterations"], 12);
}

#[test]
fn a_finished_run_stays_as_it_is() {
    let (place, file) = place();
    let out = place.path().join("run");
    succeed(&train(&file, &out));
    let before = contents(&out);
    let said = succeed(&resume(&out, &[]));
    assert!(said.contains("finished") && said.contains("report.html"), "{said}");
    let events = succeed(&resume(&out, &["--json"]));
    let event: Value = serde_json::from_str(&events).unwrap();
    assert_eq!((&event["event"], &event["summary"]), (&"summary".into(), &summary(&out)));
    assert!(contents(&out) == before, "a finished run has changed");
}

#[test]
fn the_same_run_leaves_the_same_checkpoint_to_the_byte() {
    let (place, file) = place();
    let [one, two, parts] = ["one", "two", "parts"].map(|name| place.path().join(name));
    let whole_state = ["--set", "objective={kind='alpha_tb', alpha=0.5}"];
    let train = |out| [&train(&file, out)[..], &whole_state].concat();
    succeed(&train(&one));
    succeed(&train(&two));
    succeed(&[&train(&parts)[..], &["--stop-after", "11"]].concat());
    succeed(&resume(&parts, &[]));
    let checkpoint = |out: &Path| fs::read(out.join("checkpoint.safetensors")).unwrap();
    assert!(checkpoint(&one) == checkpoint(&two), "twice the same run");
    assert!(checkpoint(&one) == checkpoint(&parts), "interrupted and resumed");
}

#[test]
fn a_log_is_cut_where_the_checkpoint_says_and_otherwise_left_alone() {
    let (place, file) = place();
    let out = place.path().join("run");
    succeed(&[&train(&file, &out)[..], &["--stop-after", "12"]].concat());
    let path = out.join("metrics.jsonl");
    let log = fs::read_to_string(&path).unwrap();
    assert_eq!(log.lines().count(), 3, "iterations 0, 5 and 10");
    // A line that somebody damaged, one that was written after the checkpoint, and one that a kill cut off.
    let damaged = log.replacen("\"iteration\":5", "\"iteration\":five", 1);
    fs::write(&path, format!("{damaged}{{\"iteration\":11,\"elbo\":1.0}}\n{{\"iterat")).unwrap();
    let output = run(&resume(&out, &[]));
    let warning = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{warning}");
    assert!(warning.contains("metrics.jsonl, line 2"), "{warning}");
    let now = fs::read_to_string(&path).unwrap();
    assert!(now.starts_with(&damaged), "{now}");
    let iteration = |line: &str| serde_json::from_str::<Value>(line).ok().and_then(|line| line["iteration"].as_u64());
    let expected = [Some(0), None, Some(10), Some(15), Some(20), Some(25), Some(29)];
    assert_eq!(now.lines().map(iteration).collect::<Vec<_>>(), expected);

    // A log with fewer lines than the checkpoint counts has lost some.
    let lost = place.path().join("lost");
    succeed(&[&train(&file, &lost)[..], &["--stop-after", "12"]].concat());
    fs::write(lost.join("metrics.jsonl"), log.lines().next().unwrap()).unwrap();
    refuse(2, &["metrics.jsonl", "0 whole lines", "counts 3"], &resume(&lost, &[]));
    fs::remove_file(lost.join("metrics.jsonl")).unwrap();
    succeed(&resume(&lost, &[]));
    assert_eq!(policy_tensors(&lost), policy_tensors(&out));
}

#[test]
fn times_add_up_over_sessions() {
    let (place, file) = place();
    let out = place.path().join("run");
    let times = || -> Value { serde_json::from_slice(&fs::read(out.join("times.json")).unwrap()).unwrap() };
    succeed(&[&train(&file, &out)[..], &["--set", "evaluation.every=10", "--stop-after", "12"]].concat());
    let first = times();
    assert_eq!(first["iterations"], 12);
    succeed(&resume(&out, &[]));
    let (both, summary) = (times(), summary(&out));
    assert_eq!(both["iterations"], 30);
    let number = |object: &Value, key: &str| object[key].as_f64().unwrap();
    for key in ["training_seconds", "evaluation_seconds", "saving_seconds"] {
        assert!(number(&first, key) > 0.0 && number(&both, key) > number(&first, key), "{key}: {first} {both}");
    }
    assert_eq!(number(&summary, "seconds"), number(&both, "training_seconds"));
    assert_eq!(number(&summary, "iterations_per_second"), 30.0 / number(&both, "training_seconds"));
    let log = fs::read_to_string(out.join("metrics.jsonl")).unwrap();
    let seconds: Vec<f64> =
        log.lines().map(|line| number(&serde_json::from_str::<Value>(line).unwrap(), "seconds")).collect();
    assert!(seconds.len() > 5 && seconds.is_sorted(), "{seconds:?}");
}

/// A held energy model on 8 bits, its file named relative to the experiment's.
const FIXED: &str = "
target = { kind = 'density', mode = 'fixed', data = 'moons', bits = 8, energy = 'models/energy.safetensors', hidden = [8] }
policy = { hidden = [16], initialisation = 'fan_in' }
training = { iterations = 30, batch = 64, log_every = 5 }
evaluation = { samples = 4096, nll_points = 2000, nll_trajectories = 2, mmd_samples = 50 }
";

/// Writes an energy model of 8 inputs and 8 hidden units.
fn energy_file(path: &Path) {
    use safetensors::tensor::{Dtype, TensorView, serialize};
    let tensor = |count: usize, scale: f32| -> Vec<u8> {
        (0..count).flat_map(|index| (scale * (1.7 * index as f32 + 0.3).sin()).to_le_bytes()).collect()
    };
    let parts = [
        ("energy.0.weight", vec![8, 8], tensor(64, 0.5)),
        ("energy.0.bias", vec![8], tensor(8, 0.5)),
        ("energy.2.weight", vec![1, 8], tensor(8, 1.0)),
        ("energy.2.bias", vec![1], tensor(1, 1.0)),
    ];
    let views = parts.iter().map(|(name, shape, bytes)| {
        (*name, TensorView::new(Dtype::F32, shape.clone(), bytes).expect("bytes of the right number"))
    });
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, serialize(views, None).unwrap()).unwrap();
}

#[test]
fn a_run_outlives_its_input_files() {
    let place = tempfile::tempdir().unwrap();
    let (file, energy) = (place.path().join("fixed.toml"), place.path().join("models/energy.safetensors"));
    fs::write(&file, FIXED).unwrap();
    let [whole, parts] = ["whole", "parts"].map(|name| place.path().join(name));
    refuse(2, &["target.energy", "energy.safetensors"], &train(text(&file), &whole));
    assert!(!whole.exists());
    // The path is relative to the experiment file, whatever the directory of the process.
    energy_file(&energy);
    succeed(&train(text(&file), &whole));
    succeed(&[&train(text(&file), &parts)[..], &["--stop-after", "10"]].concat());
    fs::remove_file(&energy).unwrap();
    succeed(&resume(&parts, &[]));
    assert_eq!(policy_tensors(&whole), policy_tensors(&parts));
    let log_z = |run: &Path| summary(run)["log_z_exact"].as_f64().unwrap();
    assert_eq!(log_z(&whole), log_z(&parts));
    let evaluation: Value = serde_json::from_str(&succeed(&["evaluate", text(&parts), "--json"])).unwrap();
    assert_eq!(evaluation["log_z_exact"].as_f64(), Some(log_z(&parts)));
    succeed(&["sample", text(&parts), "-n", "10", "--out", text(&place.path().join("x.csv"))]);
    // What --set names is relative to the directory of the process.
    let set =
        ["train", text(&file), "--engine", "cpu", "--out", "set", "--set", "target.energy=elsewhere/e.safetensors"];
    energy_file(&place.path().join("below/elsewhere/e.safetensors"));
    let status = wgflow(&set).current_dir(place.path().join("below")).stdout(Stdio::null()).status().unwrap();
    assert!(status.success());
    assert_eq!(log_z(&place.path().join("below/set")), log_z(&whole));
}

#[test]
fn half_a_run_is_said_to_be_half_and_not_adopted() {
    let (place, file) = place();
    let out = place.path().join("run");
    succeed(&[&train(&file, &out)[..], &["--stop-after", "6"]].concat());
    let [config, checkpoint] = ["config.toml", "checkpoint.safetensors"].map(|name| out.join(name));
    let (kept_config, kept_checkpoint) = (fs::read(&config).unwrap(), fs::read(&checkpoint).unwrap());

    fs::remove_file(&config).unwrap();
    for arguments in [train(&file, &out), resume(&out, &[]), vec!["evaluate", text(&out)]] {
        let before = contents(&out);
        refuse(2, &["checkpoint.safetensors", "without the config.toml"], &arguments);
        assert!(contents(&out) == before, "{arguments:?} changed something");
    }
    fs::write(&config, kept_config).unwrap();
    fs::remove_file(&checkpoint).unwrap();
    refuse(2, &["metrics.jsonl", "checkpoint.safetensors is gone"], &resume(&out, &[]));
    fs::remove_file(&config).unwrap();
    refuse(2, &["metrics.jsonl", "are gone"], &train(&file, &out));
    fs::write(&checkpoint, kept_checkpoint).unwrap();
    assert!(out.join("metrics.jsonl").exists());

    // Files that are nobody's half are not overwritten either; those that a run has no use for are not in its way.
    let foreign = place.path().join("foreign");
    fs::create_dir(&foreign).unwrap();
    fs::write(foreign.join("log.txt"), "mine").unwrap();
    for name in ["report.html", "holiday.png", "times.json", "summary.json", "metrics.jsonl"] {
        fs::write(foreign.join(name), "mine").unwrap();
        refuse(2, &[name], &train(&file, &foreign));
        assert_eq!(fs::read_to_string(foreign.join(name)).unwrap(), "mine");
        fs::remove_file(foreign.join(name)).unwrap();
    }
    succeed(&train(&file, &foreign));
    assert_eq!(fs::read_to_string(foreign.join("log.txt")).unwrap(), "mine");

    // A run that was killed before its first checkpoint has lost nothing.
    let fresh = place.path().join("fresh");
    fs::create_dir(&fresh).unwrap();
    fs::copy(&file, fresh.join("config.toml")).unwrap();
    succeed(&resume(&fresh, &[]));
    assert_eq!(summary(&fresh)["iterations"], 30);
}

#[test]
fn a_suite_has_one_process_at_a_time() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("suite.toml");
    let suite = format!("name = 's'\nseeds = 2\n[experiment]\n{}", SMALL.replace("seed = 3", ""))
        .replace("[target]", "[experiment.target]")
        .replace("[policy]", "[experiment.policy]")
        .replace("[training]", "[experiment.training]")
        .replace("[evaluation]", "[experiment.evaluation]")
        .replace("iterations = 30", "iterations = 1000000");
    fs::write(&file, suite).unwrap();
    let out = place.path().join("out");
    let compare = ["compare", text(&file), "--engine", "cpu", "--jobs", "1", "--out", text(&out)];
    let mut child = wgflow(&compare).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let first = out.join("seed-1");
    wait_for(&first.join("checkpoint.safetensors"), &mut child);
    let holder = format!("process {}", child.id());
    refuse(2, &["in use", &holder], &compare);
    refuse(2, &["in use", &holder, "seed-1"], &resume(&first, &[]));
    assert!(!out.join("seed-2").exists(), "nothing was begun by the second one");
    assert!(child.try_wait().unwrap().is_none());
    child.kill().unwrap();
    child.wait().unwrap();
}
