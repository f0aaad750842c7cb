//! `policy.symmetry = "flip"`: policies that know one of two mirror images, and a coin.

mod common;

use common::compare::{assert_close_at_scale, largest};
use wgflow::config::{Config, Inputs};
use wgflow::trainer::{Builder, Trainer};

const FOLDED: &str = "target = { kind = 'ising', side = 3, coupling = 0.5 }
policy = { hidden = [16, 16], symmetry = 'flip', initialisation = 'fan_in' }
objective = { kind = 'trajectory_balance' }
optimizer = { learning_rate = 1e-2, zeta_learning_rate = 0.1 }
training = { iterations = 60, batch = 64 }
engine = { kind = 'cpu' }";

fn built(changes: &[&str]) -> Result<Trainer, String> {
    let changes: Vec<String> = changes.iter().map(ToString::to_string).collect();
    let config = Config::parse(FOLDED, &changes).map_err(|error| error.to_string())?;
    let builder = Builder::of(&config, Inputs::Files).map_err(|error| error.to_string())?;
    Ok(builder.build().map_err(|error| error.to_string())?.0)
}

fn trained(trainer: &mut Trainer, iterations: u32) {
    while trainer.iteration() < iterations {
        trainer.step().unwrap();
    }
}

#[test]
fn folded_policies_are_symmetric_and_their_log_z_is_the_targets() {
    let mut seen = 0;
    for order in ["fixed", "uniform"] {
        for (guided, engine) in [("false", "cpu"), ("true", "cpu"), ("true", "gpu"), ("false", "gpu")] {
            let name = format!("{order}, guided {guided}, {engine}");
            let changes =
                [format!("policy.order={order}"), format!("policy.guided={guided}"), format!("engine.kind={engine}")];
            let changes: Vec<&str> = changes.iter().map(String::as_str).collect();
            let mut trainer = built(&changes).unwrap();
            trained(&mut trainer, 23);
            let mut second = built(&changes).unwrap();
            second.restore(&trainer.checkpoint()).unwrap();
            trained(&mut trainer, 60);
            trained(&mut second, 60);
            assert_eq!(second.parameters(), trainer.parameters(), "{name}: resumed");

            let evaluated = wgflow::evaluate(&mut trainer, 8192).unwrap();
            let found = evaluated.evaluation;
            let (exact, log_z) = (found.exact.expect("nine sites are few"), found.log_z_exact.unwrap());
            let off = (found.log_z_estimate - log_z).abs();
            assert!(off < 5.0 * found.log_z_standard_error + 1e-6, "{name}: log Z off by {off}");
            assert!(found.eubo.unwrap() > log_z && found.elbo < log_z, "{name}");
            // The gap of the ELBO is the divergence of trajectories: in the fixed order that of objects, else not below it.
            let (gap, error) = (log_z - found.elbo, 5.0 * found.elbo_standard_error + 1e-6);
            assert!(gap > exact.kl_model_to_target - error, "{name}: {gap} and {}", exact.kl_model_to_target);
            assert!(gap < exact.kl_model_to_target + error || order == "uniform", "{name}: {gap}");
            let flip = found.asymmetries.iter().find(|asymmetry| asymmetry.symmetry.contains("flip")).unwrap();
            assert!(flip.nats.abs() < 5.0 * flip.standard_error + 1e-6, "{name}: {flip:?}");
            // Four standard errors of 8192 coins.
            let up = evaluated.gflownet.rows().filter(|object| object[0] == 1).count();
            assert!(up.abs_diff(4096) < 4 * 46, "{name}: {up} of 8192");
            seen += 1;
        }
    }
    assert_eq!(seen, 8);
}

/// A batch that asks for single steps tells them with the coin in the first.
#[test]
fn steps_add_up_to_the_trajectory() {
    use wgflow::engine::Rollout;
    use wgflow::random::{Draw, Stream};
    for engine in ["cpu", "gpu"] {
        let mut trainer = built(&["policy.guided=true", &format!("engine.kind={engine}")]).unwrap();
        let request = Rollout { stepwise: true, ..Rollout::sample(Draw::new(1, 0, Stream::Training), 40) };
        let batch = trainer.rollout_for_training(&request).unwrap().batch;
        let steps = batch.steps.unwrap();
        let sums: Vec<f64> = steps.log_forward.chunks_exact(steps.max_steps).map(|row| row.iter().sum()).collect();
        assert_eq!(sums.len(), 40);
        assert!(largest(&batch.log_forward) > 1.0);
        assert_close_at_scale(&sums, &batch.log_forward, &[10.0; 40], 1e-6, engine);
    }
}

#[test]
fn the_gpu_trains_as_the_native_engine_does() {
    let (mut native, mut gpu) = (built(&[]).unwrap(), built(&["engine.kind=gpu"]).unwrap());
    let (expected, found) = (native.step().unwrap(), gpu.step().unwrap());
    assert_close_at_scale(&[found.loss], &[expected.loss], &[expected.loss], 1e-4, "loss");
    assert_close_at_scale(&[found.gradient_norm], &[expected.gradient_norm], &[expected.gradient_norm], 1e-4, "norm");
}

#[test]
fn targets_without_the_symmetry_are_refused() {
    let changes = ["target={ kind = 'density', mode = 'data', data = 'moons', bits = 8 }", "objective.kind=forward_kl"];
    let error = built(&changes).err().unwrap();
    assert!(error.contains("policy.symmetry = \"flip\"") && error.contains("Target::is_even"), "{error}");
    let error = built(&["policy.symmetry=turn"]).err().unwrap();
    assert!(error.contains("policy.symmetry") && error.contains("flip"), "{error}");
}
