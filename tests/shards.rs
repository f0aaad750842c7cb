//! `wgflow compare --shard`: several processes over one directory do every training once, whatever becomes of them, and the
//! table is that of one process.

#[path = "common/cli.rs"]
mod cli;
#[path = "common/place.rs"]
mod place;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use place::{Place, assert_code, end, send, start, words};

/// Three combinations with three seeds each.
fn suite(iterations: u32) -> String {
    format!(
        "
        name = 'parts'
        seeds = 3
        [experiment]
        engine.kind = 'cpu'
        evaluation.samples = 4096
        policy.hidden = [16]
        target = {{ kind = 'ising', side = 3, coupling = 0.2 }}
        training = {{ iterations = {iterations}, batch = 32, checkpoint_seconds = 0.02 }}
        [grid]
        'target.coupling' = [-0.2, 0.2, 0.4]
        "
    )
}

const RUNS: usize = 9;

fn place(iterations: u32) -> Place {
    let place = Place::new();
    fs::write(place.at("suite.toml"), suite(iterations)).unwrap();
    place
}

/// `wgflow compare` into `out`, one run at a time, out of any job array that the tests themselves run in.
fn compare(place: &Place, out: &str, more: &[&str]) -> Command {
    let mut command = place.command(&[&["compare", "suite.toml", "--out", out], more].concat());
    for name in ["ID", "COUNT", "MIN", "STEP"] {
        command.env_remove(format!("SLURM_ARRAY_TASK_{name}"));
    }
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn shard(place: &Place, part: &str) -> Command {
    compare(place, "out", &["--shard", part, "--jobs", "1", "--json"])
}

/// The runs that a process carried out, by what it said.
fn trained(output: &Output) -> Vec<String> {
    let lines = words(&output.stdout);
    let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["event"] == "run").map(|line| line["run"].as_str().unwrap().to_string()).collect()
}

/// Every file that tables are made of, and the tables.
fn tables(out: &Path) -> BTreeMap<String, Vec<u8>> {
    let names = ["comparison.md", "comparison.csv", "comparison.html"];
    names.map(|name| (name.to_string(), fs::read(out.join(name)).unwrap())).into()
}

/// What is left of an undivided run of the same suite.
fn undivided(place: &Place) -> BTreeMap<String, Vec<u8>> {
    assert_code(&compare(place, "whole", &[]).output().unwrap(), 0);
    tables(&place.at("whole"))
}

/// Every run's log, from `out` and from the undivided run: the same iterations, each once.
fn assert_same_logs(place: &Place) {
    let mut compared = 0;
    for entry in fs::read_dir(place.at("whole")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if place.at("whole").join(&name).join("metrics.jsonl").exists() {
            assert_eq!(place.metrics(&format!("out/{name}")), place.metrics(&format!("whole/{name}")));
            compared += 1;
        }
    }
    assert_eq!(compared, RUNS);
}

#[test]
fn overlapping_shards_do_every_run_once_and_the_last_makes_the_table() {
    let place = place(60);
    // All of them at once, one part twice, and one that has all runs for its own.
    let parts = ["1/3", "2/3", "3/3", "2/3", "1/1"];
    let children: Vec<_> = parts.iter().map(|part| shard(&place, part).spawn().unwrap()).collect();
    let outputs: Vec<Output> = children.into_iter().map(|child| child.wait_with_output().unwrap()).collect();
    outputs.iter().for_each(|output| assert_code(output, 0));
    let mut runs: Vec<String> = outputs.iter().flat_map(trained).collect();
    runs.sort();
    let all = runs.len();
    runs.dedup();
    assert_eq!((runs.len(), all), (RUNS, RUNS), "{runs:?}");
    let made = tables(&place.at("out"));
    assert_eq!(made, undivided(&place));
    assert_same_logs(&place);
    // Who comes later finds all done, and says so by the same table.
    let later = shard(&place, "3/4").output().unwrap();
    assert_code(&later, 0);
    assert!(trained(&later).is_empty());
    assert_eq!(tables(&place.at("out")), made);
    let collected = compare(&place, "out", &["--collect"]).output().unwrap();
    assert_code(&collected, 0);
    assert!(collected.stderr.is_empty(), "{}", words(&collected.stderr));
    assert_eq!(tables(&place.at("out")), made);
}

