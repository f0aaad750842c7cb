//! Scores: the gradients h_i = grad log P_F(tau_i) of single trajectories, in pieces, never all of them at once.
//!
//! With e_v = 1[v = chosen] - p_v for the K values of a step's site, the backward pass is that of the whole batch's
//! gradient, and so are the products delta_l^T h_{l-1}; but here each trajectory's product is formed by itself, over its
//! T steps. Some trajectories are taken at a time, so that the products that hand delta down have many rows.
//!
//! Site filling sets each site once. So a logit's weights get one term, e_v h_L; and a column of the first layer gets
//! change times the sum of delta_1 over later steps, plus its initial input times the sum over all steps. (Columns
//! that no step changes exist in one-hot inputs only, whose initial inputs are 0.) With other processes a weight gets
//! several terms: pieces are then a whole layer of a trajectory.

use std::ops::Range;

use super::activations::Activations;
use super::gradient::masked_errors;
use super::model::Model;
use super::rollout::Block;
use crate::network::product::{Matrix, multiply};
use crate::network::real::{Real, add_scaled, vectorised};

/// Rows (trajectories times steps) that one product takes at most, unless one trajectory has more.
const ROWS: usize = 512;
/// Numbers of a weight that are formed for all trajectories at hand before the next ones: what is summed over
/// trajectories then stays in the cache.
const TILE: usize = 1 << 14;

/// Trajectories whose pieces of a weight go to the sink together.
pub const TOGETHER: usize = 4;

/// What becomes of scores.
pub trait Sink<T> {
    /// Takes a piece of the score of the block's trajectory `row`: the parameters from number `at` on, in the order of
    /// [`crate::network::Layout`] but with the first weight transposed, [columns, width]. Pieces never overlap;
    /// parameters that are in none have a derivative of 0.
    fn take(&mut self, row: usize, at: usize, score: &[T]);

    /// The same for the trajectories from `row` on, a piece each: where it pays to go through sums once for all.
    fn take_together(&mut self, row: usize, at: usize, scores: [&[T]; TOGETHER]) {
        scores.into_iter().enumerate().for_each(|(n, score)| self.take(row + n, at, score));
    }
}

/// Forms scores. Buffers are reused from block to block.
#[derive(Default)]
pub struct Scores<T> {
    /// delta of one layer, [trajectories at hand, steps, width], and of the layer below.
    delta: Vec<T>,
    below: Vec<T>,
    /// Activations of a hidden layer and their slopes, laid out the same.
    hidden: Vec<T>,
    slopes: Vec<T>,
    /// States of a trajectory that have entries.
    slots: usize,
    /// A piece of a score on its way to the sink, or [`TOGETHER`] of them.
    piece: Vec<T>,
}

impl<T: Real> Scores<T> {
    /// Hands every piece of the score of every trajectory of `block` to `sink`; `activations` are those of all of its
    /// scored steps.
    pub fn visit(&mut self, model: &Model<T>, block: &Block<T>, activations: &Activations<T>, sink: &mut impl Sink<T>) {
        // Pieces are products over a trajectory's states, which lie at equal distances then.
        let padded = (!activations.entries.is_full(block.rows)).then(|| activations.padded(model, block.rows));
        let activations = padded.as_ref().unwrap_or(activations);
        let slots = activations.entries.steps();
        self.slots = slots;
        if slots == 0 {
            return; // No step is scored: every score is zero, and a sink begins with zeros.
        }
        let group = (ROWS / slots).max(1);
        let widest = model.widths().iter().fold(TILE, |most, &width| most.max(width));
        self.piece.resize(TOGETHER * widest, T::default());
        for first in (0..block.rows).step_by(group) {
            let rows = first..block.rows.min(first + group);
            match model.filling {
                Some(_) => self.head(model, block, activations, rows.clone(), sink),
                None => self.masked_head(model, block, activations, rows.clone(), sink),
            }
            for layer in (1..model.widths().len()).rev() {
                self.hidden(model, block, activations, layer, rows.clone(), sink);
            }
            self.sum_later(model, rows.clone());
            match model.filling {
                Some(_) => self.input(model, block, rows, sink),
                None => self.whole_input(model, block, rows, sink),
            }
        }
    }

    /// Activations and slopes of hidden layer `layer` in all states of some trajectories.
    fn recall(
        &mut self,
        model: &Model<T>,
        block: &Block<T>,
        activations: &Activations<T>,
        layer: usize,
        rows: Range<usize>,
    ) {
        let (width, slots) = (model.widths()[layer], self.slots);
        self.hidden.resize(rows.len() * slots * width, T::default());
        self.slopes.resize(rows.len() * slots * width, T::default());
        let lists = self.hidden.chunks_exact_mut(width).zip(self.slopes.chunks_exact_mut(width));
        for (at, (hidden, slopes)) in lists.enumerate() {
            let entry = at % slots * block.rows + rows.start + at / slots;
            let inputs = &activations.inputs[layer][entry * width..][..width];
            T::differentiate(model.activation, inputs, hidden, slopes);
        }
    }

