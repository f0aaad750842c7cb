//! A plain function for every kernel, run beside it on the same buffers.
//!
//! A twin does what its kernel does, in f64, number by number, without blocks of loads, tiles or workgroups: it is what the kernel
//! means. While an engine is watched, every dispatch is held against the twin of its kernel: from the buffers before it, the twin
//! makes those after it, and they must agree. So a fault is found in the kernel that has it, with inputs as they come.

mod gradient;
mod norms;
mod policy;
mod tests;
mod training;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use super::buffers::Buffers;
use super::context::Context;
use super::kernel::Kernel;
use super::network::{Layer, Network};
use super::stages::Accumulator;
use super::work::Work;
use crate::compare::largest;
use crate::engine::BLOCK;
use crate::engine::resident::Plan;
use crate::network::Activation;
use crate::objective::Estimator;
use crate::targets::Target;

/// Buffers of words, and of numbers of 53 bits; all others hold f32 numbers.
const WORDS: [&str; 4] = ["actions", "counters", "fills", "walks"];
const WIDE: [&str; 2] = ["log_z", "optimizer"];

/// What a dispatch reads and writes, by name.
#[derive(Clone, Debug, Default)]
struct Host {
    words: BTreeMap<String, Vec<u32>>,
    numbers: BTreeMap<String, Vec<f64>>,
}

impl Host {
    fn of(context: &Context, buffers: &Buffers, names: impl Iterator<Item = String>) -> Self {
        let mut host = Self::default();
        for name in names {
            let words = buffers.words(context, &name);
            if WORDS.contains(&name.as_str()) {
                host.words.insert(name, words);
            } else if WIDE.contains(&name.as_str()) {
                host.numbers.insert(name, super::resident::wide(&words));
            } else {
                host.numbers.insert(name, words.into_iter().map(|word| f64::from(f32::from_bits(word))).collect());
            }
        }
        host
    }

    fn words(&self, name: &str) -> &[u32] {
        &self.words[name]
    }

    fn words_mut(&mut self, name: &str) -> &mut [u32] {
        self.words.get_mut(name).expect("bound by the kernel")
    }

    fn numbers(&self, name: &str) -> &[f64] {
        &self.numbers[name]
    }

    fn numbers_mut(&mut self, name: &str) -> &mut [f64] {
        self.numbers.get_mut(name).expect("bound by the kernel")
    }
}

/// An engine that is watched: its networks, and their nonlinearities.
struct Engine {
    policy: (Network, Activation),
    /// Of log R, where that is a network's output.
    reward: Option<(Network, Activation)>,
    target: Arc<dyn Target>,
    /// Of a training on the device: its plan, and the estimator that it is for.
    training: Option<(Plan, Estimator)>,
}

/// What a twin knows.
struct Watch<'a> {
    network: &'a Network,
    activation: Activation,
    target: &'a dyn Target,
    training: Option<&'a (Plan, Estimator)>,
    /// What is summed over trajectories.
    accumulator: Accumulator,
    /// Whether coefficients belong to steps.
    stepwise: bool,
    /// Whether sums of the head and of the first layer are those of slices.
    sliced: bool,
    /// The part of a gradient that is summed in slices, in numbers.
    part: Range<usize>,
}

impl<'a> Watch<'a> {
    fn new(engine: &'a Engine, kernel: &Kernel) -> Self {
        let reward = engine.reward.as_ref().filter(|_| kernel.holds("OBJECTS"));
        let (network, activation) = reward.unwrap_or(&engine.policy);
        let summed = [Accumulator::Moments, Accumulator::LeftOut]
            .into_iter()
            .find(|accumulator| kernel.holds(accumulator.definition()));
        let part = match (kernel.holds("OF_FIRST"), kernel.holds("OF_HEAD")) {
            (true, _) => 0..network.dense,
            (_, true) => network.head_gradient..network.gradient,
            _ => network.dense..network.dense + network.dense_size,
        };
        Self {
            network,
            activation: *activation,
            target: engine.target.as_ref(),
            training: engine.training.as_ref(),
            accumulator: summed.unwrap_or(Accumulator::Gradient),
            stepwise: kernel.holds("STEPWISE"),
            sliced: kernel.holds("SLICED"),
            part: 4 * part.start as usize..4 * part.end as usize,
        }
    }

    fn layer(&self, index: usize) -> &Layer {
        &self.network.layers[index]
    }

    fn last(&self) -> &Layer {
        &self.network.layers[self.network.layers.len() - 1]
    }

    /// Where a layer's numbers of a trajectory of a block at a step begin, in activations and deltas.
    fn units(&self, work: &Work, layer: &Layer, block: usize, step: usize, row: usize) -> usize {
        let stored = block * work.room as usize + step % work.room as usize;
        4 * (stored * self.network.step as usize + layer.offset as usize + row * layer.outputs as usize)
    }

    /// h of so many units, which are kept from `at` on.
    fn signals(&self, work: &Work, host: &Host, at: usize, count: usize) -> Vec<f64> {
        let kept = &host.numbers("activations")[at..][..count];
        if self.network.keeps_z() && work.activated == 0 {
            return kept.iter().map(|&z| self.activation.evaluate(z).0).collect();
        }
        kept.to_vec()
    }