#[cfg(unix)]
#[test]
fn what_a_killed_shard_had_is_taken_up_where_it_was() {
    let place = place(4000);
    let begun = |part: &str| {
        let command = &mut shard(&place, part);
        start(command, "\"event\":\"run\"")
    };
    // Each is killed in the middle of its second run, and then the first is stopped by a signal in place of a kill.
    let (mut killed, output) = begun("1/2");
    killed.kill().unwrap();
    end(killed, output);
    let (stopped, output) = begun("2/2");
    send(&stopped, &[libc::SIGUSR1]);
    let output = end(stopped, output);
    assert_code(&output, 75);
    assert!(words(&output.stderr).contains("continue with the same command"), "{}", words(&output.stderr));

    // What there is so far makes a table of its own.
    let collected = compare(&place, "out", &["--collect"]).output().unwrap();
    assert_code(&collected, 0);
    let said = words(&collected.stderr);
    assert!(said.contains("of 9 runs are missing"), "{said}");
    let markdown = fs::read_to_string(place.at("out/comparison.md")).unwrap();
    let missing: Vec<&str> =
        markdown.split("## Missing runs").nth(1).unwrap().lines().filter(|line| line.starts_with("- ")).collect();
    assert!((1..RUNS).contains(&missing.len()), "{markdown}");
    let named = |line: &&str| said.contains(line.trim_start_matches("- `").trim_end_matches('`'));
    assert!(missing.iter().all(named), "{said}: {missing:?}");
    assert!(fs::read_to_string(place.at("out/comparison.html")).unwrap().contains("Missing runs"));

    // One shard alone takes up all that is left: the other one never comes back.
    let output = shard(&place, "2/2").output().unwrap();
    assert_code(&output, 0);
    assert_eq!(trained(&output).len(), missing.len());
    assert_eq!(tables(&place.at("out")), undivided(&place));
    assert_same_logs(&place);
}

#[test]
fn a_shard_and_an_undivided_run_keep_out_of_each_other_s_way() {
    let place = place(4000);
    let (mut child, output) = start(&mut shard(&place, "1/2"), "\"event\":\"start\"");
    let whole = compare(&place, "out", &[]).output().unwrap();
    assert_code(&whole, 2);
    assert!(words(&whole.stderr).contains("in use by shards of its suite"), "{}", words(&whole.stderr));
    child.kill().unwrap();
    end(child, output);
    let (mut child, output) = start(&mut compare(&place, "out", &["--json"]), "\"event\":\"start\"");
    let part = shard(&place, "1/2").output().unwrap();
    assert_code(&part, 2);
    assert!(words(&part.stderr).contains("in use by process"), "{}", words(&part.stderr));
    child.kill().unwrap();
    end(child, output);
}

#[test]
fn a_run_that_diverges_is_tried_by_one_shard_and_listed_by_all() {
    let place = place(60);
    // Weights of 1e30 overflow f32 in the next rollout.
    let text = format!("{}\n[[variants]]\nname = 'wild'\nset = {{ 'optimizer.learning_rate' = 1e30 }}\n", suite(60));
    fs::write(place.at("suite.toml"), text).unwrap();
    let first = shard(&place, "1/2").output().unwrap();
    assert_code(&first, 1);
    assert_eq!(trained(&first).len(), RUNS);
    let second = shard(&place, "2/2").output().unwrap();
    assert_code(&second, 1);
    assert_eq!(trained(&second), Vec::<String>::new());
    let made = tables(&place.at("out"));
    assert_code(&compare(&place, "whole", &[]).output().unwrap(), 1);
    assert_eq!(made, tables(&place.at("whole")));
    assert!(words(&made["comparison.md"]).matches("training diverged").count() == RUNS);
}

#[test]
fn a_task_of_a_job_array_is_a_shard() {
    let place = place(60);
    let task = |id: &str| {
        let mut command = compare(&place, "out", &["--json"]);
        let variables = [("ID", id), ("COUNT", "2"), ("MIN", "5"), ("STEP", "1")];
        command.envs(variables.map(|(name, value)| (format!("SLURM_ARRAY_TASK_{name}"), value)));
        let output = command.output().unwrap();
        assert_code(&output, 0);
        serde_json::from_str::<Value>(words(&output.stdout).lines().next().unwrap()).unwrap()
    };
    assert_eq!(task("6")["shard"], serde_json::json!({"number": 2, "of": 2}));
    let later = task("5");
    assert_eq!((&later["shard"]["number"], &later["kept"]), (&1.into(), &RUNS.into()));
    let help = cli::succeed(&["compare", "--help"]);
    assert!(help.contains("SLURM_ARRAY_TASK_ID") && help.contains("SLURM_ARRAY_TASK_COUNT"), "{help}");
}

#[test]
fn what_cannot_be_shared_or_collected_is_refused() {
    let place = place(60);
    for (more, expected) in [
        (&["--shard", "3/2"][..], "1/4"),
        (&["--shard", "1"], "1/4"),
        (&["--collect"], "no such directory"),
        (&["--collect", "--shard", "1/2"], "cannot be used with"),
    ] {
        let output = compare(&place, "out", more).output().unwrap();
        assert_code(&output, 2);
        assert!(words(&output.stderr).contains(expected), "{}", words(&output.stderr));
        assert!(!place.at("out").exists());
    }
}
