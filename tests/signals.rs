//! Signals of all kinds: everything is saved, also in the middle of an evaluation.
#![cfg(unix)]

#[path = "common/cli.rs"]
mod cli;
#[path = "common/place.rs"]
mod place;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::Duration;

use cli::{heed, policy_tensors, succeed};
use place::{Place, assert_code, end, send, start, wait_for, words};

/// An evaluation of minutes, unless it is stopped.
const LONG_EVALUATION: [&str; 4] = ["--set", "evaluation.samples=16777216", "--set", "target.side=8"];

#[test]
fn signals_save_and_stop_in_the_middle_of_an_evaluation() {
    use libc::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
    let cases: [(&str, &[i32], i32); 7] = [
        ("int", &[SIGINT], 1),
        ("term", &[SIGTERM], 1),
        ("hup", &[SIGHUP], 1),
        ("usr1", &[SIGUSR1], 75),
        ("term-and-int", &[SIGTERM, SIGINT], 1),
        ("thrice", &[SIGINT, SIGINT, SIGINT], 1),
        // The warning of a scheduler, and the end of the time it leaves.
        ("warning-and-term", &[SIGUSR1, SIGTERM], 75),
    ];
    let place = Place::new();
    for (out, signals, code) in cases {
        let (child, output) = start(&mut place.train(out, &LONG_EVALUATION), "evaluating with fresh samples");
        // One by one where the order matters: two that wait together are delivered in the order of their numbers.
        for signal in signals {
            send(&child, &[*signal]);
            std::thread::sleep(Duration::from_millis(if code == 75 { 20 } else { 0 }));
        }
        let output = end(child, output);
        assert_code(&output, code);
        let said = words(&output.stderr);
        assert!(said.contains("at iteration 30: saved") && said.contains(&format!("--resume {out}")), "{said}");
        assert!(!place.at(out).join("summary.json").exists(), "{out}: the evaluation went on to its end");
        // The state is that of the last iteration: resuming has nothing left to train.
        let mut resume = place.command(&["train", "--resume", out, "--json"]);
        let (mut child, output) = start(&mut resume, "\"iteration\":30");
        child.kill().unwrap();
        end(child, output);
    }
}

#[test]
fn an_evaluation_cut_short_on_the_way_is_made_when_the_run_goes_on() {
    let place = Place::new();
    // What is written right before the evaluation that is cut short; how long until it begins, in milliseconds; after how
    // many iterations and evaluations that is.
    let cases = [("1", "\"iteration\":1", 0, 2, 0), ("100", "\"evaluation\"", 10, 4, 1)];
    for (log_every, line, delay, iterations, evaluations) in cases {
        let [whole, parts] = ["whole", "parts"].map(|name| format!("{name}-{log_every}"));
        let log_every = format!("training.log_every={log_every}");
        let sizes = ["evaluation.every=2", "evaluation.samples=131072", &log_every];
        let sizes: Vec<&str> = sizes.into_iter().flat_map(|change| ["--set", change]).collect();
        let arguments = [&sizes[..], &["--json", "--iterations", "5"]].concat();
        assert!(place.train(&whole, &arguments).output().unwrap().status.success());
        let (child, output) = start(&mut place.train(&parts, &arguments), line);
        std::thread::sleep(Duration::from_millis(delay));
        send(&child, &[libc::SIGTERM]);
        let output = end(child, output);
        assert_code(&output, 1);
        let said = words(&output.stderr);
        assert!(said.contains(&format!("at iteration {iterations}")), "too late or too early: {said}");
        assert!(words(&output.stdout).contains("\"interrupted\""), "{}", words(&output.stdout));
        let done = |run: &str| place.metrics(run).iter().filter(|line| line["evaluation"].is_object()).count();
        assert_eq!((done(&parts), done(&whole)), (evaluations, 2), "too late or too early");
        succeed(&["train", "--resume", place.at(&parts).to_str().unwrap()]);
        assert_eq!(place.metrics(&parts), place.metrics(&whole));
        assert_eq!(policy_tensors(&place.at(&parts)), policy_tensors(&place.at(&whole)));
    }
}

#[test]
fn signals_ignored_at_the_start_stay_ignored() {
    let place = Place::new();
    let mut command = place.train("run", &LONG_EVALUATION);
    heed(&mut command, &[libc::SIGHUP, libc::SIGINT, libc::SIGUSR1], libc::SIG_IGN);
    let (mut child, output) = start(&mut command, "evaluating with fresh samples");
    send(&child, &[libc::SIGHUP, libc::SIGINT, libc::SIGUSR1]);
    // Longer than a chunk of the evaluation takes: one that heeded a signal would have ended by now.
    std::thread::sleep(Duration::from_millis(500));
    assert!(child.try_wait().unwrap().is_none(), "an ignored signal ended the run");
    send(&child, &[libc::SIGTERM]);
    assert_code(&end(child, output), 1);
}

