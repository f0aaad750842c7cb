//! Back-and-forth proposals: data taken apart and put together again by the forward policy.
//!
//! From an object x, J uniformly chosen sites are cleared one after the other; then the same J sites, all that are unset,
//! are refilled in another uniform order with values from P_F, which gives x'. Accepting with a probability a(Delta) that
//! obeys a(Delta) = exp(Delta) a(-Delta), where
//!     Delta = log R(x') - log R(x) + sum log P_F(cleared values) - sum log P_F(new values),
//! keeps detailed balance with respect to R: the choices of sites are as likely one way as the other and cancel.
//!
//! Both halves are trajectories with the same first D - J steps. The steps after these are the cleared sites, last
//! cleared first, with their old values; or the refilled sites in order. So an engine does both: it replays the first and
//! samples the values of the second.

use rayon::prelude::*;

use crate::engine::{Batch, Given, Rollout};
use crate::process::{Objects, Order, Process, SiteFilling, Trajectories};
use crate::random::{Draw, pick, uniform};

/// The probability with which a proposal is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Acceptance {
    /// sigmoid(Delta), as in the authors' code.
    Barker,
    /// min(1, exp(Delta)), the likeliest of all that keep detailed balance.
    Metropolis,
}

impl Acceptance {
    /// The probability for a given Delta; NaN for a Delta that is not a number.
    pub fn probability(self, delta: f64) -> f64 {
        match self {
            Acceptance::Barker => 1.0 / (1.0 + (-delta).exp()),
            // `clamp` keeps a NaN, where `min` would accept it.
            Acceptance::Metropolis => delta.exp().clamp(0.0, 1.0),
        }
    }
}

/// One proposal for each object of a batch.
///
/// Use it in this order: roll out [`Proposal::clearing`], keep the batch; roll out [`Proposal::refilling`], take its batch and
/// objects; then [`Proposal::settle`].
#[derive(Clone, Debug)]
pub struct Proposal {
    draw: Draw,
    /// Steps that both halves share, D - J.
    kept: usize,
    /// Trajectories to the objects given, whose last J steps are undone.
    old: Trajectories,
    /// The same with the last J sites in the order in which they are refilled. Their values are still the old ones.
    new: Trajectories,
}

/// What became of a batch of proposals.
#[derive(Clone, Debug, PartialEq)]
pub struct Settled {
    /// The proposed object where it was accepted, the given one where it was refused.
    pub objects: Objects,
    /// log R of each of these.
    pub log_reward: Vec<f64>,
    /// Number of proposals accepted.
    pub accepted: usize,
}

impl Proposal {
    /// Chooses what is cleared and in which order it is refilled; `cleared` is J, at least 1 and at most D.
    ///
    /// Of the words of (trajectory, step) the first chooses a site to clear and the third one to refill; the second is the
    /// engine's for the value; the fourth, of the first step, decides on acceptance. All come from `draw`, which the
    /// rollouts use too. In the fixed order the last J sites are cleared and refilled in order.
    ///
    /// # Panics
    /// If `cleared` is out of range or the objects do not fit the process.
    pub fn new(process: &SiteFilling, objects: &Objects, cleared: usize, draw: &Draw) -> Self {
        let steps = process.max_steps();
        assert!((1..=steps).contains(&cleared), "{cleared} of {steps} sites cleared");
        let kept = steps - cleared;
        // Filling in a uniform order is clearing in a uniform order, read backwards.
        let old = process.backward(objects, draw);
        let mut actions = old.actions().to_vec();
        if process.order == Order::Uniform {
            actions.par_chunks_exact_mut(steps).enumerate().for_each(|(row, actions)| {
                for t in kept..steps {
                    let word = draw.words(row as u32, t as u32)[2];
                    actions.swap(t, t + pick(word, (steps - t) as u32) as usize);
                }
            });
        }
        Self { draw: *draw, kept, old, new: Trajectories::new(steps, actions) }
    }

    /// The request that scores the cleared values.
    pub fn clearing(&self) -> Rollout<'_> {
        self.request(&self.old, self.old.max_steps())
    }

    /// The request that draws and scores the new values.
    pub fn refilling(&self) -> Rollout<'_> {
        self.request(&self.new, self.kept)
    }

    fn request<'a>(&self, trajectories: &'a Trajectories, sampled_from: usize) -> Rollout<'a> {
        let given = Given { trajectories, scored_from: self.kept, sampled_from };
        Rollout {
            draw: self.draw,
            count: trajectories.count(),
            given: Some(given),
            keep: false,
            stepwise: false,
            behaviour: Default::default(),
        }
    }

    /// Accepts or refuses: `cleared` is the batch of [`Proposal::clearing`] from `objects`, `refilled` that of
    /// [`Proposal::refilling`], which ended in `proposed`. A Delta that is not a number refuses.
    pub fn settle(
        &self,
        acceptance: Acceptance,
        (cleared, objects): (&Batch, &Objects),
        (refilled, proposed): (&Batch, &Objects),
    ) -> Settled {
        let (mut values, mut log_reward) = (objects.values().to_vec(), cleared.log_reward.clone());
        let mut accepted = 0;
        let deltas = log_ratios(cleared, refilled);
        for (row, (delta, values)) in deltas.into_iter().zip(values.chunks_exact_mut(objects.sites())).enumerate() {
            if uniform(self.draw.words(row as u32, 0)[3]) < acceptance.probability(delta) {
                values.copy_from_slice(proposed.row(row));
                log_reward[row] = refilled.log_reward[row];
                accepted += 1;
            }
        }
        Settled { objects: Objects::new(objects.sites(), values), log_reward, accepted }
    }
}

