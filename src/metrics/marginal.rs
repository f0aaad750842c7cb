//! The exact probability P_F^T(x) that a policy generates each object, for site filling with two values a site.
//!
//! In the uniform order P_F^T(x) is a sum over D! orders, but the orders meet in the same partial objects. The
//! probability of passing through a partial object s is
//!     P(s) = sum over set sites i of P(s without i) * P_F(i and its value | s without i),
//! so one pass over the 3^D partial objects, by number of sites set, gives every P(s) and at its end every P_F^T(x). Each
//! partial object takes one forward pass of the policy: 43 million for 16 sites.

use rayon::prelude::*;

use crate::process::{Filled, Guide, Order, Process, SiteFilling};

/// Most sites: with 18 the pass takes 387 million forward passes and 1.1 GiB for probabilities.
pub const MAXIMUM_SITES: usize = 18;

/// Most partial objects that the policy is asked about at a time.
pub const CHUNK: usize = 1 << 14;

/// An object of sites with values 0 and 1 of which some are unset; site i is bit i.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartialObject {
    /// Sites that are set.
    pub set: u32,
    /// Values of the sites that are set, zero elsewhere.
    pub values: u32,
}

/// The policy's inputs for partial objects of `process`, row-major [partial objects, columns].
pub fn inputs(process: &SiteFilling, objects: &[PartialObject]) -> Vec<f64> {
    let columns = process.columns();
    let mut inputs = vec![process.unset(); objects.len() * columns];
    for (row, object) in inputs.chunks_exact_mut(columns).zip(objects) {
        for site in (0..process.sites).filter(|site| object.set >> site & 1 == 1) {
            let (column, amount) = process.change(site * process.values + (object.values >> site & 1) as usize);
            row[column] += amount;
        }
    }
    inputs
}

/// Adds what a guide knows of partial objects of `process` to their logits, row-major [partial objects, sites, 2].
pub fn add_increments(process: &SiteFilling, guide: &dyn Guide, objects: &[PartialObject], logits: &mut [f64]) {
    let rows = logits.par_chunks_exact_mut(2 * process.sites).zip(objects);
    rows.for_each(|(row, object)| {
        let word = |site: usize| (object.set >> site & 1) + (object.values >> site & 1);
        let words: Vec<u32> = (0..process.sites).map(word).collect();
        for (site, logits) in row.chunks_exact_mut(2).enumerate().filter(|(site, _)| words[*site] == 0) {
            let mut increments = [0.0; 2];
            guide.increments(Filled::new(&words), site, &mut increments);
            logits.iter_mut().zip(increments).for_each(|(logit, increment)| *logit += increment);
        }
    });
}

/// How many partial objects [`log_probabilities`] asks the policy about: what progress is measured against.
pub fn partial_objects(sites: usize, order: Order) -> u64 {
    match order {
        Order::Uniform => 3_u64.pow(sites as u32) - (1 << sites),
        Order::Fixed => (1 << sites) - 1,
    }
}