    /// Pieces of the logits' weights and biases, and delta of the last hidden layer.
    fn head(
        &mut self,
        model: &Model<T>,
        block: &Block<T>,
        activations: &Activations<T>,
        rows: Range<usize>,
        sink: &mut impl Sink<T>,
    ) {
        let (values, steps) = (model.outputs(), model.process.max_steps());
        let slots = self.slots;
        let last = model.widths().len() - 1;
        let width = model.widths()[last];
        let layer = model.layout.layers().pop().expect("a policy has a head");
        self.delta.resize(rows.len() * slots * width, T::default());
        self.recall(model, block, activations, last, rows.clone());
        for row in rows.clone() {
            for slot in 0..slots {
                let action = block.actions[row * steps + block.scored_from + slot];
                let first = model.first_output(action);
                let entry = slot * block.rows + row;
                let at = ((row - rows.start) * slots + slot) * width..((row - rows.start) * slots + slot + 1) * width;
                let (hidden, slopes) = (&self.hidden[at.clone()], &self.slopes[at.clone()]);
                let delta = &mut self.delta[at];
                delta.fill(T::default());
                for value in 0..values {
                    let chosen = T::from_f64(f64::from(u8::from(first + value == action as usize)));
                    let error = chosen - activations.probabilities[entry * values + value];
                    let at = (first + value) * width;
                    let piece = &mut self.piece[..width];
                    vectorised(
                        #[inline(always)]
                        || {
                            piece.iter_mut().zip(hidden).for_each(|(p, &h)| *p = error * h);
                            add_scaled(delta, error, &model.head.0[at..at + width]);
                        },
                    );
                    sink.take(row, layer.weight.start + at, piece);
                    sink.take(row, layer.bias.start + first + value, &[error]);
                }
                vectorised(
                    #[inline(always)]
                    || delta.iter_mut().zip(slopes).for_each(|(d, &s)| *d *= s),
                );
            }
        }
    }

    /// The same of a head whose states use all outputs.
    fn masked_head(
        &mut self,
        model: &Model<T>,
        block: &Block<T>,
        activations: &Activations<T>,
        rows: Range<usize>,
        sink: &mut impl Sink<T>,
    ) {
        let (outputs, steps) = (model.outputs(), model.process.max_steps());
        let slots = self.slots;
        let last = model.widths().len() - 1;
        let width = model.widths()[last];
        let layer = model.layout.layers().pop().expect("a policy has a head");
        self.delta.resize(rows.len() * slots * width, T::default());
        self.piece.resize(self.piece.len().max(outputs * (width + 1)), T::default());
        self.recall(model, block, activations, last, rows.clone());
        let mut errors = vec![T::default(); slots * outputs];
        for row in rows.clone() {
            for (slot, errors) in errors.chunks_exact_mut(outputs).enumerate() {
                let taken = block.actions[row * steps + block.scored_from + slot];
                let probabilities = &activations.probabilities[(slot * block.rows + row) * outputs..][..outputs];
                // Of log P_F alone, whatever else the policy says.
                let actions = model.process.actions();
                masked_errors(1.0, taken, &probabilities[..actions], &mut errors[..actions]);
            }
            let errors = Matrix::new(&errors, slots, outputs);
            let at = (row - rows.start) * slots * width..(row - rows.start + 1) * slots * width;
            let hidden = Matrix::new(&self.hidden[at.clone()], slots, width);
            let (weight, bias) = self.piece[..outputs * (width + 1)].split_at_mut(outputs * width);
            multiply(weight, false, errors.transposed(), hidden);
            multiply(bias, false, errors.transposed(), Matrix::new(&vec![T::from_f64(1.0); slots], slots, 1));
            sink.take(row, layer.weight.start, weight);
            sink.take(row, layer.bias.start, bias);

            let delta = &mut self.delta[at.clone()];
            multiply(delta, false, errors, Matrix::new(&model.head.0, outputs, width));
            delta.iter_mut().zip(&self.slopes[at]).for_each(|(d, &s)| *d *= s);
        }
    }

