//! Runs cut off where two files are about to agree, and directories that change under a run: each is taken up again, or
//! refused with a reason, and nothing is lost.
#![cfg(unix)]

#[path = "common/cli.rs"]
mod cli;
#[path = "common/place.rs"]
mod place;

use std::fs;
use std::process::{Command, Output, Stdio};

use cli::policy_tensors;
use place::{Place, assert_code, end, start, wait_for, words};
use wgflow::run::checkpoint::Checkpoint;

impl Place {
    /// Runs the binary and gives what it did, if its exit code is as expected.
    #[track_caller]
    fn run(&self, code: i32, arguments: &[&str]) -> Output {
        let output = self.command(arguments).output().unwrap();
        assert_code(&output, code);
        output
    }

    /// The same behind a shell's `ulimit`.
    fn limited(&self, limit: &str, arguments: &str) -> Output {
        let script = format!("ulimit {limit} && exec {} {arguments}", env!("CARGO_BIN_EXE_wgflow"));
        Command::new("sh").args(["-c", &script]).current_dir(&self.0).output().unwrap()
    }

    fn config(&self, run: &str) -> String {
        fs::read_to_string(self.at(run).join("config.toml")).unwrap()
    }
}

/// A limit that the configuration obeys and the checkpoint does not: what a kill between them leaves, at a time that is known.
#[test]
fn runs_cut_off_before_their_first_checkpoint_begin_when_they_go_on() {
    let place = Place::new();
    let output = place.limited("-f 2", "train small.toml --engine cpu --out run");
    assert_code(&output, 1);
    assert!(words(&output.stderr).contains("checkpoint.safetensors"), "{}", words(&output.stderr));
    assert_eq!(fs::metadata(place.at("run/metrics.jsonl")).unwrap().len(), 0);
    assert!(place.at("run/config.toml").exists() && !place.at("run/checkpoint.safetensors").exists());
    place.run(0, &["train", "--resume", "run"]);
    assert!(place.train("whole", &[]).output().unwrap().status.success());
    assert_eq!(policy_tensors(&place.at("run")), policy_tensors(&place.at("whole")));
    assert_eq!(place.metrics("run"), place.metrics("whole"));

    let output = place.limited("-f 2", "compare suite.toml --out suite --jobs 1");
    assert_code(&output, 1);
    assert!(words(&output.stderr).contains("seed-1/checkpoint.safetensors"), "{}", words(&output.stderr));
    assert!(place.at("suite/seed-1/metrics.jsonl").exists() && !place.at("suite/seed-2").exists());
    place.run(0, &["compare", "suite.toml", "--out", "suite"]);
    assert!(place.at("suite/comparison.md").exists());
}

#[test]
fn a_length_taken_back_leaves_a_run_that_is_whole() {
    let place = Place::new();
    let run = place.trained();
    let resume = |more: &[&str]| words(&place.run(0, &[&["train", "--resume", run], more].concat()).stdout);
    let said = resume(&["--iterations", "31", "--stop-after", "0"]);
    assert!(said.contains("31 iterations now, not 30") && said.contains("stopped after iteration 30"), "{said}");
    place.run(0, &["evaluate", run]);
    let said = resume(&["--iterations", "30"]);
    assert!(said.contains("30 iterations now, not 31") && said.contains("finished"), "{said}");
    assert!(place.config(run).contains("iterations = 30\n"), "{}", place.config(run));
    place.run(0, &["evaluate", run]);
    place.run(0, &["sample", run, "-n", "3", "--out", "x.csv"]);
    let said = resume(&[]);
    assert!(said.contains("finished"), "{said}");
    let said = resume(&["--iterations", "31"]);
    assert!(said.contains("31 iterations now"), "{said}");
    assert!(place.train("whole", &["--iterations", "31"]).output().unwrap().status.success());
    assert_eq!(policy_tensors(&place.at(run)), policy_tensors(&place.at("whole")));
}

