//! The densities task from end to end: energy models trained along, held fixed, or none at all.

mod common;

use std::path::Path;

use common::compare::{absolute_sum, assert_close, assert_layers_close, largest};
use wgflow::config::{Config, Inputs};
use wgflow::engine::Roll;
use wgflow::engine::cpu::CpuEngine;
use wgflow::evaluation::{self, evaluate};
use wgflow::network::{Activation, Initialisation, Layout, initialise};
use wgflow::process::{Objects, Order, SiteFilling};
use wgflow::random::Stream;
use wgflow::run::claim::Claim;
use wgflow::run::directory::RunDirectory;
use wgflow::session::{Observer, Outcome, Session};
use wgflow::stop::Stop;
use wgflow::targets::Target;
use wgflow::targets::energy_model::{self, EnergyModel};
use wgflow::trainer::{Builder, Trainer};

/// A small joint run on 8 bits.
const JOINT: &str = r#"
seed = 3
[target]
kind = "density"
mode = "joint"
data = "2spirals"
bits = 8
hidden = [32, 32]
horizon = 400
energy_learning_rate = 2e-3
[policy]
hidden = [32, 32]
activation = "leaky_relu"
initialisation = "fan_in"
[training]
iterations = 40
batch = 64
checkpoint_seconds = 0.0
[optimizer]
learning_rate = 4e-3
[evaluation]
samples = 4096
nll_points = 400
mmd_samples = 500
[engine]
kind = "cpu"
"#;

fn config(text: &str, changes: &[&str]) -> Config {
    let changes: Vec<String> = changes.iter().map(|change| change.to_string()).collect();
    Config::parse(text, &changes).unwrap_or_else(|error| panic!("{error}"))
}

fn trainer(config: &Config) -> Trainer {
    Builder::of(config, Inputs::Files).unwrap().build().unwrap().0
}

struct Silent;
impl Observer for Silent {}

/// Trains in `path` until the end, or for so many more iterations.
fn train(path: &Path, config: &Config, stop_after: Option<u32>) -> Outcome {
    let (run, mut session) = if RunDirectory::at(path).holds(config).unwrap() {
        let (run, _) = Claim::take(path, &[]).unwrap();
        let session = Session::take_up(&run, config.clone(), &[], None).unwrap();
        (run, session)
    } else {
        (Claim::create(path, config).unwrap(), Session::new(config.clone(), None).unwrap())
    };
    session.run(&run, &Stop::default(), stop_after, &mut Silent).unwrap()
}

/// The metrics log without times.
fn metrics(path: &Path) -> Vec<serde_json::Value> {
    let (mut lines, complaints) = RunDirectory::at(path).metrics().unwrap();
    assert!(!lines.is_empty() && complaints.is_empty(), "{complaints:?}");
    lines.iter_mut().for_each(|line| line["seconds"] = 0.into());
    lines
}

#[test]
fn a_joint_run_resumes_bit_for_bit() {
    for engine in ["engine.kind=cpu", "engine.kind=gpu"] {
        joint_run_resumes_bit_for_bit(engine);
    }
}

fn joint_run_resumes_bit_for_bit(engine: &str) {
    let directory = tempfile::tempdir().unwrap();
    let (whole, parts) = (directory.path().join("whole"), directory.path().join("parts"));
    // Both sources of trajectories, the learned log Z, proposals, and evaluations on the way.
    let objective = "objective={ kind = \"alpha_tb\", alpha = 0.5 }";
    let config = config(JOINT, &[objective, "evaluation.every=10", "target.horizon=30", engine]);
    assert!(matches!(train(&whole, &config, None), Outcome::Finished(_)));
    for _ in 0..2 {
        assert!(matches!(train(&parts, &config, Some(13)), Outcome::Stopped { .. }));
    }
    assert!(matches!(train(&parts, &config, None), Outcome::Finished(_)));
    let state = |path: &Path| Session::open(path, |_| ()).unwrap().trainer().checkpoint();
    assert!(state(&whole) == state(&parts), "policies, energies or moments differ");
    assert_eq!(metrics(&whole), metrics(&parts));
    let evaluations = metrics(&whole).into_iter().filter(|line| line["evaluation"]["nll"].is_f64());
    assert_eq!(evaluations.map(|line| line["iteration"].as_u64().unwrap()).collect::<Vec<_>>(), [9, 19, 29, 39]);
    for picture in ["samples.png", "likelihood.png", "learning_curve.png", "report.html"] {
        assert!(std::fs::metadata(whole.join(picture)).unwrap().len() > 1000);
    }
}