    /// Puts deltas in place, of what the layer above hands back of the units that are kept from `at` on.
    fn put_deltas(&self, host: &mut Host, at: usize, sums: &[f64]) {
        for (at, sum) in (at..).zip(sums) {
            let slope = match self.network.keeps_z() {
                true => self.activation.evaluate(host.numbers("activations")[at]).1,
                false => host.numbers("deltas")[at],
            };
            host.numbers_mut("deltas")[at] = slope * sum;
        }
    }

    /// Where the probabilities of a trajectory of a block at a step begin.
    fn outputs(&self, work: &Work, block: usize, step: usize, row: usize) -> usize {
        let stored = block * work.room as usize + step % work.room as usize;
        (stored * BLOCK + row) * self.network.outputs()
    }

    /// Trajectories of a block of the part that are of the batch.
    fn rows(&self, work: &Work, block: usize) -> usize {
        BLOCK.min(work.count as usize - (work.block as usize + block) * BLOCK)
    }

    /// The number of the batch of a trajectory of a block of the part.
    fn trajectory(&self, work: &Work, block: usize, row: usize) -> usize {
        (work.block as usize + block) * BLOCK + row
    }
}

thread_local! {
    static WATCHED: RefCell<Option<(Engine, BTreeSet<String>)>> = const { RefCell::new(None) };
}

/// Holds every dispatch that `run` makes on this thread against its twin. Returns the names of the kernels that were.
fn watching(engine: Engine, run: impl FnOnce()) -> BTreeSet<String> {
    WATCHED.set(Some((engine, BTreeSet::new())));
    run();
    WATCHED.take().expect("put there before").1
}

/// Whether dispatches of this thread are held against their twins.
pub(super) fn is_watching() -> bool {
    WATCHED.with_borrow(Option::is_some)
}

/// A dispatch that is watched, before it is made.
pub(super) struct Dispatch {
    work: Work,
    groups: [usize; 3],
    names: Vec<String>,
    before: Host,
}

impl Dispatch {
    /// Takes down what there is before a dispatch.
    pub fn before(context: &Context, buffers: &Buffers, kernel: &Kernel, work: &Work, groups: [usize; 3]) -> Self {
        let names: Vec<_> = kernel.storage().map(str::to_owned).collect();
        Self { work: *work, groups, before: Host::of(context, buffers, names.iter().cloned()), names }
    }

    /// Holds what there is after it against what the twin makes of what there was before.
    pub fn after(self, context: &Context, buffers: &Buffers, kernel: &Kernel) {
        let Self { work, groups, names, before: mut expected } = self;
        let found = Host::of(context, buffers, names.into_iter());
        WATCHED.with_borrow_mut(|watched| {
            let (engine, seen) = watched.as_mut().expect("watched before the dispatch");
            let twin = twin_of(kernel.name());
            twin(&Watch::new(engine, kernel), &work, groups, &mut expected, &found);
            compare(kernel.name(), &expected, &found);
            seen.insert(kernel.name().to_owned());
        });
    }
}

/// From the buffers before a dispatch to those after it. Of what was found after it, a twin takes what has no other right value:
/// choices that are as good as drawn with another rounding.
type Twin = fn(&Watch, &Work, [usize; 3], &mut Host, &Host);

fn twin_of(kernel: &str) -> Twin {
    match kernel {
        "spread" => policy::spread,
        "activate_signals" => policy::activate_signals,
        "weigh" => training::weigh,
        "gradient_norm" => training::gradient_norm,
        "decide" => training::decide,
        "adam" => training::adam,
        "empty" => training::empty,
        "order" | "hardware_order" => policy::order,
        "sites" => policy::sites,
        "walk" => policy::walk,
        "start" => policy::start,
        "rollout" | "hardware_rollout" => policy::rollout,
        "finish" | "hardware_finish" => policy::finish,
        "reward" => policy::reward,
        "evaluate" | "hardware_evaluate" => policy::evaluate,
        "hardware_backward" => gradient::backward,
        "head_backward" => gradient::head_backward,
        "dense_backward" | "hardware_dense_backward" => gradient::dense_backward,
        "first_backward" => gradient::first_backward,
        "weight_gradient" => gradient::weight_gradient,
        "hardware_weight_gradient" => gradient::weight_gradients,
        "hidden_scores" => gradient::hidden_scores,
        "fold" => gradient::fold,
        "head_gradient" => gradient::head_gradient,
        "first_gradient" => gradient::first_gradient,
        "head_norms" => norms::head_norms,
        "hidden_norms" => norms::hidden_norms,
        "first_norms" => norms::first_norms,
        "sum_norms" => norms::sum_norms,
        _ => panic!("the kernel `{kernel}` has no twin"),
    }
}

/// One kernel from the same inputs: sums of some hundred terms of either sign in f32, beside the largest number of the buffer.
const TOLERANCE: f64 = 1e-5;

fn compare(kernel: &str, expected: &Host, found: &Host) {
    for (name, expected) in &expected.words {
        assert_eq!(expected, found.words(name), "`{name}` after `{kernel}`");
    }
    for (name, expected) in &expected.numbers {
        let found = found.numbers(name);
        assert_eq!(expected.len(), found.len(), "`{name}` after `{kernel}`");
        let scale = largest(expected);
        assert!(scale.is_finite(), "`{name}` after `{kernel}`");
        for (index, (expected, found)) in expected.iter().zip(found).enumerate() {
            let close = (expected - found).abs() <= TOLERANCE * scale;
            assert!(close, "`{name}`[{index}] after `{kernel}` is {found}, not {expected}, of numbers up to {scale}");
        }
    }
}