    /// Pieces of hidden layer `index`, and delta of the layer below it.
    fn hidden(
        &mut self,
        model: &Model<T>,
        block: &Block<T>,
        activations: &Activations<T>,
        index: usize,
        rows: Range<usize>,
        sink: &mut impl Sink<T>,
    ) {
        let (width, inputs) = (model.widths()[index], model.widths()[index - 1]);
        let slots = self.slots;
        let layer = &model.layout.layers()[index];
        self.recall(model, block, activations, index - 1, rows.clone());
        let outputs = (TILE / inputs).max(1);
        for start in (0..width).step_by(outputs) {
            let outputs = outputs.min(width - start);
            let (size, at) = (outputs * inputs, layer.weight.start + start * inputs);
            let form = |row: usize, piece: &mut [T]| {
                let delta = &self.delta[(row - rows.start) * slots * width + start..];
                let delta = Matrix::strided(delta, slots, outputs, width);
                let previous = Matrix::new(&self.hidden[(row - rows.start) * slots * inputs..], slots, inputs);
                multiply(piece, false, delta.transposed(), previous);
            };
            let apart = rows.end - rows.len() % TOGETHER;
            for first in (rows.start..apart).step_by(TOGETHER) {
                let pieces = self.piece.chunks_exact_mut(size).take(TOGETHER);
                pieces.enumerate().for_each(|(n, piece)| form(first + n, piece));
                sink.take_together(first, at, std::array::from_fn(|n| &self.piece[n * size..][..size]));
            }
            for row in apart..rows.end {
                form(row, &mut self.piece);
                sink.take(row, at, &self.piece[..size]);
            }
        }
        let bias = &mut self.piece[..width];
        for row in rows.clone() {
            vectorised(
                #[inline(always)]
                || {
                    bias.fill(T::default());
                    let deltas = &self.delta[(row - rows.start) * slots * width..][..slots * width];
                    deltas.chunks_exact(width).for_each(|delta| add_scaled(bias, T::from_f64(1.0), delta));
                },
            );
            sink.take(row, layer.bias.start, bias);
        }

        let count = rows.len() * slots;
        self.below.resize(count * inputs, T::default());
        let weight = Matrix::new(&model.hidden[index - 1].0, width, inputs);
        multiply(&mut self.below, false, Matrix::new(&self.delta, count, width), weight);
        vectorised(
            #[inline(always)]
            || {
                self.below.iter_mut().zip(&self.slopes).for_each(|(b, &s)| *b *= s);
            },
        );
        std::mem::swap(&mut self.delta, &mut self.below);
    }

    /// From here on delta is its own sum over this and all later steps.
    fn sum_later(&mut self, model: &Model<T>, rows: Range<usize>) {
        let width = model.widths()[0];
        let slots = self.slots;
        vectorised(
            #[inline(always)]
            || {
                for later in self.delta[..rows.len() * slots * width].chunks_exact_mut(slots * width) {
                    for slot in (1..slots).rev() {
                        let (before, after) = later.split_at_mut(slot * width);
                        add_scaled(&mut before[(slot - 1) * width..], T::from_f64(1.0), &after[..width]);
                    }
                }
            },
        );
    }

    /// Pieces of the first layer, where a step changes a column that no other step does.
    fn input(&mut self, model: &Model<T>, block: &Block<T>, rows: Range<usize>, sink: &mut impl Sink<T>) {
        let (steps, width) = (model.process.max_steps(), model.widths()[0]);
        let slots = self.slots;
        let layer = &model.layout.layers()[0];
        for row in rows.clone() {
            let later = &self.delta[(row - rows.start) * slots * width..][..slots * width];
            let start = &later[..width];
            sink.take(row, layer.bias.start, start);
            for t in 0..steps {
                let after = (t + 1).saturating_sub(block.scored_from) * width;
                for (column, amount) in block.changes(model, row, t).iter() {
                    let initial = T::from_f64(model.initial[column]);
                    let piece = &mut self.piece[..width];
                    vectorised(
                        #[inline(always)]
                        || {
                            piece.iter_mut().zip(start).for_each(|(p, &s)| *p = initial * s);
                            // Nothing comes after the last step.
                            if let Some(later) = later.get(after..after + width) {
                                add_scaled(piece, T::from_f64(amount), later);
                            }
                        },
                    );
                    sink.take(row, layer.weight.start + column * width, piece);
                }
            }
        }
    }

    /// The first layer in one piece, where steps change columns as they like.
    fn whole_input(&mut self, model: &Model<T>, block: &Block<T>, rows: Range<usize>, sink: &mut impl Sink<T>) {
        let (steps, width) = (model.process.max_steps(), model.widths()[0]);
        let slots = self.slots;
        let layer = &model.layout.layers()[0];
        self.piece.resize(self.piece.len().max(layer.weight.len()), T::default());
        let piece = &mut self.piece[..layer.weight.len()];
        for row in rows.clone() {
            let later = &self.delta[(row - rows.start) * slots * width..][..slots * width];
            let start = &later[..width];
            sink.take(row, layer.bias.start, start);
            for (column, &initial) in piece.chunks_exact_mut(width).zip(&model.initial) {
                column.iter_mut().zip(start).for_each(|(p, &s)| *p = T::from_f64(initial) * s);
            }
            for t in 0..steps {
                let after = (t + 1).saturating_sub(block.scored_from) * width;
                let Some(later) = later.get(after..after + width) else { continue };
                for (column, amount) in block.changes(model, row, t).iter() {
                    add_scaled(&mut piece[column * width..][..width], T::from_f64(amount), later);
                }
            }
            sink.take(row, layer.weight.start, piece);
        }
    }
}