/// The checkpoint has the new length already and says which one config.toml still has.
#[test]
fn an_extension_cut_off_between_its_two_files_is_carried_out() {
    let place = Place::new();
    let run = place.trained();
    let before = place.config(run);
    place.run(0, &["train", "--resume", run, "--iterations", "40", "--stop-after", "0"]);
    fs::write(place.at(run).join("config.toml"), &before).unwrap();
    // Without that word the two belong to different runs.
    let output = place.run(2, &["evaluate", run]);
    assert!(words(&output.stderr).contains("training.iterations is 30, not 40"), "{}", words(&output.stderr));
    let path = place.at(run).join("checkpoint.safetensors");
    let mut checkpoint = Checkpoint::read(&path).unwrap();
    checkpoint.put_text(Checkpoint::LENGTH_BEFORE, 30);
    checkpoint.write(&path).unwrap();

    place.run(0, &["evaluate", run]);
    assert_eq!(place.config(run), before, "who only looks changes nothing");
    let said = words(&place.run(0, &["train", "--resume", run]).stdout);
    assert!(said.contains("40 iterations now, not 30"), "{said}");
    assert!(place.config(run).contains("iterations = 40\n"), "{}", place.config(run));
    assert!(Checkpoint::read(&path).unwrap().text::<u32>(Checkpoint::LENGTH_BEFORE).is_err(), "settled");
    assert!(place.train("whole", &["--iterations", "40"]).output().unwrap().status.success());
    assert_eq!(policy_tensors(&place.at(run)), policy_tensors(&place.at("whole")));
}

/// A suite asks for one length, and its run was about to be given another.
#[test]
fn a_suite_does_not_carry_out_another_length_than_its_own() {
    let place = Place::new();
    let compare = ["compare", "suite.toml", "--out", "suite"];
    place.run(0, &compare);
    let before = place.config("suite/seed-1");
    place.run(0, &["train", "--resume", "suite/seed-1", "--iterations", "40", "--stop-after", "0"]);
    fs::write(place.at("suite/seed-1/config.toml"), &before).unwrap();
    fs::remove_file(place.at("suite/seed-1/summary.json")).unwrap();
    let path = place.at("suite/seed-1/checkpoint.safetensors");
    let mut checkpoint = Checkpoint::read(&path).unwrap();
    checkpoint.put_text(Checkpoint::LENGTH_BEFORE, 20);
    checkpoint.write(&path).unwrap();
    let said = words(&place.run(2, &compare).stderr);
    assert!(said.contains("training.iterations = 40, not 20") && said.contains("--resume suite/seed-1"), "{said}");
    place.run(0, &["train", "--resume", "suite/seed-1", "--iterations", "20"]);
    place.run(0, &compare);
}

#[test]
fn a_directory_moved_under_its_run_is_written_to_no_more() {
    let place = Place::new();
    let long = ["--iterations", "1000000", "--set", "training.checkpoint_seconds=0.02", "--json"];
    for (run, replaced) in [("gone", false), ("replaced", true)] {
        let moved = format!("{run}-moved");
        let (child, output) = start(&mut place.train(run, &long), "\"iteration\":5");
        fs::rename(place.at(run), place.at(&moved)).unwrap();
        if replaced {
            fs::create_dir(place.at(run)).unwrap();
        }
        let output = end(child, output);
        assert_code(&output, 1);
        let said = words(&output.stderr);
        assert!(said.contains(&format!("{run} was moved or removed")), "{said}");
        if replaced {
            assert_eq!(fs::read_dir(place.at(run)).unwrap().count(), 0, "written to what took its place");
        } else {
            assert!(!place.at(run).exists());
        }
        let resume = ["train", "--resume", &moved, "--stop-after", "3", "--json"];
        place.run(0, &resume);
        let iterations: Vec<u64> = place
            .lines(&format!("{moved}/metrics.jsonl"))
            .iter()
            .map(|line| line["iteration"].as_u64().unwrap())
            .collect();
        let every: Vec<u64> = (0..iterations.len() as u64).map(|index| 5 * index).collect();
        assert!(!every.is_empty());
        assert_eq!(iterations, every, "the log went on in the same file, and was cut at the checkpoint");
    }
}

