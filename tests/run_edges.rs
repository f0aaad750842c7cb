//! Runs at their edges: before the first checkpoint, between two lengths, in a directory that goes away.

#[path = "common/cli.rs"]
mod cli;
#[path = "common/place.rs"]
mod place;

use std::fs;
use std::process::Stdio;

use cli::{policy_tensors, succeed};
use place::{Place, assert_code, wait_for, words};
use wgflow::run::checkpoint::Checkpoint;

fn iterations(place: &Place, run: &str) -> u64 {
    let text = fs::read_to_string(place.at(run).join("config.toml")).unwrap();
    let table: toml::Table = text.parse().unwrap();
    table["training"]["iterations"].as_integer().unwrap() as u64
}

/// What a process leaves that was killed right after it made its directory: a configuration and an empty log.
fn killed_at_once(place: &Place, run: &str) {
    assert_code(&place.train(run, &[]).output().unwrap(), 0);
    for name in ["checkpoint.safetensors", "summary.json", "report.html", "times.json"] {
        fs::remove_file(place.at(run).join(name)).unwrap();
    }
    fs::write(place.at(run).join("metrics.jsonl"), "").unwrap();
}

#[test]
fn a_run_killed_before_its_first_checkpoint_goes_on() {
    let place = Place::new();
    let whole = place.trained();
    killed_at_once(&place, "killed");
    let resumed = place.command(&["train", "--resume", "killed", "--engine", "cpu"]).output().unwrap();
    assert_code(&resumed, 0);
    assert_eq!(policy_tensors(&place.at("killed")), policy_tensors(&place.at(whole)));
    // A log with a line in it is a trace of training: then the checkpoint is missed.
    killed_at_once(&place, "orphan");
    fs::write(place.at("orphan/metrics.jsonl"), "{\"iteration\": 0}\n").unwrap();
    let refused = place.command(&["train", "--resume", "orphan"]).output().unwrap();
    assert_code(&refused, 2);
}

#[test]
fn a_comparison_takes_up_a_run_killed_before_its_first_checkpoint() {
    let place = Place::new();
    let compare = || place.command(&["compare", "suite.toml", "--out", "suite"]).output().unwrap();
    assert_code(&compare(), 0);
    let run = fs::read_dir(place.at("suite")).unwrap().map(|entry| entry.unwrap().path()).find(|path| path.is_dir());
    let run = run.expect("a run of the suite");
    let before = policy_tensors(&run);
    for name in ["checkpoint.safetensors", "summary.json", "report.html", "times.json"] {
        fs::remove_file(run.join(name)).unwrap();
    }
    fs::write(run.join("metrics.jsonl"), "").unwrap();
    assert_code(&compare(), 0);
    assert_eq!(policy_tensors(&run), before);
}

#[test]
fn a_length_given_and_taken_back_leaves_one_that_all_agree_on() {
    let place = Place::new();
    let run = place.trained();
    let resume = |more: &[&str]| {
        place.command(&[&["train", "--resume", run, "--engine", "cpu"], more].concat()).output().unwrap()
    };
    // Stopped at once: nothing is trained, and the run is 41 iterations long.
    assert_code(&resume(&["--iterations", "41", "--stop-after", "0"]), 0);
    assert_eq!(iterations(&place, run), 41);
    let path = place.at(run);
    assert_code(&resume(&["--iterations", "30"]), 0);
    assert_eq!(iterations(&place, run), 30);
    succeed(&["evaluate", path.to_str().unwrap()]);
}

#[test]
fn an_extension_cut_off_before_config_toml_goes_on_with_its_new_length() {
    let place = Place::new();
    let run = place.trained();
    let config = fs::read(place.at(run).join("config.toml")).unwrap();
    let mut marked = Checkpoint::read(&place.at(run).join("checkpoint.safetensors")).unwrap();
    let resume = |more: &[&str]| {
        place.command(&[&["train", "--resume", run, "--engine", "cpu"], more].concat()).output().unwrap()
    };
    assert_code(&resume(&["--iterations", "35"]), 0);
    let longer = policy_tensors(&place.at(run));
    // What was there before, but for a checkpoint that says that it is to be 35 iterations long: the process was cut off
    // between the two files.
    let text = marked.text::<String>("config").unwrap().replace("iterations = 30", "iterations = 35");
    assert!(text.contains("iterations = 35"));
    marked.put_text("config", text);
    marked.put_text("length_before", 30);
    fs::write(place.at(run).join("config.toml"), config).unwrap();
    marked.write(&place.at(run).join("checkpoint.safetensors")).unwrap();
    for name in ["summary.json", "report.html"] {
        fs::remove_file(place.at(run).join(name)).unwrap();
    }
    let log: String = fs::read_to_string(place.at(run).join("metrics.jsonl")).unwrap();
    let counted: usize = marked.text("log_lines").unwrap();
    let kept: String = log.lines().take(counted).map(|line| format!("{line}\n")).collect();
    fs::write(place.at(run).join("metrics.jsonl"), kept).unwrap();
    assert_code(&resume(&[]), 0);
    assert_eq!(iterations(&place, run), 35);
    assert_eq!(policy_tensors(&place.at(run)), longer);
}

