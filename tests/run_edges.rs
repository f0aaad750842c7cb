//! Runs at their edges: policies beyond use, energies of more digits than a checkpoint holds, changes of more than one key.

#[path = "common/cli.rs"]
mod cli;
#[path = "common/place.rs"]
mod place;

use std::fs;

use place::{Place, assert_code, words};
use wgflow::run::checkpoint::Checkpoint;

#[test]
fn a_policy_beyond_use_is_not_looked_at_as_if_it_were_one() {
    let place = Place::new();
    let run = place.trained();
    let path = place.at(run).join("checkpoint.safetensors");
    let mut checkpoint = Checkpoint::read(&path).unwrap();
    checkpoint.put_f32("policy.0.bias", &[24], &[f64::NAN; 24]);
    checkpoint.write(&path).unwrap();
    for arguments in [&["evaluate", run][..], &["sample", run, "-n", "10", "--out", "objects.csv"]] {
        let output = place.command(arguments).output().unwrap();
        assert_code(&output, 1);
        assert!(words(&output.stderr).contains("the policy is broken: log P_F of trajectory 0 is NaN"));
    }
    assert!(!place.at("objects.csv").exists());
}

#[test]
fn a_run_with_an_energy_of_f64_is_the_same_when_it_is_looked_at() {
    use safetensors::tensor::{Dtype, TensorView};

    let place = Place::new();
    // An MLP of eight bits with two units; no number is exact in f32.
    let shapes: [(&str, &[usize]); 4] =
        [("energy.0.weight", &[2, 8]), ("energy.0.bias", &[2]), ("energy.2.weight", &[1, 2]), ("energy.2.bias", &[1])];
    let bytes = shapes.map(|(name, shape)| {
        let count = shape.iter().product::<usize>();
        let numbers = (0..count).map(|i| (name.len() as f64 + 0.7 * i as f64).sin() / 3.0);
        numbers.flat_map(f64::to_le_bytes).collect::<Vec<u8>>()
    });
    let views = shapes
        .iter()
        .zip(&bytes)
        .map(|((name, shape), bytes)| (*name, TensorView::new(Dtype::F64, shape.to_vec(), bytes).unwrap()));
    fs::write(place.at("energy.safetensors"), safetensors::serialize(views, None).unwrap()).unwrap();
    let experiment = "
        engine.kind = 'cpu'
        policy.hidden = [8]
        training = { iterations = 3, batch = 16 }
        [target]
        kind = 'density'
        mode = 'fixed'
        data = '2spirals'
        bits = 8
        energy = 'energy.safetensors'
        hidden = [2]
    ";
    fs::write(place.at("energy.toml"), experiment).unwrap();
    assert_code(&place.command(&["train", "energy.toml", "--out", "run"]).output().unwrap(), 0);
    let summary: serde_json::Value = serde_json::from_slice(&fs::read(place.at("run/summary.json")).unwrap()).unwrap();
    let output = place.command(&["evaluate", "run", "--json"]).output().unwrap();
    assert_code(&output, 0);
    let evaluation: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let exact = evaluation["log_z_exact"].as_f64().expect("eight bits are enumerated");
    assert_eq!(Some(exact), summary["log_z_exact"].as_f64(), "{summary:#}");
}

#[test]
fn one_set_changes_one_key() {
    let place = Place::new();
    let output = place.train("run", &["--set", "training.batch=32\nseed = 9"]).output().unwrap();
    assert_code(&output, 2);
    assert!(words(&output.stderr).contains("one key at a time"), "{}", words(&output.stderr));
}
