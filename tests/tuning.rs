//! Sizes of kernels chosen by timing: where they are kept, who takes them, and that a run keeps those it began with.

#![cfg(all(feature = "gpu", target_os = "linux"))]

#[path = "common/cli.rs"]
mod cli;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cli::{SMALL, wgflow};
use serde_json::{Value, json};

/// A command with a cache folder of its own, which may look for choices there. On an adapter that is software none is timed unasked.
fn with_cache(cache: &Path, arguments: &[&str]) -> Command {
    let mut command = wgflow(arguments);
    command.env("XDG_CACHE_HOME", cache).env_remove("WGFLOW_TUNE").current_dir(cache);
    command
}

/// Standard output and standard error of a command that succeeds.
fn said(command: &mut Command) -> (String, String) {
    let output = command.output().expect("the binary starts");
    let [out, errors] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(output.status.success(), "{errors}");
    (out, errors)
}

const TUNE: [&str; 9] = ["tune", "--adapter", "llvm", "--hidden", "24,16", "--batch", "32", "--side", "3"];

/// The one file of choices there is.
fn file(cache: &Path) -> PathBuf {
    let entries = fs::read_dir(cache.join("wgflow/kernels")).expect("choices were kept");
    let paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    assert_eq!(paths.len(), 1, "{paths:?}");
    paths[0].clone()
}

/// Puts a number of the file's that software kernels do not look at.
fn mark(path: &Path, large_from: u64) {
    let mut choice: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    choice["tiling"]["large_from"] = json!(large_from);
    fs::write(path, choice.to_string()).unwrap();
}

/// The same of a run's summary; null where it runs in the sizes that suit the adapter's kind.
fn marked(run: &Path) -> Value {
    let summary: Value = serde_json::from_slice(&fs::read(run.join("summary.json")).unwrap()).unwrap();
    assert_eq!(summary["kernels"]["key"]["hidden"], json!([24, 16]), "{summary}");
    summary["kernels"]["tiling"]["large_from"].clone()
}

#[test]
fn a_run_takes_what_was_chosen_and_keeps_it() {
    let place = tempfile::tempdir().unwrap();
    let cache = place.path();
    fs::write(cache.join("small.toml"), SMALL).unwrap();
    let train =
        |more: &[&str]| said(&mut with_cache(cache, &[&["train", "small.toml", "--adapter", "llvm"], more].concat())).1;
    train(&["--out", "before", "--stop-after", "5"]);
    train(&["--out", "suggested"]);
    assert_eq!(marked(&cache.join("suggested")), Value::Null);
    assert!(!cache.join("wgflow").exists(), "nothing is timed unasked on a software adapter");

    let (table, _) = said(&mut with_cache(cache, &TUNE));
    let path = file(cache);
    assert!(table.contains(path.to_str().unwrap()), "{table}");
    assert_eq!(table.matches("chosen").count(), 1, "{table}");
    assert_eq!(table.matches("rollout and gradient of 32").count(), 6, "{table}");

    mark(&path, 7);
    let (adapters, _) = said(&mut with_cache(cache, &["adapters", "--json"]));
    let listed: Vec<Value> = adapters.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let chosen: Vec<&Value> = listed.iter().flat_map(|adapter| adapter["kernels"].as_array().unwrap()).collect();
    assert_eq!(chosen.len(), 1, "{adapters}");
    assert_eq!((&chosen[0]["hidden"], &chosen[0]["tiling"]["large_from"]), (&json!([24, 16]), &json!(7)));

    train(&["--out", "run", "--stop-after", "5"]);
    mark(&path, 9);
    train(&["--out", "later"]);
    train(&["--out", "off", "--set", "engine.tune=false"]);
    train(&["--out", "wider", "--set", "policy.hidden=[24]", "--stop-after", "1"]);
    for run in ["run", "before"] {
        said(&mut with_cache(cache, &["train", "--resume", run, "--adapter", "llvm"]));
    }
    assert_eq!(marked(&cache.join("run")), json!(7), "what it began with");
    assert_eq!(marked(&cache.join("before")), Value::Null, "what it began with");
    assert_eq!(marked(&cache.join("later")), json!(9));
    assert_eq!(marked(&cache.join("off")), Value::Null);

    fs::write(&path, "{").unwrap();
    let errors = train(&["--out", "corrupt"]);
    assert!(errors.contains("warning") && errors.contains(path.to_str().unwrap()), "{errors}");
    assert_eq!(marked(&cache.join("corrupt")), Value::Null);
    said(&mut with_cache(cache, &TUNE));
    train(&["--out", "mended"]);
    assert!(marked(&cache.join("mended")).is_u64());
}

#[test]
fn tune_says_what_is_wrong_with_its_arguments() {
    let place = tempfile::tempdir().unwrap();
    for (arguments, words) in [
        (&["tune", "--hidden", "4"][..], "--hidden"),
        (&["tune", "--hidden", "8,8,8,8,8,8,8,8,8"], "9 layers"),
        (&["tune", "--adapter", "no such adapter"], "no such adapter"),
        (&["tune", "--batch", "0"], "--batch"),
    ] {
        let output = with_cache(place.path(), arguments).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(errors.contains(words), "{errors}");
    }
}
