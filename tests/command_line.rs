//! The command line: what it writes, what it refuses, and with which exit code.

#[path = "common/cli.rs"]
mod cli;

use std::fs;
use std::path::{Path, PathBuf};

use cli::{SMALL, refuse, run, succeed};
use serde_json::Value;
use tempfile::TempDir;

/// A directory with the small experiment in `small.toml`, and the path of a run in it.
fn place() -> (TempDir, String, PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("small.toml");
    fs::write(&file, SMALL).unwrap();
    let out = place.path().join("run");
    (place, file.to_str().unwrap().to_string(), out)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn training_leaves_a_complete_run_directory() {
    let (_place, file, out) = place();
    let output = succeed(&["train", &file, "--out", text(&out), "--engine", "cpu"]);
    for word in ["exact log Z", "ELBO", "EUBO", "effective samples", "report.html", "asked for"] {
        assert!(output.contains(word), "{word} is missing in {output}");
    }
    let summary: Value = serde_json::from_slice(&fs::read(out.join("summary.json")).unwrap()).unwrap();
    for key in ["log_z_exact", "log_z_estimate", "elbo", "eubo", "ess", "trajectories_per_second"] {
        assert!(summary[key].as_f64().is_some_and(f64::is_finite), "{key} in {summary}");
    }
    assert_eq!((&summary["iterations"], &summary["adapter"]), (&30.into(), &"none".into()));
    assert!(summary["samples"].as_u64().unwrap() >= 4096);
    // A converged or untrained policy alike obeys these bounds, up to the noise of 4096 samples.
    let number = |key: &str| summary[key].as_f64().unwrap();
    assert!(number("elbo") < number("log_z_exact") + 0.1 && number("eubo") > number("log_z_exact") - 0.1);
    let lines: Vec<Value> = fs::read_to_string(out.join("metrics.jsonl"))
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let iterations: Vec<u64> = lines.iter().map(|line| line["iteration"].as_u64().unwrap()).collect();
    assert_eq!(iterations, [0, 5, 10, 15, 20, 25, 29]);
    let report = fs::read_to_string(out.join("report.html")).unwrap();
    assert!(report.contains("data:image/png;base64") && !report.contains("src=\"http"));
    for picture in ["learning_curve.png", "samples.png", "energy_per_site.png"] {
        assert!(fs::read(out.join(picture)).unwrap().starts_with(b"\x89PNG"));
    }
    let config = fs::read_to_string(out.join("config.toml")).unwrap();
    assert!(config.contains("learning_rate = 0.001") && config.contains("side = 3"), "{config}");
}

#[test]
fn json_output_is_one_object_a_line_and_nothing_else() {
    let (_place, file, out) = place();
    let output = run(&["train", &file, "--out", text(&out), "--engine", "cpu", "--json"]);
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines: Vec<Value> = output
        .stdout
        .split(|&b| b == b'\n')
        .filter(|l| !l.is_empty())
        .map(|l| serde_json::from_slice(l).unwrap())
        .collect();
    assert_eq!((&lines[0]["event"], &lines[lines.len() - 1]["event"]), (&"start".into(), &"summary".into()));
    assert!(lines[lines.len() - 1]["summary"]["log_z_exact"].is_number());
    let evaluation: Value =
        serde_json::from_str(&succeed(&["evaluate", text(&out), "--samples", "5000", "--json"])).unwrap();
    assert_eq!(evaluation["samples"], 5000);
    let adapters = succeed(&["adapters", "--json"]);
    assert!(!adapters.is_empty(), "a machine without any adapter cannot run these tests");
    for (index, line) in adapters.lines().enumerate() {
        let adapter = serde_json::from_str::<Value>(line).unwrap();
        assert!(adapter["name"].is_string() && adapter["index"] == index);
    }
}

#[test]
fn samples_are_written_in_both_formats() {
    let (place, file, out) = place();
    succeed(&["train", &file, "--out", text(&out), "--engine", "cpu"]);
    let (npy, csv) = (place.path().join("x.npy"), place.path().join("x.csv"));
    succeed(&["sample", text(&out), "-n", "100", "--out", text(&npy)]);
    succeed(&["sample", text(&out), "-n", "100", "--out", text(&csv)]);
    let bytes = fs::read(&npy).unwrap();
    assert!(bytes.starts_with(b"\x93NUMPY"));
    let rows: Vec<u8> = fs::read_to_string(&csv)
        .unwrap()
        .lines()
        .skip(1)
        .flat_map(|line| line.split(',').map(|value| value.parse().unwrap()).collect::<Vec<u8>>())
        .collect();
    assert_eq!(rows.len(), 900);
    assert_eq!(bytes[bytes.len() - 900..], rows);
    refuse(
        2,
        &[".xlsx", ".npy", ".csv"],
        &["sample", text(&out), "-n", "1", "--out", text(&place.path().join("x.xlsx"))],
    );
}

#[test]
fn presets_are_listed_and_printed() {
    assert!(succeed(&["presets"]).contains("ising-quick"));
    assert!(succeed(&["presets", "ising-quick"]).contains("side = 8"));
    assert!(succeed(&["presets", "ising-15--0.4-tb"]).contains("trajectory_balance"));
    refuse(2, &["nothing", "wgflow presets"], &["presets", "nothing"]);
    refuse(2, &["nothing", "wgflow presets"], &["train", "--preset", "nothing"]);
}

#[test]
fn bad_configurations_are_refused_by_key_and_leave_nothing() {
    let (place, file, out) = place();
    let cases = [
        ("training.bach=3", vec!["bach", "batch"]),
        ("training.batch=many", vec!["training.batch", "many"]),
        ("training.batch=0", vec!["training.batch", "0", "1 to"]),
        ("target.side=2", vec!["target.side", "2"]),
        ("objective={kind='alpha_kl', alpha=1.5}", vec!["objective.alpha", "1.5"]),
        ("policy.hidden=[0]", vec!["policy.hidden", "[0]", "8 to 1024"]),
        ("training.batch", vec!["training.batch", "="]),
    ];
    for (change, words) in cases {
        refuse(2, &words, &["train", &file, "--out", text(&out), "--set", change]);
        assert!(!out.exists(), "{change} left {}", out.display());
    }
    refuse(2, &["missing.toml"], &["train", text(&place.path().join("missing.toml"))]);
    fs::write(place.path().join("bad.toml"), "seed = [").unwrap();
    refuse(2, &["bad.toml", "TOML"], &["train", text(&place.path().join("bad.toml"))]);
    refuse(2, &["--frobnicate"], &["train", "--frobnicate"]);
    refuse(2, &["config.toml"], &["train", "--resume", text(place.path())]);
    refuse(2, &["config.toml"], &["evaluate", text(place.path())]);
}

#[test]
fn batches_of_one_and_singular_divergences_are_refused_with_the_reason() {
    let (_place, file, _out) = place();
    let one = ["train", &file, "--set", "training.batch=1", "--set"];
    refuse(
        2,
        &["training.batch = 1", "leave_one_out"],
        &[&one[..], &["objective.control_variate=leave_one_out"]].concat(),
    );
    let objective = |text: &str, words: &[&str]| refuse(2, words, &["train", &file, "--set", text]);
    objective("objective={kind='renyi', divergence_order=1}", &["objective.divergence_order", "1", "reverse_kl"]);
    objective("objective={kind='tsallis', divergence_order=0}", &["objective.divergence_order", "0"]);
    objective("objective={kind='regression', loss='linex', scale=0}", &["objective.scale", "0"]);
}

#[test]
fn directories_that_hold_a_run_or_cannot_be_written_are_left_alone() {
    let (_place, file, out) = place();
    succeed(&["train", &file, "--out", text(&out), "--engine", "cpu", "--stop-after", "3"]);
    let before = fs::read(out.join("checkpoint.safetensors")).unwrap();
    refuse(2, &["already holds a run", "--resume"], &["train", &file, "--out", text(&out)]);
    assert_eq!(fs::read(out.join("checkpoint.safetensors")).unwrap(), before);
    refuse(1, &["/proc/wgflow"], &["train", &file, "--engine", "cpu", "--out", "/proc/wgflow"]);
}

#[test]
fn damaged_checkpoints_are_refused_and_not_overwritten() {
    let (_place, file, out) = place();
    succeed(&["train", &file, "--out", text(&out), "--engine", "cpu", "--stop-after", "3"]);
    let path = out.join("checkpoint.safetensors");
    let whole = fs::read(&path).unwrap();
    let resume = ["train", "--resume", text(&out)];
    let refuse_contents = |contents: &[u8], words: &[&str]| {
        fs::write(&path, contents).unwrap();
        refuse(2, words, &resume);
        assert_eq!(fs::read(&path).unwrap(), contents);
    };
    refuse_contents(&whole[..whole.len() / 2], &["checkpoint.safetensors", "truncated"]);
    refuse_contents(b"", &["checkpoint.safetensors"]);
    refuse_contents(b"\x93NUMPY, not a checkpoint at all", &["checkpoint.safetensors", "foreign"]);
    let foreign = safetensors::serialize(Vec::<(String, safetensors::tensor::TensorView)>::new(), None).unwrap();
    refuse_contents(&foreign, &["not a checkpoint of wgflow"]);

    fs::write(&path, &whole).unwrap();
    let config = fs::read_to_string(out.join("config.toml")).unwrap();
    fs::write(out.join("config.toml"), config.replace("hidden = [24, 16]", "hidden = [24, 24]")).unwrap();
    refuse(2, &["policy.hidden", "[24, 24], not [24, 16]"], &resume);
    fs::write(out.join("config.toml"), config.replace("seed = 3", "seed = 4")).unwrap();
    refuse(2, &["seed is 4, not 3"], &resume);
}

#[test]
fn adapters_that_are_not_there_are_named_and_limits_too() {
    let (_place, file, out) = place();
    let gpu = ["train", &file, "--engine", "gpu", "--out", text(&out)];
    refuse(2, &["no-such-adapter", "there are"], &[&gpu[..], &["--adapter", "no-such-adapter"]].concat());
    let beyond = ["--adapter-index", "1000"];
    refuse(2, &["engine.adapter_index = 1000: the adapters have the indices 0 to"], &[&gpu[..], &beyond].concat());
    let double = ["--set", "engine.precision=f64", "--adapter-index", "0", "--engine", "auto"];
    refuse(2, &["engine.adapter_index = 0", "f64"], &[&gpu[..2], &double, &["--out", text(&out)]].concat());
    let long = ["--set", "target.side=100", "--set", "policy.hidden=[8, 8]"];
    refuse(2, &["the number of sites is 10000", "fewer sites"], &[&gpu[..], &long].concat());
    assert!(!out.exists());
}

/// By an MPI that the program is built without. (With it, MPI itself says how many there are.)
#[cfg(not(feature = "mpi"))]
#[test]
fn one_of_several_processes_without_mpi_is_refused() {
    let (_place, file, out) = place();
    let mut train = std::process::Command::new(env!("CARGO_BIN_EXE_wgflow"));
    let output = train.args(["train", &file, "--out", text(&out)]).env("OMPI_COMM_WORLD_SIZE", "2").output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && message.contains("--features mpi"), "{message}");
    assert!(!out.exists());
}

