//! Memory is reckoned beforehand: what cannot fit is refused before anything is allocated, with the number that would, and
//! that number does fit. (How much is free and what a run needs is tested beside the code, src/memory.rs and
//! src/trainer/memory.rs.)
#![cfg(target_os = "linux")]

#[path = "common/cli.rs"]
mod cli;

use std::process::{Command, Output};

use tempfile::TempDir;

/// Runs the binary on the small experiment, in so many KiB of address space, on two threads.
fn within(kibibytes: u64, place: &TempDir, arguments: &[&str]) -> Output {
    let file = place.path().join("small.toml");
    std::fs::write(&file, cli::SMALL).unwrap();
    let (file, run) = (file.to_str().unwrap(), place.path().join("run"));
    wgflow_within(kibibytes, &[&["train", file, "--engine", "cpu", "--out", run.to_str().unwrap()], arguments].concat())
}

/// Runs the binary in so many KiB of address space, on two threads.
fn wgflow_within(kibibytes: u64, arguments: &[&str]) -> Output {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -v {kibibytes}; exec \"$@\""), "sh", env!("CARGO_BIN_EXE_wgflow")]);
    command.args(arguments);
    // Each thread's arena reserves 64 MiB of addresses that it never uses.
    command.env("MALLOC_ARENA_MAX", "1").env("RAYON_NUM_THREADS", "2").env_remove("WGFLOW_ADAPTER");
    command.output().expect("a shell")
}

/// The message of a refusal with code 2 that leaves nothing behind, and the number that would fit.
fn refused(output: &Output, place: &TempDir) -> (String, u64) {
    let message = String::from_utf8_lossy(&output.stderr).to_string();
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(!place.path().join("run").exists(), "something was left behind");
    let number = message.split("at most ").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok());
    let number = number.unwrap_or_else(|| panic!("no number that would fit in {message}"));
    (message, number)
}

#[test]
fn a_batch_of_a_million_on_a_wide_network_is_refused_at_once() {
    let place = tempfile::tempdir().unwrap();
    let wide = format!("policy.hidden={:?}", [1024; 8]);
    let large = ["--set", "target.side=64", "--set", &wide, "--set", "training.batch=1048576"];
    let (message, number) = refused(&within(4 << 20, &place, &large), &place);
    assert!(message.contains("training.batch = 1048576") && message.contains("GiB"), "{message}");
    // 4096 steps of 16,386 numbers in f32 are 256 MiB a trajectory.
    assert!((1..16).contains(&number), "{message}");
}

#[test]
fn the_number_that_was_said_to_fit_does() {
    let place = tempfile::tempdir().unwrap();
    let run = |batch: u64| {
        let set = format!("training.batch={batch}");
        within(128 << 10, &place, &["--iterations", "1", "--set", &set, "--set", "target.side=8", "--json"])
    };
    let (message, number) = refused(&run(1 << 20), &place);
    assert!(message.contains("training.batch = 1048576"), "{message}");
    assert!(number > 1000, "{message}");
    let output = run(number);
    assert!(output.status.success(), "{number}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn looking_at_a_run_is_reckoned_by_what_is_looked_at() {
    let place = tempfile::tempdir().unwrap();
    // A batch that a small machine could not train, of a run that it can look at.
    let file = place.path().join("small.toml");
    std::fs::write(&file, cli::SMALL.replace("batch = 70", "batch = 200000")).unwrap();
    let run = place.path().join("run");
    let run = run.to_str().unwrap();
    cli::succeed(&["train", file.to_str().unwrap(), "--engine", "cpu", "--iterations", "1", "--out", run]);
    let out = place.path().join("objects.npy");
    let sample = |count: &str| wgflow_within(128 << 10, &["sample", run, "-n", count, "--out", out.to_str().unwrap()]);
    let output = sample("16777216");
    let message = String::from_utf8_lossy(&output.stderr).to_string();
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(message.contains("evaluation.samples = 16777216") && !out.exists(), "{message}");
    let fitting = message.split("at most ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
    assert!(fitting.parse::<u32>().unwrap() > 10_000, "{message}");
    let output = sample(fitting);
    assert!(output.status.success(), "{fitting}: {}", String::from_utf8_lossy(&output.stderr));
    let evaluate = wgflow_within(128 << 10, &["evaluate", run, "--samples", "16777216"]);
    assert_eq!(evaluate.status.code(), Some(2), "{}", String::from_utf8_lossy(&evaluate.stderr));
}

#[test]
fn threads_that_cannot_start_are_an_error_and_no_panic() {
    let output = wgflow_within(20_000, &["presets"]);
    let message = String::from_utf8_lossy(&output.stderr).to_string();
    // So little memory may not even load the program: then it is the loader that complains.
    assert!(matches!(output.status.code(), Some(0 | 1 | 127)), "{:?}: {message}", output.status);
    assert!(!message.contains("panicked"), "{message}");
}
