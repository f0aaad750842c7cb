//! Objectives on single steps: at the exact flows, in training on both engines, with P_B uniform and learned, and resumed.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use wgflow::config::{Inputs, Settings};
use wgflow::engine::{Batch, Coefficients, Steps};
use wgflow::evaluation::{Evaluation, evaluate};
use wgflow::metrics::log_sum_exp;
use wgflow::objective::{Balance, Estimator, FlowMatching, Flows, Loss, Stretches};
use wgflow::process::{Extras, FreeFilling, Hypergrid, Order, Process, SiteFilling};
use wgflow::targets::Target;
use wgflow::targets::ising::Ising;
use wgflow::trainer::{Builder, Trainer};

/// Every state by its words, with log of the flow that goes through it under a uniform P_B: log F(s) = log sum over actions of
/// F(s') P_B(s | s').
fn flow(
    process: &dyn Process,
    log_reward: &dyn Fn(&[u8]) -> f64,
    state: &[u32],
    known: &mut BTreeMap<Vec<u32>, f64>,
) -> f64 {
    if let Some(&flow) = known.get(state) {
        return flow;
    }
    let mut parts = Vec::new();
    for action in (0..process.actions() as u32).filter(|&action| process.allows(state, action)) {
        let mut after = state.to_vec();
        let step = process.advance(&mut after, action);
        let next = if step.ends {
            let mut object = vec![0; process.sites()];
            process.object(&after, &mut object);
            log_reward(&object)
        } else {
            flow(process, log_reward, &after, known)
        };
        parts.push(next + step.log_backward);
    }
    let flow = log_sum_exp(&parts);
    known.insert(state.to_vec(), flow);
    flow
}

