//! Output that nobody reads, or that finds no room: training goes on, and nothing panics.
#![cfg(unix)]

#[path = "common/cli.rs"]
mod cli;
#[path = "common/place.rs"]
mod place;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};
use std::time::Duration;

use cli::policy_tensors;
use place::{Place, assert_code, full, unread, wait_for, words};
use serde_json::Value;

#[test]
fn training_goes_on_without_its_output() {
    let place = Place::new();
    let whole = place.trained();
    type Cut = fn(&mut Command);
    let cuts: [(&str, &[&str], &str, Cut); 6] = [
        ("closed-pipe", &["--json"], "", |command| _ = command.stdout(unread())),
        ("full", &["--json"], "No space left", |command| _ = command.stdout(full())),
        ("full-for-people", &[], "No space left", |command| _ = command.stdout(full())),
        ("both-full", &[], "", |command| _ = command.stdout(full()).stderr(full())),
        ("nobody", &[], "", |command| _ = command.stdout(unread()).stderr(unread())),
        ("errors-full", &[], "", |command| _ = command.stderr(full())),
    ];
    for (out, arguments, warning, cut) in cuts {
        let mut command = place.train(out, arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        cut(&mut command);
        let output = command.spawn().unwrap().wait_with_output().unwrap();
        assert_code(&output, 0);
        let said = words(&output.stderr);
        assert!(said.contains(warning) && said.is_empty() == warning.is_empty(), "{out}: {said}");
        assert_eq!(said.matches("warning").count(), usize::from(!warning.is_empty()), "{out}: {said}");
        assert!(place.at(out).join("summary.json").exists() && place.at(out).join("report.html").exists(), "{out}");
        assert_eq!(policy_tensors(&place.at(out)), policy_tensors(&place.at(whole)), "{out}");
        assert_eq!(place.metrics(out), place.metrics(whole), "{out}");
    }
}

/// A reader that leaves after the first line, as `head -1` does, while the run writes on.
#[test]
fn training_goes_on_when_its_reader_leaves() {
    let place = Place::new();
    // More than the 64 KiB that a pipe holds: the run writes when nobody reads.
    let long = ["--json", "--iterations", "500", "--set", "training.log_every=1"];
    let whole = place.train("whole", &long).output().unwrap();
    assert!(whole.stdout.len() > 1 << 16);
    let mut child = place.train("left", &long).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.contains("\"start\""), "{first}");
    let output = child.wait_with_output().unwrap();
    assert_code(&output, 0);
    assert!(output.stderr.is_empty(), "{}", words(&output.stderr));
    assert_eq!(place.metrics("left"), place.metrics("whole"));
}

/// Without care the first files that the run opens would be its standard output and error.
#[test]
fn descriptors_closed_at_the_start_do_not_become_the_run_s_files() {
    let place = Place::new();
    let whole = place.trained();
    for (out, closed) in [("input", "<&-"), ("output", ">&-"), ("errors", "2>&-"), ("all", "<&- >&- 2>&-")] {
        let script = format!("exec \"$0\" train small.toml --engine cpu --out {out} --json {closed}");
        let mut shell = Command::new("sh");
        shell.args(["-c", &script, env!("CARGO_BIN_EXE_wgflow")]).current_dir(&place.0).stdout(Stdio::null());
        assert_eq!(shell.status().unwrap().code(), Some(0), "{closed}");
        assert_eq!(policy_tensors(&place.at(out)), policy_tensors(&place.at(whole)), "{closed}");
        assert_eq!(place.metrics(out), place.metrics(whole), "{closed}");
        for file in ["config.toml", "report.html"] {
            let text = fs::read_to_string(place.at(out).join(file)).unwrap();
            assert!(!text.contains("\"event\""), "{closed} wrote into {file}");
        }
    }
}