/// log P_F^T(x) of every object x of `sites` sites with values 0 and 1, natural logs: 2^sites numbers, bit i of the index
/// being the value of site i.
///
/// `logits` gives the policy's answers, row-major [partial objects, sites, 2], to at most [`CHUNK`] partial objects; they
/// are read at the sites that could be next. Its errors end the pass, so it is also the place to stop or to show
/// progress. A probability below 1e-308 comes out as log 0.
///
/// # Panics
/// If there are more than [`MAXIMUM_SITES`] sites, or none.
pub fn log_probabilities<E>(
    sites: usize,
    order: Order,
    mut logits: impl FnMut(&[PartialObject], &mut [f64]) -> Result<(), E>,
) -> Result<Vec<f64>, E> {
    assert!((1..=MAXIMUM_SITES).contains(&sites), "a sum over the orders of {sites} sites");
    let lattice = Lattice::new(sites, order);
    let mut answers = vec![0.0; CHUNK * 2 * sites];
    let mut level = vec![1.0];
    for filled in 0..sites {
        let mut next = vec![0.0; lattice.subsets[filled + 1].len() << (filled + 1)];
        // The sites that the order can choose next, all equally likely.
        let choices = if order == Order::Uniform { (sites - filled) as f64 } else { 1.0 };
        for (chunk, probabilities) in level.chunks(CHUNK).enumerate() {
            let first = chunk * CHUNK;
            let objects: Vec<_> = (first..first + probabilities.len()).map(|i| lattice.object(filled, i)).collect();
            let answers = &mut answers[..objects.len() * 2 * sites];
            logits(&objects, answers)?;
            // Logits become probabilities of passing through the object and on to a site and a value.
            answers.par_chunks_exact_mut(2 * sites).zip(probabilities).for_each(|(row, &probability)| {
                for pair in row.chunks_exact_mut(2) {
                    let difference = pair[1] - pair[0];
                    pair[0] = probability / choices / (1.0 + difference.exp());
                    pair[1] = probability / choices / (1.0 + (-difference).exp());
                }
            });
            for ((index, object), row) in (first..).zip(&objects).zip(answers.chunks_exact(2 * sites)) {
                for site in lattice.next_sites(object.set) {
                    let (zero, one) = lattice.successors(filled, index, object.set, site);
                    next[zero] += row[2 * site];
                    next[one] += row[2 * site + 1];
                }
            }
        }
        level = next;
    }
    Ok(level.into_iter().map(f64::ln).collect())
}

/// The sets of sites that an order passes through, and a dense numbering of the partial objects with `filled` sites set:
/// the rank of the set in its high bits, the values of the set's sites, first site lowest, in its `filled` low bits.
struct Lattice {
    sites: usize,
    /// For each number of filled sites, the sets in increasing order.
    subsets: Vec<Vec<u32>>,
    /// Place of each set within its list; `UNREACHED` for sets that the order never passes through.
    rank: Vec<usize>,
}

const UNREACHED: usize = usize::MAX;

impl Lattice {
    fn new(sites: usize, order: Order) -> Self {
        let mut subsets = vec![Vec::new(); sites + 1];
        let mut rank = vec![UNREACHED; 1 << sites];
        for (set, rank) in (0_u32..).zip(&mut rank) {
            // The fixed order fills from the first site on: only sets of the form 0..01..1.
            if order == Order::Uniform || set & (set + 1) == 0 {
                let level: &mut Vec<u32> = &mut subsets[set.count_ones() as usize];
                *rank = level.len();
                level.push(set);
            }
        }
        Self { sites, subsets, rank }
    }

    /// The partial object with number `index` among those with `filled` sites set.
    fn object(&self, filled: usize, index: usize) -> PartialObject {
        let set = self.subsets[filled][index >> filled];
        let (mut rest, mut values) = (set, 0);
        for place in 0..filled {
            values |= (index as u32 >> place & 1) << rest.trailing_zeros();
            rest &= rest - 1;
        }
        PartialObject { set, values }
    }

    fn next_sites(&self, set: u32) -> impl Iterator<Item = usize> {
        (0..self.sites).filter(move |site| set >> site & 1 == 0 && self.rank[(set | 1 << site) as usize] != UNREACHED)
    }