#[test]
fn joint_training_learns_the_data_and_its_energy_can_then_be_held() {
    let directory = tempfile::tempdir().unwrap();
    let joint_run = directory.path().join("joint");
    let joint = config(JOINT, &["training.iterations=600"]);
    let before = evaluate(&mut trainer(&joint), 4096).unwrap().evaluation;
    let Outcome::Finished(summary) = train(&joint_run, &joint, None) else { panic!("not finished") };
    let after = summary.evaluation;
    // 8 bits at random are 5.5 nats; the data's own entropy is near 4.3.
    assert!(after.nll.unwrap() < before.nll.unwrap() - 0.5, "{:?} after {:?}", after.nll, before.nll);
    assert!(after.mmd.unwrap() < before.mmd.unwrap() / 4.0, "{:?} after {:?}", after.mmd, before.mmd);
    let exact = after.exact.unwrap();
    assert!(exact.kl_model_to_target < 0.1, "{exact:?}");
    // Both ask the energy model in f64.
    assert!((after.log_z_exact.unwrap() - exact.log_z).abs() < 1e-10);

    let energy = format!("target.energy={}", joint_run.join("checkpoint.safetensors").display());
    let fixed = [
        "target={ kind = \"density\", mode = \"fixed\", data = \"2spirals\", bits = 8, hidden = [32, 32] }",
        &energy,
        "training.iterations=1500",
        "optimizer.schedule=cosine",
    ];
    let fixed = config(JOINT, &fixed);
    let fixed_run = directory.path().join("fixed");
    let Outcome::Finished(summary) = train(&fixed_run, &fixed, None) else { panic!("not finished") };
    let found = summary.evaluation;
    assert_eq!(found.log_z_exact, after.log_z_exact, "the energy is the one that was saved, and was held");
    let better = found.exact.unwrap();
    assert!(better.kl_model_to_target < 0.02, "{better:?}");
    let error = found.log_z_estimate - found.log_z_exact.unwrap();
    assert!(error.abs() < 4.0 * found.log_z_standard_error, "{error} with {}", found.log_z_standard_error);

    assert!(found.log_z_standard_error < 0.01, "{}", found.log_z_standard_error);

    // The run keeps its energy: what happens to the file later does not matter.
    std::fs::remove_file(joint_run.join("checkpoint.safetensors")).unwrap();
    let mut opened = Session::open(&fixed_run, |_| ()).unwrap();
    assert_eq!(opened.trainer().target().log_z().ok(), found.log_z_exact);
}

#[test]
fn importance_sampling_agrees_with_enumeration_on_ten_bits() {
    for (seed, data) in [(1, "8gaussians"), (2, "moons")] {
        let data = format!("target.data={data}");
        let seed = format!("seed={seed}");
        let config = config(JOINT, &["target.bits=10", "training.iterations=150", &data, &seed]);
        let mut trainer = trainer(&config);
        while !trainer.is_done() {
            assert!(!trainer.step().unwrap().skipped);
        }
        let found = evaluate(&mut trainer, 20_000).unwrap().evaluation;
        let error = found.log_z_estimate - found.log_z_exact.unwrap();
        assert!(error.abs() < 4.0 * found.log_z_standard_error, "{error} with {}", found.log_z_standard_error);
        assert!(largest(&[found.log_z_standard_error, found.elbo_standard_error]) < 0.005, "{found:?}");
        let exact = found.exact.unwrap();
        assert!(found.elbo < exact.log_z - exact.kl_model_to_target + 4.0 * found.elbo_standard_error);
    }
}

#[test]
fn data_alone_train_forward_kl_and_nothing_else() {
    let data = "target={ kind = \"density\", mode = \"data\", data = \"8gaussians\", bits = 8 }";
    let forward = config(JOINT, &[data, "objective={ kind = \"forward_kl\" }", "training.iterations=300"]);
    let mut trainer = trainer(&forward);
    let before = evaluate(&mut trainer, 4096).unwrap().evaluation;
    while !trainer.is_done() {
        let step = trainer.step().unwrap();
        assert!(!step.skipped && step.energy.is_none());
    }
    let after = evaluate(&mut trainer, 4096).unwrap().evaluation;
    assert!(after.nll.unwrap() < before.nll.unwrap() - 0.5);
    assert!(after.mmd.unwrap() < before.mmd.unwrap() / 4.0);
    // Nothing is said of an R that is not there.
    assert!(after.elbo.is_nan() && after.log_z_estimate.is_nan() && after.ess.is_nan());
    assert!(after.log_z_exact_missing.unwrap().contains("no R"));
    assert!(after.eubo.is_none() && after.eubo_missing.unwrap().contains("no sampler"));
    assert!(after.exact.is_none());
    let reason = evaluation::allows_enumeration(&trainer).unwrap_err().to_string();
    assert!(reason.contains("no R"), "{reason}");

    for objective in
        ["{ kind = \"reverse_kl\" }", "{ kind = \"alpha_tb\", alpha = 1 }", "{ kind = \"alpha_kl\", alpha = 0.5 }"]
    {
        let objective = format!("objective={objective}");
        let refused = config(JOINT, &[data, &objective]);
        let error = Builder::of(&refused, Inputs::Files).unwrap().build().err().unwrap().to_string();
        assert!(error.contains("forward_kl") && error.contains("no R"), "{error}");
    }
}

