//! Runs are reproducible and resume bit for bit, whatever stopped them.

#[path = "common/cli.rs"]
mod cli;

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use cli::{SMALL, policy_tensors, succeed, wgflow};
use tempfile::TempDir;

/// Uses everything a checkpoint has to keep: zeta, the target sampler's chains, both kinds of batches.
const WHOLE_STATE: [&str; 2] = ["--set", "objective={kind='alpha_tb', alpha=0.5}"];

fn place() -> (TempDir, String) {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("small.toml");
    fs::write(&file, SMALL).unwrap();
    let file = file.to_str().unwrap().to_string();
    (place, file)
}

fn train<'a>(file: &'a str, out: &'a Path, engine: &'a str) -> Vec<&'a str> {
    let mut arguments = vec!["train", file, "--engine", engine, "--out", out.to_str().unwrap()];
    arguments.extend(WHOLE_STATE);
    arguments
}

fn resume(out: &Path, engine: &str) {
    succeed(&["train", "--resume", out.to_str().unwrap(), "--engine", engine]);
}

fn stopped_and_resumed_equals_uninterrupted(engine: &str) {
    let (place, file) = place();
    let [whole, again, parts] = ["whole", "again", "parts"].map(|name| place.path().join(name));
    succeed(&train(&file, &whole, engine));
    succeed(&train(&file, &again, engine));
    assert_eq!(policy_tensors(&whole), policy_tensors(&again), "the same seed twice");
    succeed(&[&train(&file, &parts, engine)[..], &["--stop-after", "15"]].concat());
    assert_ne!(policy_tensors(&whole), policy_tensors(&parts));
    resume(&parts, engine);
    assert_eq!(policy_tensors(&whole), policy_tensors(&parts), "stopped after 15 of 30 iterations and resumed");
    let lines = |run: &Path| fs::read_to_string(run.join("metrics.jsonl")).unwrap().lines().count();
    assert_eq!(lines(&whole), lines(&parts));
}

#[test]
fn the_native_engine_resumes_bit_for_bit() {
    stopped_and_resumed_equals_uninterrupted("cpu");
}

#[test]
fn the_gpu_engine_resumes_bit_for_bit() {
    stopped_and_resumed_equals_uninterrupted("gpu");
}

#[test]
fn another_seed_is_another_run() {
    let (place, file) = place();
    let [one, other] = ["one", "other"].map(|name| place.path().join(name));
    succeed(&train(&file, &one, "cpu"));
    succeed(&[&train(&file, &other, "cpu")[..], &["--seed", "4"]].concat());
    assert_ne!(policy_tensors(&one), policy_tensors(&other));
}

/// A run long enough to be interrupted, saving after every iteration.
fn start_long(file: &str, out: &Path) -> Child {
    let mut command = wgflow(&train(file, out, "cpu"));
    command.args(["--iterations", "600", "--set", "training.checkpoint_seconds=0"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn a_killed_run_resumes_to_the_same_end() {
    let (place, file) = place();
    let [whole, killed] = ["whole", "killed"].map(|name| place.path().join(name));
    assert!(start_long(&file, &whole).wait_with_output().unwrap().status.success());
    let mut child = start_long(&file, &killed);
    for delay in [5, 40, 90, 150, 30] {
        std::thread::sleep(Duration::from_millis(delay));
        child.kill().unwrap();
        child.wait().unwrap();
        if !killed.join("config.toml").exists() {
            // Killed before the run had written anything: there is nothing to resume, and nothing in the way.
            child = start_long(&file, &killed);
            continue;
        }
        let command = ["train", "--resume", killed.to_str().unwrap(), "--engine", "cpu"];
        child = wgflow(&command).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    }
    let finished = child.wait().unwrap();
    assert!(finished.success());
    assert_eq!(policy_tensors(&whole), policy_tensors(&killed));
    let lines = |run: &Path| fs::read_to_string(run.join("metrics.jsonl")).unwrap().lines().count();
    assert_eq!(lines(&whole), lines(&killed));
    let leftovers = fs::read_dir(&killed).unwrap().filter(|file| {
        let name = file.as_ref().unwrap().file_name();
        name.to_string_lossy().ends_with(".partial")
    });
    assert_eq!(leftovers.count(), 0, "temporary files of killed processes are swept up");
}

#[cfg(unix)]
#[test]
fn ctrl_c_saves_and_says_so() {
    let (place, file) = place();
    let [whole, stopped] = ["whole", "stopped"].map(|name| place.path().join(name));
    assert!(start_long(&file, &whole).wait_with_output().unwrap().status.success());
    let child = start_long(&file, &stopped);
    while !stopped.join("checkpoint.safetensors").exists() {
        std::thread::sleep(Duration::from_millis(2));
    }
    let interrupt = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(interrupt.success());
    let output = child.wait_with_output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("interrupted") && message.contains("saved") && message.contains("--resume"), "{message}");
    resume(&stopped, "cpu");
    assert_eq!(policy_tensors(&whole), policy_tensors(&stopped));
}