/// A parent may have made the pipe one that does not block: a full one is no reason to give up.
#[cfg(target_os = "linux")]
#[test]
fn a_pipe_that_is_full_for_a_while_loses_nothing() {
    let place = Place::new();
    let (mut reader, writer) = std::io::pipe().unwrap();
    // SAFETY: a call on a descriptor that is open; the run inherits the open file and with it the flag.
    unsafe {
        assert_eq!(libc::fcntl(writer.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK), 0);
        // As small as pipes come, a page: the run's lines are several times that.
        assert_eq!(libc::fcntl(writer.as_raw_fd(), libc::F_SETPIPE_SZ, 4096), 4096);
    }
    let mut command = place.train("run", &["--json", "--iterations", "200", "--set", "training.log_every=1"]);
    let child = command.stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    drop(command);
    // Every line goes to the log first, where those that the pipe holds are found, one more, and no others.
    let log = || fs::metadata(place.at("run/metrics.jsonl")).map_or(0, |file| file.len());
    wait_for("a log about as long as the pipe", || log() > 3500);
    std::thread::sleep(Duration::from_millis(200));
    assert!(log() < 8192, "the run did not wait for its reader");
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_code(&child.wait_with_output().unwrap(), 0);
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("a whole line")).collect();
    assert_eq!(lines.len(), 1 + 200 + 1);
    assert_eq!(lines[1..201], place.lines("run/metrics.jsonl"));
}

/// Where output is all there is, a reader that has gone is a quiet end, and a full disk an error.
#[test]
fn commands_that_only_write_end_quietly_or_with_a_reason() {
    let place = Place::new();
    let run = place.trained();
    let variance = ["variance", run, "--batches", "8", "--long", "8", "--objectives", "tb"];
    let bench = ["bench", "--engine", "cpu", "--seconds", "0", "--largest-batch", "128"];
    let commands: [&[&str]; 12] = [
        &["presets"],
        &["presets", "ising-quick"],
        &["presets", "ising-10-0.2-tb"],
        &["adapters"],
        &["adapters", "--json"],
        &["evaluate", run],
        &["evaluate", run, "--json"],
        &variance,
        &bench,
        &[&bench[..], &["--json"]].concat(),
        &["--help"],
        &["--version"],
    ];
    for arguments in commands {
        let closed = place.command(arguments).stdout(unread()).output().unwrap();
        assert_code(&closed, 0);
        assert!(closed.stderr.is_empty(), "{arguments:?}: {}", words(&closed.stderr));
        let full = place.command(arguments).stdout(full()).output().unwrap();
        assert_code(&full, 1);
        assert!(words(&full.stderr).contains("cannot write to standard output: No space left"), "{arguments:?}");
    }
}

#[test]
fn other_commands_do_their_work_without_their_output() {
    let place = Place::new();
    let run = place.trained();
    let variance = ["variance", run, "--batches", "8", "--long", "8", "--objectives", "tb", "--out", "variance"];
    let sample = ["sample", run, "-n", "10", "--out", "x.csv"];
    let compare = ["compare", "suite.toml", "--out", "suite", "--jobs", "2"];
    let commands: [(&[&str], &str); 4] = [
        (&variance, "variance/variance.json"),
        (&sample, "x.csv"),
        (&compare, "suite/comparison.md"),
        (&[&compare[..], &["--json"]].concat(), "suite/comparison.md"),
    ];
    for (arguments, file) in commands {
        for output in [unread(), full().into()] {
            assert_code(&place.command(arguments).stdout(output).output().unwrap(), 0);
            assert!(place.at(file).exists(), "{arguments:?}");
            fs::remove_file(place.at(file)).unwrap();
            let _ = fs::remove_dir_all(place.at("suite"));
        }
    }
}

#[test]
fn errors_that_cannot_be_written_keep_their_exit_codes() {
    let place = Place::new();
    for arguments in [&["--frobnicate"][..], &["train", "--resume", "gone"], &["presets", "gone"], &["train", "gone"]] {
        let status = place.command(arguments).stdout(full()).stderr(full()).status().unwrap();
        assert_eq!(status.code(), Some(2), "{arguments:?}");
    }
}