#[test]
fn a_suite_s_directory_moved_under_it_is_not_made_again() {
    let place = Place::new();
    let suite = fs::read_to_string(place.at("suite.toml")).unwrap();
    let long = suite.replace("iterations = 20", "iterations = 1000000, checkpoint_seconds = 0.02");
    fs::write(place.at("suite.toml"), long).unwrap();
    let mut command = place.command(&["compare", "suite.toml", "--out", "suite", "--jobs", "1"]);
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for("the first run's checkpoint", || place.at("suite/seed-1/checkpoint.safetensors").exists());
    fs::rename(place.at("suite"), place.at("moved")).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_code(&output, 1);
    let said = words(&output.stderr);
    assert!(said.contains("seed-1 was moved or removed"), "{said}");
    assert!(!place.at("suite").exists());
}

/// As in an archive that nobody can write to: not even the lock is made.
#[test]
fn a_finished_run_is_shown_without_being_claimed() {
    let place = Place::new();
    let run = place.trained();
    let resume = |more: &[&str]| place.run(0, &[&["train", "--resume", run], more].concat());
    fs::remove_file(place.at(run).join(".lock")).unwrap();
    let said = words(&resume(&[]).stdout);
    assert!(said.contains("finished") && said.contains("report: run/report.html"), "{said}");
    assert!(words(&resume(&["--json"]).stdout).contains("\"summary\""));
    assert!(!place.at(run).join(".lock").exists(), "the directory was claimed");
    let config = fs::read(place.at(run).join("config.toml")).unwrap();
    fs::remove_file(place.at(run).join("report.html")).unwrap();
    let output = resume(&[]);
    let said = words(&output.stdout);
    assert!(said.contains("report.html is gone") && !said.contains("report: "), "{said}");
    assert!(output.stderr.is_empty(), "{}", words(&output.stderr));

    // How a run is evaluated may change; its summary stays what it was, and that is said.
    let changed = String::from_utf8(config).unwrap().replace("samples = 4096", "samples = 5000");
    fs::write(place.at(run).join("config.toml"), &changed).unwrap();
    for _ in 0..2 {
        let said = words(&resume(&[]).stderr);
        assert!(
            said.contains("evaluation.samples is 5000, not 4096") && said.contains("wgflow evaluate run"),
            "{said}"
        );
    }
    fs::remove_file(place.at(run).join("summary.json")).unwrap();
    let output = resume(&[]);
    assert!(words(&output.stdout).contains("report: run/report.html"), "{}", words(&output.stdout));
    assert!(output.stderr.is_empty(), "{}", words(&output.stderr));
    assert_eq!(place.lines("run/metrics.jsonl").len(), 7);
    let summary: serde_json::Value = serde_json::from_slice(&fs::read(place.at("run/summary.json")).unwrap()).unwrap();
    assert_eq!(summary["samples"], 5000);
    assert!(resume(&[]).stderr.is_empty());
}

#[test]
fn times_that_were_damaged_are_said_to_be_lost() {
    let place = Place::new();
    assert_code(&place.train("run", &["--stop-after", "3"]).output().unwrap(), 0);
    fs::write(place.at("run/times.json"), "{\"iterations\": 3, \"training_seconds\": -1}").unwrap();
    let output = place.run(0, &["train", "--resume", "run"]);
    assert!(words(&output.stderr).contains("run/times.json: not the times of a run"), "{}", words(&output.stderr));
    let summary: serde_json::Value = serde_json::from_slice(&fs::read(place.at("run/summary.json")).unwrap()).unwrap();
    assert!(summary["seconds"].as_f64().unwrap() > 0.0);
    assert!(place.run(0, &["train", "--resume", "run"]).stderr.is_empty());

    let compare = ["compare", "suite.toml", "--out", "suite"];
    assert!(place.run(0, &compare).stderr.is_empty());
    fs::remove_file(place.at("suite/seed-2/summary.json")).unwrap();
    fs::write(place.at("suite/seed-2/times.json"), "").unwrap();
    let said = words(&place.run(0, &compare).stderr);
    assert!(said.contains("run seed-2: suite/seed-2/times.json"), "{said}");
}
