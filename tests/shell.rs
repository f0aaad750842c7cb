//! Living in a shell: output that nobody reads or that finds no room, signals of all kinds, paths of all kinds.
#![cfg(unix)]

#[path = "common/cli.rs"]
mod cli;

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

use cli::{SMALL, heed, policy_tensors, succeed, wgflow};
use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take before a test says that it hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// A directory with the small experiment in it, and a suite of two short runs.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::write(place.at("small.toml"), SMALL).unwrap();
        let suite = "
            name = 'small'
            seeds = 2
            [experiment]
            engine.kind = 'cpu'
            evaluation.samples = 4096
            policy.hidden = [16]
            target = { kind = 'ising', side = 3, coupling = 0.2 }
            training = { iterations = 20, batch = 32 }
        ";
        fs::write(place.at("suite.toml"), suite).unwrap();
        place
    }

    fn at(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.path().join(name)
    }

    /// A command that runs here.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = wgflow(arguments);
        command.current_dir(&self.0).stdin(Stdio::null());
        command
    }

    /// Training on the native engine, into `out`.
    fn train(&self, out: &str, more: &[&str]) -> Command {
        self.command(&[&["train", "small.toml", "--engine", "cpu", "--out", out], more].concat())
    }

    /// A finished run in `run`.
    fn trained(&self) -> &str {
        assert!(self.train("run", &[]).output().unwrap().status.success());
        "run"
    }

    fn lines(&self, file: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.at(file)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Metrics of a run without the times in them.
    fn metrics(&self, run: &str) -> Vec<Value> {
        let mut lines = self.lines(&format!("{run}/metrics.jsonl"));
        lines.iter_mut().for_each(|line| line["seconds"] = 0.into());
        lines
    }
}

