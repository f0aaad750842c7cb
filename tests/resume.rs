//! Runs are reproducible and resume bit for bit, whatever stopped them.

#[path = "common/cli.rs"]
mod cli;

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use cli::{SMALL, policy_tensors, succeed, tensors, wgflow};
use serde_json::Value;
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

/// The lines of a run's metrics log, but for what depends on the clock.
fn metrics(run: &Path) -> Vec<Value> {
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let line = |line: &str| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        line.as_object_mut().expect("an object a line").remove("seconds").expect("every line says when");
        assert!(line["iteration"].is_u64() && line["elbo"].is_f64(), "{line}");
        line
    };
    let lines: Vec<Value> = text.lines().map(line).collect();
    assert!(lines.len() > 1, "{text}");
    lines
}

fn stopped_and_resumed_equals_uninterrupted(engine: &str) {
    let (place, file) = place();
    let [whole, again, parts] = ["whole", "again", "parts"].map(|name| place.path().join(name));
    succeed(&train(&file, &whole, engine));
    succeed(&train(&file, &again, engine));
    let names: Vec<String> = tensors(&whole).into_iter().map(|(name, _)| name).collect();
    for part in ["zeta", "sampler", "policy.0.weight"] {
        assert!(names.iter().any(|name| name == part), "{part} is not among {names:?}");
    }
    assert_eq!(tensors(&whole), tensors(&again), "the same seed twice");
    succeed(&[&train(&file, &parts, engine)[..], &["--stop-after", "15"]].concat());
    assert_ne!(policy_tensors(&whole), policy_tensors(&parts));
    resume(&parts, engine);
    assert_eq!(tensors(&whole), tensors(&parts), "stopped after 15 of 30 iterations and resumed");
    assert_eq!(metrics(&whole), metrics(&parts));
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

/// Iterations of a run that is long enough to be interrupted: some seconds, with a checkpoint after every iteration.
const LONG: u32 = 1500;

fn start_long(file: &str, out: &Path) -> Child {
    let mut command = wgflow(&train(file, out, "cpu"));
    command.args(["--iterations", &LONG.to_string(), "--set", "training.checkpoint_seconds=0"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// The iterations behind a run's checkpoint, 0 if it has none.
fn saved_iterations(run: &Path) -> u32 {
    let Ok(bytes) = fs::read(run.join("checkpoint.safetensors")) else { return 0 };
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).expect("checkpoints are replaced whole");
    let texts = header.metadata().as_ref().expect("a checkpoint has a header");
    texts["iteration"].parse().expect("a number of iterations")
}

/// Waits until so many iterations of a run in progress are saved, however fast the machine is.
fn wait_for(child: &mut Child, run: &Path, iterations: u32) {
    let begun = Instant::now();
    while saved_iterations(run) < iterations {
        if let Some(status) = child.try_wait().unwrap() {
            panic!("the run ended ({status}) before iteration {iterations} was saved: {}", saved_iterations(run));
        }
        let waited = begun.elapsed();
        assert!(waited < Duration::from_secs(300), "hung: {} of {iterations} in {waited:?}", saved_iterations(run));
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_killed_run_resumes_to_the_same_end() {
    let (place, file) = place();
    let [whole, killed] = ["whole", "killed"].map(|name| place.path().join(name));
    assert!(start_long(&file, &whole).wait_with_output().unwrap().status.success());
    let mut child = start_long(&file, &killed);
    let mut before = 0;
    for more in [1, 60, 90, 120, 230] {
        wait_for(&mut child, &killed, before + more);
        child.kill().unwrap();
        child.wait().unwrap();
        let saved = saved_iterations(&killed);
        assert!(before < saved && saved < LONG, "killed at {saved} of {LONG} iterations, the time before at {before}");
        before = saved;
        let command = ["train", "--resume", killed.to_str().unwrap(), "--engine", "cpu"];
        child = wgflow(&command).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    }
    assert!(child.wait().unwrap().success());
    assert_eq!((saved_iterations(&whole), saved_iterations(&killed)), (LONG, LONG));
    assert_eq!(tensors(&whole), tensors(&killed));
    assert_eq!(metrics(&whole), metrics(&killed));
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
    let mut child = start_long(&file, &stopped);
    wait_for(&mut child, &stopped, 20);
    let interrupt = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(interrupt.success());
    let output = child.wait_with_output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("interrupted") && message.contains("saved") && message.contains("--resume"), "{message}");
    let saved = saved_iterations(&stopped);
    assert!((20..LONG).contains(&saved), "interrupted at {saved} of {LONG} iterations");
    resume(&stopped, "cpu");
    assert_eq!(tensors(&whole), tensors(&stopped));
    assert_eq!(metrics(&whole), metrics(&stopped));
}
