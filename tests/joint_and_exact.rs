//! Back-and-forth proposals and exact marginals on a real engine.

mod common;

use common::Setting;
use wgflow::engine::{Roll, Rollout};
use wgflow::joint::{Acceptance, Proposal};
use wgflow::metrics::{exact, marginal, weights};
use wgflow::network::Activation;
use wgflow::network::Mlp;
use wgflow::process::{Objects, Order};
use wgflow::random::{Draw, Stream, uniform};
use wgflow::targets::enumeration;

fn marginals(setting: &Setting) -> Vec<f64> {
    let network = Mlp::<f64>::new(setting.layout.clone(), setting.activation, &setting.parameters());
    let asked = marginal::log_probabilities(setting.process.sites, setting.process.order, |objects, logits| {
        network.outputs(&marginal::inputs(&setting.process, objects), logits);
        Ok::<(), std::convert::Infallible>(())
    });
    let Ok(log_probabilities) = asked;
    log_probabilities
}

/// Number of an object in the order of `Objects::numbered`, for two values.
fn number(object: &[u8]) -> usize {
    object.iter().rev().fold(0, |number, &bit| number << 1 | usize::from(bit))
}

fn orders(sites: usize) -> Vec<Vec<usize>> {
    let insert = |orders: Vec<Vec<usize>>, site| {
        let places = orders
            .iter()
            .flat_map(|order| (0..=order.len()).map(|place| [&order[..place], &[site], &order[place..]].concat()));
        places.collect()
    };
    (0..sites).fold(vec![vec![]], insert)
}

#[test]
fn marginals_are_sums_of_the_engine_s_trajectories_over_all_orders() {
    for order in [Order::Uniform, Order::Fixed] {
        let setting = Setting::wave(5, 2, order, &[16, 8], Activation::LeakyRelu);
        let found = marginals(&setting);
        let orders = if order == Order::Fixed { vec![(0..5).collect()] } else { orders(5) };
        let mut engine = setting.native::<f64>();
        for object in Objects::numbered(5, 2, 0..32).rows() {
            let action = |&site: &usize| 2 * site as u32 + u32::from(object[site]);
            let actions = orders.iter().flatten().map(action).collect();
            let trajectories = wgflow::process::Trajectories::new(5, actions);
            let batch = engine.rollout(&Rollout::replay(Draw::new(0, 0, Stream::Evaluation), &trajectories)).unwrap();
            let expected = batch.log_forward.iter().map(|log| log.exp()).sum::<f64>().ln();
            // 120 orders of f64 roundings.
            assert!((found[number(object)] - expected).abs() < 1e-12, "{object:?}");
        }
    }
}

#[test]
fn bounds_and_importance_sampling_agree_with_enumeration() {
    let setting = Setting::wave(9, 2, Order::Uniform, &[16, 16], Activation::Swish);
    let log_rewards = enumeration::log_rewards(setting.target.as_ref()).unwrap();
    let comparison = exact::compare(&marginals(&setting), &log_rewards);
    let mut engine = setting.native::<f32>();
    let batch = engine.rollout(&Rollout::sample(Draw::new(1, 0, Stream::Evaluation), 20_000)).unwrap();
    let log_weights = batch.log_weights();
    let (log_z, elbo) = (weights::log_z(&log_weights), weights::elbo(&log_weights));
    assert!((log_z.value - comparison.log_z).abs() < 4.0 * log_z.standard_error, "{log_z:?} {comparison:?}");
    // Weights of an untrained policy, 20,000 of them: without this, a standard error of any size would excuse any number.
    assert!(log_z.standard_error < 0.05 && elbo.standard_error < 0.05, "{log_z:?} {elbo:?}");
    // log Z - ELBO = KL over trajectories, which is at least the KL over objects.
    assert!(elbo.value + comparison.kl_model_to_target < comparison.log_z + 4.0 * elbo.standard_error);
    assert!(comparison.total_variation > 0.1, "the test is of a policy that does not fit");
    // Pinsker: 2 TV^2 <= KL, both ways.
    let pinsker = 2.0 * comparison.total_variation.powi(2);
    assert!(pinsker <= comparison.kl_model_to_target && pinsker <= comparison.kl_target_to_model);
}

/// Objects drawn from R stay distributed as R after a step of the kernel, on an engine, with all its random numbers.
#[test]
fn a_step_of_the_kernel_leaves_the_target_s_distribution_as_it_is() {
    let count = 60_000;
    for (order, acceptance, cleared) in [
        (Order::Uniform, Acceptance::Barker, 3),
        (Order::Uniform, Acceptance::Metropolis, 2),
        (Order::Uniform, Acceptance::Metropolis, 6),
        (Order::Fixed, Acceptance::Barker, 4),
    ] {
        let setting = Setting::wave(6, 2, order, &[16, 8], Activation::Tanh);
        let log_rewards = enumeration::log_rewards(setting.target.as_ref()).unwrap();
        let total: f64 = log_rewards.iter().map(|log| log.exp()).sum();
        let probabilities: Vec<f64> = log_rewards.iter().map(|log| log.exp() / total).collect();
        let draw_object = |row: u32| {
            let mut left = uniform(Draw::new(2, 0, Stream::Data).words(row, 0)[0]);
            let past = probabilities.iter().position(|probability| {
                left -= probability;
                left < 0.0
            });
            past.unwrap_or(63)
        };
        let rows = (0..count).flat_map(|row| {
            let object = draw_object(row);
            (0..6).map(move |site| (object >> site & 1) as u8)
        });
        let data = Objects::new(6, rows.collect());

        let mut engine = setting.native::<f32>();
        let proposal = Proposal::new(&setting.process, &data, cleared, &Draw::new(3, 0, Stream::Proposal));
        let old = engine.rollout(&proposal.clearing()).unwrap();
        assert_eq!(engine.objects().unwrap(), data);
        let new = engine.rollout(&proposal.refilling()).unwrap();
        let proposed = engine.objects().unwrap();
        let settled = proposal.settle(acceptance, (&old, &data), (&new, &proposed));

        let differing = settled.objects.rows().zip(data.rows()).filter(|(after, before)| after != before).count();
        let least = count as usize / 20;
        assert!(least < differing && differing <= settled.accepted && settled.accepted < count as usize / 2);
        let mut counts = [0.0; 64];
        settled.objects.rows().for_each(|object| counts[number(object)] += 1.0);
        let chi_square: f64 = counts
            .iter()
            .zip(&probabilities)
            .map(|(count_of, probability)| {
                let expected = probability * f64::from(count);
                (count_of - expected).powi(2) / expected
            })
            .sum();
        // 63 degrees of freedom: mean 63, deviation 11; five deviations above. Accepting everything gives 200,000.
        assert!(chi_square < 120.0, "{order:?} {acceptance:?} {cleared}: {chi_square}");
    }
}