#[test]
fn the_exact_comparison_is_given_where_it_is_asked_for_and_possible() {
    let (place, file, _) = place();
    let density = |bits: usize| {
        format!("target={{ kind = \"density\", mode = \"joint\", data = \"circles\", bits = {bits}, hidden = [8] }}")
    };
    let train = |bits| {
        let out = place.path().join(format!("bits-{bits}"));
        let sizes = ["--set", "evaluation.nll_points=20", "--set", "evaluation.mmd_samples=50", "--iterations", "2"];
        let set = density(bits);
        succeed(&[&["train", &file, "--set", &set, "--out", text(&out), "--engine", "cpu"], &sizes[..]].concat());
        out
    };
    let out = train(14);
    let exact = |arguments: &[&str]| -> Value {
        let output = succeed(&[&["evaluate", text(&out), "--json"], arguments].concat());
        serde_json::from_str::<Value>(&output).unwrap()
    };
    // 14 bits take a while with wide networks, so they are not compared unasked.
    assert!(exact(&[])["exact"].is_null());
    let found = exact(&["--exact", "--nll-points", "30"]);
    let number = |value: &Value| value.as_f64().unwrap();
    // Enumerated in f32 for the comparison, in f64 for the target.
    assert!((number(&found["exact"]["log_z"]) - number(&found["log_z_exact"])).abs() < 1e-4, "{found}");
    assert!((0.0..1.0).contains(&number(&found["exact"]["total_variation"])));
    assert!(number(&found["nll"]) > 0.0 && found["mmd"].is_f64());
    refuse(2, &["--exact", "20 sites", "18"], &["evaluate", text(&train(20)), "--exact"]);
}