/// Delta of each proposal. The choices of sites, which both batches count alike, cancel.
fn log_ratios(cleared: &Batch, refilled: &Batch) -> Vec<f64> {
    let weigh = |batch: &Batch| -> Vec<f64> {
        batch.log_reward.iter().zip(&batch.log_forward).map(|(reward, forward)| reward - forward).collect()
    };
    weigh(refilled).iter().zip(weigh(cleared)).map(|(new, old)| new - old).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Encoding;
    use crate::random::Stream;
    use std::collections::HashMap;

    const BITS: usize = 6;

    fn process(sites: usize, order: Order) -> SiteFilling {
        SiteFilling { sites, values: 2, order, encoding: Encoding::OneHot }
    }

    fn draw(iteration: u32) -> Draw {
        Draw::new(9, iteration, Stream::Proposal)
    }

    /// log R without structure, of order one.
    fn log_reward(object: usize) -> f64 {
        2.0 * (object as f64 * 2.9 + 0.4).sin()
    }

    /// log P_F of a value without structure: a softmax over a table of logits of order one.
    fn log_value(set: usize, values: usize, site: usize, value: usize) -> f64 {
        let logit =
            |value: usize| (1.3 * set as f64 + 2.7 * values as f64 + 0.8 * site as f64 + 3.1 * value as f64).sin();
        logit(value) - (logit(0).exp() + logit(1).exp()).ln()
    }

    /// What an engine answers to trajectories under that policy, and the numbers of the objects reached.
    fn roll(process: &SiteFilling, trajectories: &Trajectories, kept: usize) -> (Batch, Vec<usize>) {
        let mut batch = Batch::default();
        let mut objects = Vec::new();
        for row in 0..trajectories.count() {
            let (mut set, mut values, mut log_forward) = (0, 0, process.log_order(kept));
            for (t, &action) in trajectories.row(row).iter().enumerate() {
                let (site, value) = (action as usize / 2, action as usize % 2);
                log_forward += if t < kept { 0.0 } else { log_value(set, values, site, value) };
                set |= 1 << site;
                values |= value << site;
            }
            batch.log_forward.push(log_forward);
            batch.log_reward.push(log_reward(values));
            objects.push(values);
        }
        batch.log_backward = vec![process.log_backward(kept); trajectories.count()];
        (batch, objects)
    }

    fn orders(sites: &[u32]) -> Vec<Vec<u32>> {
        if sites.is_empty() {
            return vec![vec![]];
        }
        let starts = (0..sites.len()).flat_map(|first| {
            let mut rest = sites.to_vec();
            let site = rest.remove(first);
            orders(&rest).into_iter().map(move |order| [vec![site], order].concat())
        });
        starts.collect()
    }

    /// All site choices of a proposal that clears `cleared` sites: each order of all sites stands for one of its last
    /// ones (the first D - J sorted, so that each choice comes once), with each order of refilling.
    fn choices(cleared: usize) -> Vec<(Vec<u32>, Vec<u32>)> {
        let all: Vec<u32> = (0..BITS as u32).collect();
        let sorted = orders(&all).into_iter().filter(|order| order[..BITS - cleared].is_sorted());
        let with_refills = sorted.flat_map(|order| {
            let (kept, last) = order.split_at(BITS - cleared);
            let refills: Vec<_> = orders(last).into_iter().map(|refill| [kept.to_vec(), refill].concat()).collect();
            refills.into_iter().map(move |refill| (order.clone(), refill))
        });
        with_refills.collect()
    }

    /// kernel[x][y], the probability of going from x to y, over every choice of sites and every new value.
    fn kernel(cleared: usize, acceptance: Acceptance) -> Vec<Vec<f64>> {
        let (process, kept) = (process(BITS, Order::Uniform), BITS - cleared);
        let choices = choices(cleared);
        let mut kernel = vec![vec![0.0; 1 << BITS]; 1 << BITS];
        for (x, row) in kernel.iter_mut().enumerate() {
            let act = |order: &[u32], values: usize| {
                order.iter().map(|site| 2 * site + (values >> site & 1) as u32).collect()
            };
            let (mut old, mut new): (Vec<Vec<u32>>, Vec<Vec<u32>>) = (Vec::new(), Vec::new());
            for (clear, refill) in &choices {
                for value in 0..1_usize << cleared {
                    let pairs = refill[kept..].iter().enumerate();
                    let y = pairs.fold(x, |y, (bit, site)| y & !(1 << site) | (value >> bit & 1) << site);
                    old.push(act(clear, x));
                    new.push(act(refill, y));
                }
            }
            let (cleared, _) = roll(&process, &Trajectories::new(BITS, old.concat()), kept);
            let (refilled, ends) = roll(&process, &Trajectories::new(BITS, new.concat()), kept);
            for (index, delta) in log_ratios(&cleared, &refilled).into_iter().enumerate() {
                let values = (refilled.log_forward[index] - process.log_order(kept)).exp();
                let accepted = values / choices.len() as f64 * acceptance.probability(delta);
                row[ends[index]] += accepted;
                row[x] += values / choices.len() as f64 - accepted;
            }
        }
        kernel
    }

    #[test]
    fn the_kernel_is_in_detailed_balance_with_r() {
        for acceptance in [Acceptance::Barker, Acceptance::Metropolis] {
            for cleared in 1..=3 {
                let kernel = kernel(cleared, acceptance);
                let mut moved = 0.0;
                for (x, from_x) in kernel.iter().enumerate() {
                    assert!((from_x.iter().sum::<f64>() - 1.0).abs() < 1e-12, "a distribution");
                    for (y, from_y) in kernel[..x].iter().enumerate() {
                        let (there, back) = (log_reward(x).exp() * from_x[y], log_reward(y).exp() * from_y[x]);
                        // Sums of up to 5760 terms that are at most one in total, times R of at most e^2.
                        assert!((there - back).abs() < 1e-12, "{acceptance:?} {cleared} {x} {y}: {there} {back}");
                        moved += there;
                    }
                }
                assert!(moved > 1.0, "hardly anything moves: {moved}");
            }
        }
    }

    #[test]
    fn acceptance_probabilities_obey_the_ratio() {
        for acceptance in [Acceptance::Barker, Acceptance::Metropolis] {
            for delta in [0.0, 0.3, 2.0, 30.0] {
                let (up, down) = (acceptance.probability(delta), acceptance.probability(-delta));
                assert!((down / up / (-delta).exp() - 1.0).abs() < 1e-12);
            }
            assert_eq!(acceptance.probability(1e4), 1.0);
            assert_eq!(acceptance.probability(-1e4), 0.0);
        }
        assert_eq!(Acceptance::Barker.probability(0.0), 0.5);
        assert_eq!(Acceptance::Metropolis.probability(0.0), 1.0);
        assert_eq!(
            serde_json::to_string(&[Acceptance::Barker, Acceptance::Metropolis]).unwrap(),
            "[\"barker\",\"metropolis\"]"
        );
    }

    #[test]
    fn every_choice_of_sites_is_equally_likely() {
        let count = 24_000;
        let objects = Objects::new(4, vec![1; 4 * count]);
        let proposal = Proposal::new(&process(4, Order::Uniform), &objects, 2, &draw(0));
        let mut seen: HashMap<_, u32> = HashMap::new();
        for row in 0..count {
            let (old, new) = (proposal.old.row(row), proposal.new.row(row));
            assert_eq!(old[..2], new[..2]);
            *seen.entry((old[2..].to_vec(), new[2..].to_vec())).or_default() += 1;
        }
        // 4 * 3 ordered pairs cleared, each refilled in 2 orders; counts around 1000 with a deviation of 31.
        assert_eq!(seen.len(), 24);
        assert!(seen.values().all(|&count| (850..1150).contains(&count)), "{seen:?}");
    }

    #[test]
    fn requests_share_what_stays_and_the_fixed_order_is_kept() {
        let objects = Objects::numbered(BITS, 2, 20..23);
        let proposal = Proposal::new(&process(BITS, Order::Fixed), &objects, 2, &draw(0));
        assert_eq!(proposal.old, proposal.new);
        assert_eq!(proposal.old.row(0), [0, 2, 5, 6, 9, 10], "object 20 is 001010, first site first");
        let (clearing, refilling) = (proposal.clearing().given.unwrap(), proposal.refilling().given.unwrap());
        assert_eq!((clearing.scored_from, clearing.sampled_from), (4, 6));
        assert_eq!((refilling.scored_from, refilling.sampled_from), (4, 4));
    }

    #[test]
    fn refused_proposals_keep_the_object() {
        let objects = Objects::numbered(BITS, 2, 0..3);
        let proposed = Objects::numbered(BITS, 2, 40..43);
        let proposal = Proposal::new(&process(BITS, Order::Uniform), &objects, 1, &draw(0));
        let batch = |log_reward: [f64; 3]| Batch {
            log_forward: vec![-0.5; 3],
            log_backward: vec![0.0; 3],
            log_reward: log_reward.to_vec(),
            steps: None,
        };
        let (cleared, refilled) = (batch([0.0, 0.0, f64::NEG_INFINITY]), batch([900.0, -900.0, f64::NEG_INFINITY]));
        let settled = proposal.settle(Acceptance::Metropolis, (&cleared, &objects), (&refilled, &proposed));
        assert_eq!((settled.accepted, settled.log_reward), (1, vec![900.0, 0.0, f64::NEG_INFINITY]));
        assert_eq!(settled.objects.row(0), proposed.row(0));
        assert_eq!(settled.objects.row(1), objects.row(1));
        assert_eq!(settled.objects.row(2), objects.row(2));
    }
}