#[test]
fn every_residual_is_zero_at_the_exact_flows() {
    let ising = Ising::new(3, 0.3).unwrap();
    let filling = SiteFilling { sites: 9, values: 2, order: Order::Uniform, encoding: ising.encoding() };
    let wave = |object: &[u8]| object.iter().zip(1..).map(|(&v, i)| (f64::from(v) + 0.7 * f64::from(i)).sin()).sum();
    let spins = |object: &[u8]| {
        let mut log_reward = [0.0];
        ising.log_reward(&wgflow::process::Objects::new(9, object.to_vec()), &mut log_reward);
        log_reward[0]
    };
    type LogReward<'a> = &'a dyn Fn(&[u8]) -> f64;
    let cases: [(Arc<dyn Process>, LogReward); 3] = [
        (Arc::new(Hypergrid::new(2, 3)), &wave),
        (Arc::new(FreeFilling { filling: filling.clone(), extras: Extras::default() }), &spins),
        (
            Arc::new(FreeFilling {
                filling: SiteFilling { order: Order::Fixed, ..filling },
                extras: Extras::default(),
            }),
            &spins,
        ),
    ];
    for (process, log_reward) in cases {
        let mut known = BTreeMap::new();
        let log_z = flow(process.as_ref(), log_reward, &vec![0; process.state_words()], &mut known);
        let objects = wgflow::process::Objects::numbered(
            process.sites(),
            process.values(),
            0..process.values().pow(process.sites() as u32),
        );
        let all: Vec<f64> = objects.rows().map(log_reward).collect();
        assert!((log_z - log_sum_exp(&all)).abs() < 1e-10, "the flow through the first state is Z");

        // Trajectories under P_F of these flows, by a fixed rule that takes every kind of action.
        let most = process.max_steps();
        let mut batch = Batch::default();
        let mut steps = Steps { max_steps: most, ..Steps::default() };
        for number in 0..50_usize {
            let (mut state, mut length, mut ended) = (vec![0; process.state_words()], 0, false);
            let (mut forward, mut backward, mut flows) = (vec![0.0; most], vec![0.0; most], vec![0.0; most]);
            let mut inflow = vec![f64::NEG_INFINITY; most];
            let mut reached = f64::NAN;
            while !ended {
                let allowed: Vec<u32> =
                    (0..process.actions() as u32).filter(|&action| process.allows(&state, action)).collect();
                let action = allowed[(7 * number + 3 * length + number / 3) % allowed.len()];
                let here = known[&state];
                let before = state.clone();
                let step = process.advance(&mut state, action);
                ended = step.ends;
                let next = if ended {
                    let mut object = vec![0; process.sites()];
                    process.object(&state, &mut object);
                    reached = log_reward(&object);
                    reached
                } else {
                    known[&state]
                };
                (flows[length], backward[length]) = (here, step.log_backward);
                // What other parents send here: F(s) P_B of the way back to each.
                let stops = process.stop() == Some(action);
                let others =
                    process.parents(&state).unwrap().into_iter().filter(|(parent, _)| !stops && *parent != before);
                let sent: Vec<f64> = others
                    .map(|(mut parent, action)| next + process.advance(&mut parent, action).log_backward)
                    .collect();
                inflow[length] = log_sum_exp(&sent);
                forward[length] = next + step.log_backward - here;
                length += 1;
            }
            batch.log_forward.push(forward.iter().sum());
            batch.log_backward.push(backward.iter().sum());
            batch.log_reward.push(reached);
            steps.lengths.push(length);
            steps.log_forward.extend(forward);
            steps.log_backward.extend(backward);
            steps.log_flow.extend(flows);
            steps.log_inflow.extend(inflow);
        }
        batch.steps = Some(steps);
        for stretches in [Stretches::Steps, Stretches::All { lambda: 0.9 }, Stretches::All { lambda: 3.0 }] {
            let balance = Balance { stretches, loss: Loss::Squared, flows: Flows::Said };
            let found = Estimator::Balance(balance).contribution(1.0, &batch, 0.0);
            assert!(found.loss < 1e-20, "{process:?} {stretches:?}: {}", found.loss);
            let Coefficients::Steps(steps) = found.policy else { panic!("of steps") };
            assert!(steps.lists().iter().all(|list| list.len() == 50 * most && list.iter().all(|c| c.abs() < 1e-10)));
        }
        let matching = FlowMatching { loss: Loss::Squared };
        let found = Estimator::FlowMatching(matching).contribution(1.0, &batch, 0.0);
        assert!(found.loss < 1e-20, "{process:?}: {}", found.loss);
        // And not elsewhere.
        batch.steps.as_mut().unwrap().log_flow[0] += 0.5;
        let balance = Balance { stretches: Stretches::Steps, loss: Loss::Squared, flows: Flows::Said };
        assert!(Estimator::Balance(balance).contribution(1.0, &batch, 0.0).loss > 1e-3);
        assert!(Estimator::FlowMatching(matching).contribution(1.0, &batch, 0.0).loss > 1e-3);
    }
}

fn trained(target: &str, changes: &[&str]) -> Trainer {
    let text = format!(
        "seed = 1\n{target}\n[policy]\nhidden = [64, 64]\ninitialisation = 'fan_in'\n[engine]\nkind = 'cpu'\n\
         [training]\niterations = 700\nbatch = 64\n[optimizer]\nlearning_rate = 5e-3\nzeta_learning_rate = 0.1\nschedule = 'cosine'\n"
    );
    let mut trainer = common::built(&text, changes, Inputs::Files).unwrap();
    while !trainer.is_done() {
        assert!(!trainer.step().unwrap().skipped);
    }
    trainer
}

const GRID: &str = "[target]\nkind = 'hypergrid'\ndimensions = 2\nheight = 6";
const SPINS: &str = "[target]\nkind = 'ising'\nside = 3\ncoupling = 0.2";

fn assert_exact(mut trainer: Trainer, most: f64, what: &str) -> Evaluation {
    let found = evaluate(&mut trainer, 4096).unwrap().evaluation;
    let exact = found.log_z_exact.unwrap();
    let distance = found.exact.expect("small enough to count").total_variation;
    assert!(distance < most, "{what}: total variation {distance}");
    let error = 5.0 * found.log_z_standard_error.max(1e-4);
    assert!((found.log_z_estimate - exact).abs() < error, "{what}: log Z {} of {exact}", found.log_z_estimate);
    assert!(found.elbo <= exact + error && found.eubo.unwrap() >= exact - error, "{what}");
    found
}