#[test]
fn a_run_on_data_alone_leaves_a_report() {
    let directory = tempfile::tempdir().unwrap();
    let data = "target={ kind = \"density\", mode = \"data\", data = \"moons\", bits = 32 }";
    let changes = [data, "objective={ kind = \"forward_kl\" }", "training.iterations=3"];
    assert!(matches!(train(directory.path(), &config(JOINT, &changes), None), Outcome::Finished(_)));
    let summary: serde_json::Value =
        serde_json::from_slice(&std::fs::read(directory.path().join("summary.json")).unwrap()).unwrap();
    assert!(summary["nll"].is_f64() && summary["elbo"].is_null() && summary["log_z_estimate"].is_null());
    let lines = metrics(directory.path());
    assert!(!lines.is_empty() && lines.iter().all(|line| line.get("elbo").is_some_and(|elbo| elbo.is_null())));
    assert!(!std::fs::read_to_string(directory.path().join("report.html")).unwrap().contains("NaN"));
}

#[test]
fn engines_evaluate_and_differentiate_the_network_in_their_own_precision() {
    let layout = energy_model::layout(16, &[64, 64, 64]);
    let parameters = |seed| initialise(&layout, Initialisation::FanIn, seed, Stream::EnergyInitialisation);
    let model = std::sync::Arc::new(EnergyModel::new(layout.clone(), &parameters(1)));
    let process = SiteFilling { sites: 16, values: 2, order: Order::Uniform, encoding: model.encoding() };
    let policy = Layout::new(16, &[8], 32);
    let mut single =
        CpuEngine::<f32>::new(process.clone(), policy.clone(), Activation::Tanh, model.clone(), u64::MAX).unwrap();
    let mut double = CpuEngine::<f64>::new(process, policy, Activation::Tanh, model.clone(), u64::MAX).unwrap();
    let objects = Objects::numbered(16, 2, 1000..1130);
    let coefficients = common::coefficients(130);
    for seed in [1, 2] {
        // The second time the engines have to notice that the parameters are others.
        model.set_parameters(&parameters(seed));
        let mut expected = vec![0.0; 130];
        model.log_reward(&objects, &mut expected);
        assert_eq!(double.log_reward(&objects).unwrap(), expected);
        // Sums of 64 terms below one.
        assert_close(&single.log_reward(&objects).unwrap(), &expected, 1e-6, "log R");
        let gradient = double.reward_gradient(&objects, &coefficients).unwrap();
        let terms = absolute_sum(objects.rows().zip(&coefficients).map(|(object, &c)| {
            let object = Objects::new(16, object.to_vec());
            double.reward_gradient(&object, &[c]).unwrap()
        }));
        let found = single.reward_gradient(&objects, &coefficients).unwrap();
        // A delta and an input are each at the end of four layers: some ten roundings of either sign.
        assert_layers_close(&layout, &found, &gradient, &terms, 16.0 * f64::from(f32::EPSILON), "gradient of log R");
        for index in (0..gradient.len()).step_by(211) {
            let mut value_at = |shift: f64| {
                let mut shifted = parameters(seed);
                shifted[index] += shift;
                model.set_parameters(&shifted);
                let log_reward = double.log_reward(&objects).unwrap();
                log_reward.iter().zip(&coefficients).map(|(log, c)| log * c).sum::<f64>()
            };
            let difference = (value_at(1e-5) - value_at(-1e-5)) / 2e-5;
            // Third derivative times 1e-10, rounding 1e-15 / 1e-5; ELU's kink in the second derivative adds its share.
            assert!((gradient[index] - difference).abs() < 1e-8, "{index}: {} {difference}", gradient[index]);
        }
    }
    let wave = common::Setting::wave(5, 2, Order::Uniform, &[8], Activation::Tanh);
    let error = wave.native::<f32>().reward_gradient(&Objects::numbered(5, 2, 0..1), &[1.0]).unwrap_err();
    assert!(error.to_string().contains("not a network"));
}