#[cfg(unix)]
#[test]
fn a_directory_moved_while_its_run_writes_is_not_written_to_any_more() {
    let place = Place::new();
    let mut command = place.train("here", &["--iterations", "1000000", "--set", "training.checkpoint_seconds=0.2"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for("a checkpoint", || place.at("here/checkpoint.safetensors").exists());
    fs::rename(place.at("here"), place.at("there")).unwrap();
    fs::create_dir(place.at("here")).unwrap();
    let mut status = None;
    wait_for("the run to notice", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    let output = child.wait_with_output().unwrap();
    assert_eq!(status.unwrap().code(), Some(1), "{}", words(&output.stderr));
    // Moved between two writes, or between the look before a write and the write.
    let said = words(&output.stderr);
    assert!(said.contains("moved or removed") || said.contains("cannot write here"), "{said}");
    assert_eq!(fs::read_dir(place.at("here")).unwrap().count(), 0, "something was written to the old place");
    let stop = ["train", "--resume", "there", "--engine", "cpu", "--stop-after", "0"];
    assert_code(&place.command(&stop).output().unwrap(), 0);
}

#[test]
fn a_policy_beyond_use_is_not_looked_at_as_if_it_were_one() {
    let place = Place::new();
    let run = place.trained();
    let path = place.at(run).join("checkpoint.safetensors");
    let mut checkpoint = Checkpoint::read(&path).unwrap();
    checkpoint.put_f32("policy.0.bias", &[24], &[f64::NAN; 24]);
    checkpoint.write(&path).unwrap();
    for arguments in [&["evaluate", run][..], &["sample", run, "-n", "10", "--out", "objects.csv"]] {
        let output = place.command(arguments).output().unwrap();
        assert_code(&output, 1);
        assert!(words(&output.stderr).contains("the policy is broken: log P_F of trajectory 0 is NaN"));
    }
    assert!(!place.at("objects.csv").exists());
}

#[test]
fn a_run_with_an_energy_of_f64_is_the_same_when_it_is_looked_at() {
    use safetensors::tensor::{Dtype, TensorView};

    let place = Place::new();
    // An MLP of eight bits with two units; no number is exact in f32.
    let shapes: [(&str, &[usize]); 4] =
        [("energy.0.weight", &[2, 8]), ("energy.0.bias", &[2]), ("energy.2.weight", &[1, 2]), ("energy.2.bias", &[1])];
    let bytes = shapes.map(|(name, shape)| {
        let count = shape.iter().product::<usize>();
        let numbers = (0..count).map(|i| (name.len() as f64 + 0.7 * i as f64).sin() / 3.0);
        numbers.flat_map(f64::to_le_bytes).collect::<Vec<u8>>()
    });
    let views = shapes
        .iter()
        .zip(&bytes)
        .map(|((name, shape), bytes)| (*name, TensorView::new(Dtype::F64, shape.to_vec(), bytes).unwrap()));
    fs::write(place.at("energy.safetensors"), safetensors::serialize(views, None).unwrap()).unwrap();
    let experiment = "
        engine.kind = 'cpu'
        policy.hidden = [8]
        training = { iterations = 3, batch = 16 }
        [target]
        kind = 'density'
        mode = 'fixed'
        data = '2spirals'
        bits = 8
        energy = 'energy.safetensors'
        hidden = [2]
    ";
    fs::write(place.at("energy.toml"), experiment).unwrap();
    assert_code(&place.command(&["train", "energy.toml", "--out", "run"]).output().unwrap(), 0);
    let summary: serde_json::Value = serde_json::from_slice(&fs::read(place.at("run/summary.json")).unwrap()).unwrap();
    let output = place.command(&["evaluate", "run", "--json"]).output().unwrap();
    assert_code(&output, 0);
    let evaluation: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let exact = evaluation["log_z_exact"].as_f64().expect("eight bits are enumerated");
    assert_eq!(Some(exact), summary["log_z_exact"].as_f64(), "{summary:#}");
}

#[test]
fn one_set_changes_one_key() {
    let place = Place::new();
    let output = place.train("run", &["--set", "training.batch=32\nseed = 9"]).output().unwrap();
    assert_code(&output, 2);
    assert!(words(&output.stderr).contains("one key at a time"), "{}", words(&output.stderr));
}