#[test]
fn training_comes_to_the_target() {
    for (target, changes) in [
        (GRID, &["objective.kind=detailed_balance"][..]),
        (GRID, &["objective.kind=subtrajectory_balance", "objective.loss=huber"]),
        (GRID, &["objective.kind=modified_detailed_balance"]),
        (GRID, &["objective.kind=flow_matching"]),
        (SPINS, &["objective.kind=flow_matching", "policy.order=learned", "objective.loss=huber", "training.batch=16"]),
        (GRID, &["objective.kind=detailed_balance", "objective.alpha=0.5", "policy.backward=learned"]),
        (GRID, &["objective.kind=trajectory_balance", "policy.backward=learned", "objective.backward_training=tlm"]),
        (GRID, &["objective.kind=reverse_kl", "policy.backward=learned"]),
        (GRID, &["objective.kind=forward_kl", "policy.backward=learned"]),
        (SPINS, &["objective.kind=trajectory_balance", "policy.order=learned"]),
        (SPINS, &["objective.kind=log_variance", "policy.order=learned", "policy.backward=learned"]),
        (SPINS, &["objective.kind=detailed_balance", "policy.order=fixed", "objective.forward_looking=true"]),
        (SPINS, &["objective.kind=subtrajectory_balance", "policy.order=learned", "objective.forward_looking=true"]),
        (SPINS, &["objective.kind=subtrajectory_balance", "policy.flow=own"]),
        (SPINS, &["objective.kind=detailed_balance", "policy.flow=own", "policy.guided=true"]),
        (GRID, &["objective.kind=detailed_balance", "policy.flow=own", "policy.backward=learned"]),
    ] {
        // What 700 iterations of 64 come to, with some room: nothing at the start is below 0.3.
        assert_exact(trained(target, changes), 0.08, &format!("{changes:?}"));
    }
}

#[test]
fn a_gpu_trains_the_same_way() {
    for (target, changes) in [
        (GRID, &["objective.kind=detailed_balance", "policy.backward=learned"][..]),
        (SPINS, &["objective.kind=subtrajectory_balance", "policy.order=learned", "policy.backward=learned"]),
        (GRID, &["objective.kind=flow_matching"]),
        (SPINS, &["objective.kind=subtrajectory_balance", "policy.flow=own"]),
    ] {
        let run = |engine: &str| {
            let text = format!(
                "seed = 1\n{target}\n[policy]\nhidden = [32]\ninitialisation = 'fan_in'\n[engine]\nkind = '{engine}'\n\
                 [training]\niterations = 12\nbatch = 32\n"
            );
            let mut trainer = common::built(&text, changes, Inputs::Files).unwrap_or_else(|error| {
                panic!("{error}: to run the GPU tests, install the package mesa-vulkan-drivers")
            });
            let losses: Vec<f64> = (0..12).map(|_| trainer.step().unwrap().loss).collect();
            losses
        };
        let (native, gpu) = (run("cpu"), run("gpu"));
        // The same trajectories as long as no uniform is within rounding of a threshold; steps of 1e-3 in parameters do not make
        // rounding grow much in twelve.
        common::compare::assert_close(&gpu, &native, 1e-3, &format!("losses of {changes:?}"));
    }
}