/// One iteration of this takes minutes, and nothing is looked at within it.
#[test]
fn a_second_signal_after_a_while_ends_the_process_at_once() {
    let place = Place::new();
    let huge = ["--set", "training.batch=32768", "--set", "policy.hidden=[1024, 1024]", "--set", "target.side=16"];
    let more = ["--set", "engine.memory_mib=64"];
    let (mut child, output) = start(&mut place.train("run", &[&huge[..], &more].concat()), "run directory");
    wait_for("the checkpoint before the first iteration", || place.at("run/checkpoint.safetensors").exists());
    std::thread::sleep(Duration::from_millis(300));
    wait_for("a second signal to end the process", || {
        send(&child, &[libc::SIGTERM]);
        std::thread::sleep(Duration::from_millis(1100));
        child.try_wait().unwrap().is_some()
    });
    assert_eq!(end(child, output).status.signal(), Some(libc::SIGTERM));
}

#[test]
fn a_suite_stops_in_the_middle_of_evaluations() {
    let place = Place::new();
    let suite = fs::read_to_string(place.at("suite.toml")).unwrap();
    let long = suite.replace("samples = 4096", "samples = 16777216").replace("side = 3", "side = 8");
    fs::write(place.at("suite.toml"), long).unwrap();
    for (out, signals, code) in [("usr1", &[libc::SIGUSR1][..], 75), ("both", &[libc::SIGTERM, libc::SIGINT], 1)] {
        let compare = ["compare", "suite.toml", "--out", out, "--jobs", "2", "--json"];
        let (child, output) = start(&mut place.command(&compare), "\"start\"");
        let trained = |run: &str| {
            let log = fs::read_to_string(place.at(out).join(run).join("metrics.jsonl"));
            log.is_ok_and(|log| log.contains("\"iteration\":19"))
        };
        wait_for("both runs to be trained", || trained("seed-1") && trained("seed-2"));
        send(&child, signals);
        let output = end(child, output);
        assert_code(&output, code);
        let said = words(&output.stderr);
        assert!(said.contains("2 of 2 runs unfinished: saved") && said.contains("same command"), "{said}");
        assert!(words(&output.stdout).contains("\"interrupted\""), "{}", words(&output.stdout));
    }
}

/// Nothing is begun before the experiment is there, and a pipe may never end.
#[test]
fn signals_end_a_process_that_still_waits_for_its_experiment() {
    let place = Place::new();
    for (command, name) in [("train", "experiment"), ("compare", "suite")] {
        let fifo = place.at(name);
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGUSR1] {
            let mut command = place.command(&[command, name, "--out", "run"]);
            let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            // Opening this end waits for the other one: from here on the process reads.
            let writer = fs::File::options().write(true).open(&fifo).unwrap();
            send(&child, &[signal]);
            let output = std::io::BufReader::new(child.stdout.take().unwrap());
            assert_eq!(end(child, output).status.signal(), Some(signal));
            drop(writer);
        }
        assert!(!place.at("run").exists());
    }
    // One that says something is an experiment as good as any.
    let mut child = place.command(&["train", "experiment", "--engine", "cpu", "--out", "run"]).spawn().unwrap();
    fs::write(place.at("experiment"), cli::SMALL).unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn an_experiment_without_end_is_refused() {
    let place = Place::new();
    fs::write(place.at("based.toml"), "name = 'based'\nseeds = 1\nbase = 'zero.toml'").unwrap();
    std::os::unix::fs::symlink("/dev/zero", place.at("zero.toml")).unwrap();
    for arguments in
        [["train", "/dev/zero"], ["variance", "/dev/zero"], ["compare", "/dev/zero"], ["compare", "based.toml"]]
    {
        let output = place.command(&arguments).output().unwrap();
        assert_code(&output, 2);
        assert!(words(&output.stderr).contains("zero"), "{}", words(&output.stderr));
        assert!(words(&output.stderr).contains("larger than 1 MiB"), "{}", words(&output.stderr));
    }
}

/// The checkpoint is larger than files may be: an error that names it, and the process lives to say so.
#[test]
fn a_limit_on_files_is_an_error_and_no_end_by_signal() {
    let place = Place::new();
    let mut command = std::process::Command::new("sh");
    let train = format!("ulimit -f 2; exec {} train small.toml --engine cpu --out run", env!("CARGO_BIN_EXE_wgflow"));
    let output = command.args(["-c", &train]).current_dir(&place.0).output().unwrap();
    assert_code(&output, 1);
    let message = words(&output.stderr);
    assert!(message.contains("cannot write run/checkpoint.safetensors"), "{message}");
    let left = std::fs::read_dir(place.at("run")).unwrap().map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = left.filter(|name| name.to_string_lossy().ends_with(".partial")).collect();
    assert!(left.is_empty(), "{left:?}");
}