fn words(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn full() -> File {
    File::options().write(true).open("/dev/full").unwrap()
}

/// The writing end of a pipe that nobody reads.
fn unread() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

#[track_caller]
fn assert_code(output: &Output, code: i32) {
    let said = words(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}

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

/// Sends signals to a process, one right after the other.
fn send(child: &Child, signals: &[i32]) {
    for &signal in signals {
        // SAFETY: the process is a child not waited for yet, so its number is not another's.
        assert_eq!(unsafe { libc::kill(child.id() as i32, signal) }, 0);
    }
}

fn wait_for(what: &str, mut happened: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !happened() {
        assert!(begun.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Starts a command and reads its output up to a line with `text` in it.
fn start(command: &mut Command, text: &str) -> (Child, BufReader<ChildStdout>) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains(text) {
        line.clear();
        assert!(output.read_line(&mut line).unwrap() > 0, "the process ended without saying {text:?}");
    }
    (child, output)
}

/// Waits for a child that has been asked to stop; a hanging one fails the test instead of blocking it.
fn end(mut child: Child, mut output: BufReader<ChildStdout>) -> Output {
    let rest = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        output.read_to_end(&mut bytes).map(|_| bytes)
    });
    let mut status = None;
    wait_for("a process that was asked to stop", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    let mut stderr = Vec::new();
    child.stderr.take().unwrap().read_to_end(&mut stderr).unwrap();
    Output { status: status.unwrap(), stdout: rest.join().unwrap().unwrap(), stderr }
}

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

fn invalid(name: &[u8]) -> OsString {
    OsStr::from_bytes(name).to_owned()
}

/// Names that are no UTF-8 are names: output shows them with the bytes that are not replaced.
#[test]
fn names_that_are_not_utf_8_are_used_as_they_are() {
    let place = Place::new();
    let (run, file) = (invalid(b"run-\xff"), invalid(b"small-\xff.toml"));
    fs::copy(place.at("small.toml"), place.at(&file)).unwrap();
    fs::copy(place.at("suite.toml"), place.at(invalid(b"suite-\xff.toml"))).unwrap();
    let cases: [&[&[u8]]; 8] = [
        &[b"train", b"small-\xff.toml", b"--out", b"run-\xff", b"--json", b"--stop-after", b"3"],
        &[b"train", b"--resume", b"run-\xff", b"--json"],
        &[b"train", b"small-\xff.toml"],
        &[b"evaluate", b"run-\xff", b"--json"],
        &[b"sample", b"run-\xff", b"-n", b"5", b"--out", b"x-\xff.csv"],
        &[b"variance", b"run-\xff", b"--batches", b"8", b"--long", b"8", b"--out", b"variance-\xff"],
        &[b"compare", b"suite-\xff.toml", b"--out", b"suite-\xff", b"--json"],
        &[b"compare", b"suite-\xff.toml", b"--out", b"suite-\xff"],
    ];
    for arguments in cases {
        let arguments: Vec<OsString> = arguments.iter().map(|argument| invalid(argument)).collect();
        let output = place.command(&[]).args(&arguments).output().unwrap();
        assert_code(&output, 0);
        String::from_utf8(output.stdout).expect("output is text");
    }
    for left in
        [&b"run-\xff/summary.json"[..], b"x-\xff.csv", b"variance-\xff/variance.md", b"suite-\xff/comparison.md"]
    {
        assert!(place.at(invalid(left)).exists(), "{}", words(left));
    }
    assert!(place.at("runs/small-\u{fffd}-1/summary.json").exists());
    let adapter = place.train("gpu", &[]).args(["--engine", "gpu"]).env("WGFLOW_ADAPTER", invalid(b"\xff")).output();
    assert_code(&adapter.unwrap(), 2);
    assert!(place.at(run).exists());
}

/// A message that names the path and what is wrong with it, code 2, and nothing left behind.
#[test]
fn paths_that_cannot_be_used_are_refused_before_any_work() {
    let place = Place::new();
    place.trained();
    fs::create_dir(place.at("directory.toml")).unwrap();
    fs::create_dir(place.at("directory.csv")).unwrap();
    fs::create_dir(place.at("partly")).unwrap();
    symlink("nowhere", place.at("dangling")).unwrap();
    symlink("nowhere", place.at("dangling.csv")).unwrap();
    symlink("nowhere", place.at("partly/seed-2")).unwrap();
    let long = "x".repeat(300);
    let long_csv = format!("{long}.csv");
    let sample = |out| ["sample", "run", "-n", "3", "--out", out];
    let variance = |out| ["variance", "run", "--batches", "8", "--long", "8", "--out", out];
    let compare = |out| ["compare", "suite.toml", "--out", out];
    let train = |out| ["train", "small.toml", "--out", out];
    let cases: [(&[&str], &[&str]); 30] = [
        (&["train", "gone"], &["gone", "no such file"]),
        (&["train", "dangling"], &["dangling", "symbolic link to nowhere"]),
        (&["train", "directory.toml"], &["directory.toml", "is a directory"]),
        (&["train", &long], &[&long, "too long"]),
        (&["train", ""], &["value is required"]),
        (&train("dangling"), &["dangling", "symbolic link to nowhere", "--out"]),
        (&train("dangling/run"), &["dangling", "symbolic link to nowhere", "--out"]),
        (&train("small.toml"), &["small.toml", "is a file", "--out"]),
        (&train("small.toml/run"), &["small.toml is a file, not a directory", "--out"]),
        (&train(&long), &[&long, "too long", "--out"]),
        (&train(""), &["value is required"]),
        (&["train", "--resume", "gone"], &["gone", "no such directory"]),
        (&["train", "--resume", "dangling"], &["dangling", "symbolic link to nowhere"]),
        (&["train", "--resume", "small.toml"], &["small.toml", "is a file"]),
        (&["train", "--resume", &long], &[&long, "too long"]),
        (&["evaluate", "dangling"], &["dangling", "symbolic link to nowhere"]),
        (&["evaluate", "small.toml"], &["small.toml", "is a file"]),
        (&["sample", "gone", "-n", "1", "--out", "x.csv"], &["gone", "no such directory"]),
        (&sample("dangling.csv"), &["dangling.csv", "symbolic link to nowhere"]),
        (&sample("directory.csv"), &["directory.csv", "is a directory"]),
        (&sample("gone/x.csv"), &["gone/x.csv", "its directory does not exist"]),
        (&sample("small.toml/x.csv"), &["small.toml is a file, not a directory"]),
        (&sample(&long_csv), &[&long, "too long"]),
        (&["variance", "gone"], &["gone", "no such file"]),
        (&variance("dangling"), &["dangling", "symbolic link to nowhere", "--out"]),
        (&variance("small.toml"), &["small.toml", "is a file", "--out"]),
        (&["compare", "directory.toml"], &["directory.toml", "is a directory"]),
        (&compare("small.toml"), &["small.toml", "is a file", "--out"]),
        (&compare("dangling"), &["dangling", "symbolic link to nowhere", "--out"]),
        (&compare("partly"), &["partly/seed-2", "symbolic link to nowhere"]),
    ];
    let names = || {
        let mut names: Vec<_> = fs::read_dir(&place.0).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = names();
    for (arguments, expected) in cases {
        let output = place.command(arguments).output().unwrap();
        assert_code(&output, 2);
        let said = words(&output.stderr);
        assert!(output.stdout.is_empty(), "{arguments:?} began: {}", words(&output.stdout));
        expected.iter().for_each(|part| assert!(said.contains(part), "{arguments:?}: {part} is not in {said}"));
        assert_eq!(names(), before, "{arguments:?}");
    }
    assert_eq!(fs::read_to_string(place.at("small.toml")).unwrap(), SMALL);
}

/// A file takes its place whole, and the place is where the link leads.
#[test]
fn samples_go_where_a_link_leads() {
    let place = Place::new();
    let run = place.trained();
    fs::write(place.at("old.csv"), "old").unwrap();
    symlink("old.csv", place.at("link.csv")).unwrap();
    assert_code(&place.command(&["sample", run, "-n", "3", "--out", "link.csv"]).output().unwrap(), 0);
    assert!(fs::symlink_metadata(place.at("link.csv")).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(place.at("old.csv")).unwrap().lines().count(), 4);
}

#[test]
fn names_as_long_as_file_systems_allow_are_used_and_longer_ones_refused() {
    let place = Place::new();
    let experiment = format!("{}.toml", "e".repeat(250));
    fs::copy(place.at("small.toml"), place.at(&experiment)).unwrap();
    let train = ["train", &experiment, "--engine", "cpu", "--stop-after", "1"];
    for number in 1..=2 {
        assert_code(&place.command(&train).output().unwrap(), 0);
        assert!(place.at(format!("runs/{}-{number}", "e".repeat(200))).exists());
    }
    let out = "o".repeat(255);
    assert_code(&place.train(&out, &["--stop-after", "1"]).output().unwrap(), 0);
    let csv = format!("{}.csv", "s".repeat(251));
    assert_code(&place.command(&["sample", &out, "-n", "3", "--out", &csv]).output().unwrap(), 0);

    let suite = fs::read_to_string(place.at("suite.toml")).unwrap();
    let variant = |name: String| format!("{suite}[[variants]]\nname = '{name}'\nset = {{ 'training.batch' = 16 }}");
    // `_seed-1` is behind the variant's name.
    fs::write(place.at("suite.toml"), variant("v".repeat(248))).unwrap();
    let compare = |out| place.command(&["compare", "suite.toml", "--out", out]).output().unwrap();
    assert_code(&compare("suite"), 0);
    for (text, expected) in [
        (variant("v".repeat(249)), ["256 bytes", "255"]),
        (suite.replace("'small'", &format!("'{}'", "n".repeat(256))), ["name = ", "1 to 255"]),
    ] {
        fs::write(place.at("suite.toml"), text).unwrap();
        let output = compare("refused");
        assert_code(&output, 2);
        let said = words(&output.stderr);
        expected.iter().for_each(|part| assert!(said.contains(part), "{part} is not in {said}"));
        assert!(!place.at("refused").exists());
    }
}

#[test]
fn seeds_and_other_numbers_out_of_range_are_refused_with_the_range() {
    let place = Place::new();
    for seed in ["9223372036854775808", "18446744073709551616", "-1", "1.5", "one"] {
        let output = place.train("run", &["--seed", seed]).output().unwrap();
        assert_code(&output, 2);
        let said = words(&output.stderr);
        assert!(said.contains(seed) && said.contains("0 to 2^63 - 1"), "{said}");
    }
    for change in ["seed=9223372036854775808", "training.batch=-99999999999999999999"] {
        let output = place.train("run", &["--set", change]).output().unwrap();
        assert_code(&output, 2);
        assert!(words(&output.stderr).contains("integers must be -2^63 to 2^63 - 1"), "{}", words(&output.stderr));
    }
    for seconds in ["nan", "inf", "-1", "1e9"] {
        let output = place.command(&["bench", &format!("--seconds={seconds}")]).output().unwrap();
        assert_code(&output, 2);
        assert!(words(&output.stderr).contains("0 to 3600"), "{}", words(&output.stderr));
    }
    assert!(!place.at("run").exists());
    assert_code(&place.train("run", &["--seed", "9223372036854775807", "--stop-after", "1"]).output().unwrap(), 0);
    let suite = fs::read_to_string(place.at("suite.toml")).unwrap();
    for (seeds, expected) in [("[9223372036854775808]", "too large"), ("[-1]", "0 to 2^63 - 1"), ("0", "1 to 1000")] {
        fs::write(place.at("suite.toml"), suite.replace("seeds = 2", &format!("seeds = {seeds}"))).unwrap();
        let output = place.command(&["compare", "suite.toml"]).output().unwrap();
        assert_code(&output, 2);
        assert!(words(&output.stderr).contains(expected), "{}", words(&output.stderr));
    }
}
