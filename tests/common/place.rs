//! A place to run the binary in as people and schedulers do: its output read, closed or full, signals sent to it.

#![allow(dead_code)] // every test file compiles this one by itself and uses a part of it

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::cli::{SMALL, wgflow};

/// How long anything may take before a test says that it hangs.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// A directory with the small experiment in it, and a suite of two short runs.
pub struct Place(pub TempDir);

impl Place {
    pub fn new() -> Self {
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

    pub fn at(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.path().join(name)
    }

    /// A command that runs here.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = wgflow(arguments);
        command.current_dir(&self.0).stdin(Stdio::null());
        command
    }

    /// Training on the native engine, into `out`.
    pub fn train(&self, out: &str, more: &[&str]) -> Command {
        self.command(&[&["train", "small.toml", "--engine", "cpu", "--out", out], more].concat())
    }

    /// A finished run in `run`.
    pub fn trained(&self) -> &str {
        assert!(self.train("run", &[]).output().unwrap().status.success());
        "run"
    }

    pub fn lines(&self, file: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.at(file)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Metrics of a run without the times in them.
    pub fn metrics(&self, run: &str) -> Vec<Value> {
        let mut lines = self.lines(&format!("{run}/metrics.jsonl"));
        lines.iter_mut().for_each(|line| line["seconds"] = 0.into());
        lines
    }
}

pub fn words(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub fn full() -> File {
    File::options().write(true).open("/dev/full").unwrap()
}

/// The writing end of a pipe that nobody reads.
pub fn unread() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

#[track_caller]
pub fn assert_code(output: &Output, code: i32) {
    let said = words(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}

/// Sends signals to a process, one right after the other.
pub fn send(child: &Child, signals: &[i32]) {
    for &signal in signals {
        // SAFETY: the process is a child not waited for yet, so its number is not another's.
        assert_eq!(unsafe { libc::kill(child.id() as i32, signal) }, 0);
    }
}

pub fn wait_for(what: &str, mut happened: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !happened() {
        assert!(begun.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Starts a command and reads its output up to a line with `text` in it.
pub fn start(command: &mut Command, text: &str) -> (Child, BufReader<ChildStdout>) {
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
pub fn end(mut child: Child, mut output: BufReader<ChildStdout>) -> Output {
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
