//! Runs whose training stays on the device: saved, stopped and resumed as any other.

#![cfg(all(feature = "gpu", unix))]

#[path = "common/cli.rs"]
mod cli;
#[path = "common/place.rs"]
mod place;

use cli::{succeed, tensors};
use place::{Place, assert_code, end, send, start, words};

const ON_DEVICE: [&str; 6] =
    ["--engine", "gpu", "--set", "optimizer.location='device'", "--set", "objective={kind='trajectory_balance'}"];

fn train(place: &Place, out: &str, more: &[&str]) -> std::process::Command {
    place.command(&[&["train", "small.toml", "--out", out], &ON_DEVICE[..], more].concat())
}

#[test]
fn a_run_on_the_device_is_the_same_whatever_stops_it() {
    let place = Place::new();
    let usual = ["--iterations", "300", "--set", "evaluation.every=101"];
    assert_code(&train(&place, "whole", &usual).output().unwrap(), 0);
    // A checkpoint as often as may be: flights are awaited for each.
    let often = [&usual[..], &["--set", "training.checkpoint_seconds=0"]].concat();
    assert_code(&train(&place, "often", &often).output().unwrap(), 0);
    assert_code(&train(&place, "parts", &[&usual[..], &["--stop-after", "133"]].concat()).output().unwrap(), 0);
    let (child, output) =
        start(&mut train(&place, "interrupted", &[&usual[..], &["--json"]].concat()), "\"iteration\":20");
    send(&child, &[libc::SIGINT]);
    let output = end(child, output);
    assert_code(&output, 1);
    assert!(words(&output.stderr).contains("saved"), "{}", words(&output.stderr));
    for out in ["parts", "interrupted"] {
        assert_ne!(tensors(&place.at(out)), tensors(&place.at("whole")), "{out} is over already");
        succeed(&["train", "--resume", place.at(out).to_str().unwrap(), "--engine", "gpu"]);
    }
    for out in ["often", "parts", "interrupted"] {
        assert!(tensors(&place.at(out)) == tensors(&place.at("whole")), "{out}");
        assert_eq!(place.metrics(out), place.metrics("whole"), "{out}");
    }
    assert!(tensors(&place.at("whole")).iter().any(|(name, _)| name == "policy_wide"));
    let evaluated = succeed(&["evaluate", place.at("whole").to_str().unwrap()]);
    assert!(evaluated.contains("ELBO"), "{evaluated}");
}