#[test]
fn what_does_not_go_together_is_refused_by_its_key() {
    let refused = |target: &str, changes: &[&str]| {
        let text = format!("{target}\n[engine]\nkind = 'cpu'\n");
        let built = common::built(&text, changes, Inputs::Files).map(drop);
        built.expect_err(&format!("{changes:?}"))
    };
    for (target, changes, words) in [
        (SPINS, &["objective.kind=detailed_balance"][..], "policy.order = \"learned\""),
        (SPINS, &["policy.backward=learned"], "policy.order = \"learned\""),
        (SPINS, &["policy.backward=learned", "policy.order=fixed"], "one way back"),
        (SPINS, &["policy.order=learned", "policy.guided=true"], "policy.guided = false"),
        (SPINS, &["policy.order=learned", "policy.symmetry=flip"], "policy.symmetry = \"none\""),
        (SPINS, &["objective.backward_training=tlm"], "objective.backward_training"),
        (SPINS, &["objective.forward_looking=true"], "objective.forward_looking"),
        (SPINS, &["objective.kind=modified_detailed_balance", "policy.order=learned"], "stop in every state"),
        (SPINS, &["policy.flow=own"], "policy.flow = \"own\""),
        (GRID, &["objective.kind=modified_detailed_balance", "policy.flow=own"], "policy.flow = \"own\""),
        (SPINS, &["objective.kind=detailed_balance", "policy.flow=own", "policy.symmetry=flip"], "policy.symmetry"),
        (SPINS, &["objective.lambda=0.5"], "objective.lambda"),
        (GRID, &["objective.kind=subtrajectory_balance", "objective.lambda=0"], "objective.lambda = 0"),
        (GRID, &["objective.kind=detailed_balance", "objective.forward_looking=true"], "forward_looking"),
        (GRID, &["objective.kind=flow_matching", "policy.backward=learned"], "policy.backward"),
        (GRID, &["policy.guided=true"], "policy.guided"),
        (GRID, &["policy.order=fixed"], "policy.order"),
        (
            GRID,
            &["policy.backward=learned", "objective.kind=reverse_kl", "objective.control_variate=optimal"],
            "objective.control_variate",
        ),
        ("[target]\nkind = 'hypergrid'\ndimensions = 0\nheight = 6", &[], "target.dimensions"),
        ("[target]\nkind = 'hypergrid'\ndimensions = 2\nheight = 1", &[], "target.height"),
        ("[target]\nkind = 'hypergrid'\ndimensions = 2\nheight = 6\nrewards = [0.0, 1.0, 1.0]", &[], "target.rewards"),
    ] {
        let message = refused(target, changes);
        assert!(message.contains(words), "{changes:?}: {message}");
    }
}

#[test]
fn a_flow_network_of_its_own_resumes_to_the_last_bit() {
    let begin = || {
        let text = format!(
            "seed = 1\n{SPINS}\n[policy]\nhidden = [16]\nflow = 'own'\nbackward = 'learned'\norder = 'learned'\n\
             [engine]\nkind = 'cpu'\n[training]\niterations = 8\nbatch = 16\n[objective]\nkind = 'detailed_balance'\nalpha = 0.5\n"
        );
        common::built(&text, &[], Inputs::Files).unwrap()
    };
    let mut whole = begin();
    (0..8).for_each(|_| drop(whole.step().unwrap()));
    let mut first = begin();
    (0..4).for_each(|_| drop(first.step().unwrap()));
    let saved = first.checkpoint();
    assert!(saved.f32("flow.0.weight", &[16, 9]).is_ok(), "its tensors go by its name");
    let mut second = begin();
    second.restore(&saved).unwrap();
    (0..4).for_each(|_| drop(second.step().unwrap()));
    assert_eq!(second.checkpoint(), whole.checkpoint());
}

#[test]
fn a_frozen_backward_policy_gets_no_gradient() {
    let run = |changes: &[&str]| {
        let settings: Settings = toml::from_str(
            "seed = 1\npolicy = { hidden = [16], backward = 'learned' }\nengine = { kind = 'cpu' }\n\
             training = { iterations = 3, batch = 16 }\nobjective = { kind = 'trajectory_balance' }\n",
        )
        .unwrap();
        let mut settings = settings;
        settings.objective.backward_until = changes.first().map(|_| 0);
        let target = wgflow::targets::hypergrid::Hypergrid::new(2, 4, [0.1, 0.5, 2.0]).unwrap();
        let (mut trainer, _) = Builder::new(&settings, Arc::new(target)).build().unwrap();
        let before = trainer.parameters();
        trainer.step().unwrap();
        let after = trainer.parameters();
        let head = trainer.layout().layers().pop().unwrap();
        // Rows of the head: three of actions, two of backward actions.
        let bias = head.bias.start + 3..head.bias.end;
        (before[bias.clone()].to_vec(), after[bias].to_vec())
    };
    let (before, after) = run(&[]);
    assert!(before.len() == 2 && before != after, "{after:?}");
    let (before, after) = run(&["frozen"]);
    assert_eq!(before, after);
}