    /// Numbers, among objects with one more site set, of object `index` with `site` set to 0 and to 1.
    fn successors(&self, filled: usize, index: usize, set: u32, site: usize) -> (usize, usize) {
        let place = (set & ((1 << site) - 1)).count_ones();
        let values = index & ((1 << filled) - 1);
        let below = values & ((1 << place) - 1);
        let above = values >> place << (place + 1);
        let zero = self.rank[(set | 1 << site) as usize] << (filled + 1) | above | below;
        (zero, zero | 1 << place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::log_sum_exp;
    use std::convert::Infallible;

    /// Logits without structure, of order one: a table that is computed when asked.
    fn logit(object: PartialObject, site: usize, value: usize) -> f64 {
        (f64::from(object.set) * 1.7 + f64::from(object.values) * 2.3 + site as f64 * 0.9 + value as f64 * 4.1).sin()
    }

    fn table(objects: &[PartialObject], sites: usize, out: &mut [f64]) -> Result<(), Infallible> {
        for (object, row) in objects.iter().zip(out.chunks_exact_mut(2 * sites)) {
            (0..2 * sites).for_each(|action| row[action] = logit(*object, action / 2, action % 2));
        }
        Ok(())
    }

    /// Probability that the process ends in `x` from a partial object: a sum over every order of what is left.
    fn by_recursion(object: PartialObject, x: u32, sites: usize, order: Order) -> f64 {
        let left: Vec<usize> = (0..sites).filter(|site| object.set >> site & 1 == 0).collect();
        let choices = if order == Order::Uniform { left.len() } else { 1.min(left.len()) };
        let branch = |&site: &usize| {
            let value = (x >> site & 1) as usize;
            let [zero, one] = [0, 1].map(|value| logit(object, site, value).exp());
            let probability = [zero, one][value] / (zero + one) / choices as f64;
            let after = PartialObject { set: object.set | 1 << site, values: object.values | (value as u32) << site };
            probability * by_recursion(after, x, sites, order)
        };
        if left.is_empty() { 1.0 } else { left[..choices].iter().map(branch).sum() }
    }

    #[test]
    fn agrees_with_the_sum_over_all_orders() {
        for order in [Order::Uniform, Order::Fixed] {
            for sites in [1, 2, 4, 6] {
                let mut asked = 0;
                let found = log_probabilities(sites, order, |objects, out| {
                    asked += objects.len() as u64;
                    table(objects, sites, out)
                });
                let Ok(found) = found;
                assert_eq!((found.len(), asked), (1 << sites, partial_objects(sites, order)));
                for (x, log_probability) in (0..).zip(&found) {
                    let expected = by_recursion(PartialObject { set: 0, values: 0 }, x, sites, order).ln();
                    // A few hundred roundings of f64.
                    assert!((log_probability - expected).abs() < 1e-12, "{log_probability} is not {expected}");
                }
            }
        }
    }

    #[test]
    fn probabilities_sum_to_one_when_there_are_many_chunks() {
        let sites = 11;
        assert!(partial_objects(sites, Order::Uniform) > 5 * CHUNK as u64);
        let Ok(found) = log_probabilities(sites, Order::Uniform, |objects, out| table(objects, sites, out));
        assert!(log_sum_exp(&found).abs() < 1e-12);
    }

    #[test]
    fn saturated_logits_give_certainty() {
        let certain = |objects: &[PartialObject], out: &mut [f64]| {
            assert!(!objects.is_empty());
            out.chunks_exact_mut(2).for_each(|pair| pair.copy_from_slice(&[-800.0, 800.0]));
            Ok::<(), Infallible>(())
        };
        let Ok(found) = log_probabilities(3, Order::Uniform, certain);
        // One for the object of ones up to the roundings of thirds; nothing for the others.
        assert!(found[7].abs() < 1e-15);
        assert!(found[..7].iter().all(|&log| log == f64::NEG_INFINITY));
    }

    #[test]
    fn errors_of_the_policy_end_the_pass() {
        let mut calls = 0;
        let stopped = log_probabilities(5, Order::Uniform, |_, _| {
            calls += 1;
            if calls == 3 { Err("stopped") } else { Ok(()) }
        });
        assert_eq!((stopped, calls), (Err("stopped"), 3));
    }

    #[test]
    fn inputs_code_unset_sites_and_values() {
        use crate::process::Encoding;
        let encoding = Encoding::Scalar { unset: -1.0, codes: vec![0.0, 1.0] };
        let scalar = SiteFilling { sites: 3, values: 2, order: Order::Uniform, encoding };
        let objects = [PartialObject { set: 0b101, values: 0b100 }, PartialObject { set: 0, values: 0 }];
        assert_eq!(inputs(&scalar, &objects), [0.0, -1.0, 1.0, -1.0, -1.0, -1.0]);
        let one_hot = SiteFilling { encoding: Encoding::OneHot, ..scalar };
        assert_eq!(inputs(&one_hot, &objects[..1]), [1.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
    }
}
