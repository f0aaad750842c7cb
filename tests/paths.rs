//! Paths and numbers of all kinds: a message that names them, before any work.
#![cfg(unix)]

#[path = "common/cli.rs"]
mod cli;
#[path = "common/place.rs"]
mod place;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use cli::SMALL;
use place::{Place, assert_code, words};

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
