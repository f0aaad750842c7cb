//! Gradient of one block, the sum of coefficients times grad log P_F, from the activations its rollout kept.
//!
//! Steps are taken from the last to the first, a few at a time so that products have many rows. With
//! e_v = c (1[v = chosen] - p_v), c that of the trajectory or of the step, and v over the logits that the state needs (b and
//! P_B in place of them for logits of backward actions, and f for log F), the head gets e h_L^T and hands back delta_L = (sum_v e_v W_v) * slope_L; a hidden
//! layer gets delta_l^T h_{l-1} and hands back delta_{l-1} = (delta_l W_l) * slope_{l-1}. A column of the first layer
//! that changed at step t gets change * sum of delta_1 over all later steps, which is a running sum from the end.

use std::ops::Range;

use super::activations::Activations;
use super::entries::Entries;
use super::model::{Model, Sums};
use super::rollout::Block;
use crate::engine::RowCoefficients;
use crate::network::product::{Matrix, multiply};
use crate::network::real::{Real, add_scaled, vectorised};
use crate::process::{Flow, NO_ACTION};

/// Rows that one product takes at most: enough to keep it busy, few enough to stay in the cache.
const ROWS: usize = 512;

/// Buffers of the backward pass, reused from block to block.
#[derive(Default)]
pub struct Backward<T> {
    /// delta of one layer, [chunk steps, rows, width], and of the layer below.
    delta: Vec<T>,
    below: Vec<T>,
    /// Activations of a hidden layer and their slopes, [chunk steps, rows, width].
    hidden: Vec<T>,
    slopes: Vec<T>,
    /// e of a masked head, [chunk steps, rows, actions].
    errors: Vec<T>,
    /// Sum of delta_1 over the steps seen so far, [rows, width].
    later: Vec<T>,
}

impl<T: Real> Backward<T> {
    /// Adds the gradient of `block`, with the activations of all of its scored steps, to `sums`; `coefficients` are
    /// those of its rows.
    pub fn accumulate(
        &mut self,
        model: &Model<T>,
        block: &Block<T>,
        activations: &Activations<T>,
        coefficients: RowCoefficients,
        sums: &mut Sums<T>,
    ) {
        let widths = model.widths();
        self.later.clear();
        self.later.resize(block.rows * widths[0], T::default());

        let mut end = activations.entries.steps();
        while end > 0 {
            let start = activations.entries.back(end, ROWS);
            let (entries, last) = (activations.entries.of(start..end), widths.len() - 1);
            self.delta.resize(entries.len() * widths[last], T::default());
            self.recall(model, activations, last, entries);
            match model.filling {
                Some(_) => self.head(model, block, activations, coefficients, start..end, sums),
                None => self.masked_head(model, block, activations, coefficients, start..end, sums),
            }
            for layer in (1..widths.len()).rev() {
                self.hidden(model, activations, layer, start..end, sums);
            }
            self.input(model, block, &activations.entries, start..end, sums);
            end = start;
        }
        for t in (0..block.scored_from).rev() {
            self.column(model, block, t, sums);
        }
        for row in self.later.chunks_exact(widths[0]) {
            add_scaled(&mut sums.start, T::from_f64(1.0), row);
        }
    }

    /// The head's own gradient, and delta of the last hidden layer, whose activations and slopes are there.
    fn head(
        &mut self,
        model: &Model<T>,
        block: &Block<T>,
        activations: &Activations<T>,
        coefficients: RowCoefficients,
        slots: Range<usize>,
        sums: &mut Sums<T>,
    ) {
        let (outputs, steps) = (model.outputs(), model.process.max_steps());
        let width = model.widths()[model.widths().len() - 1];
        let entries = activations.entries.of(slots.clone());
        let states = self.hidden.chunks_exact(width).zip(self.slopes.chunks_exact(width));
        let states = states.zip(activations.probabilities[entries.start * outputs..].chunks_exact(outputs));
        let lists = activations.entries.iter(slots).zip(self.delta.chunks_exact_mut(width)).zip(states);
        let (weight_sum, bias_sum) = &mut sums.head;
        vectorised(
            #[inline(always)]
            || {
                for (((row, slot), delta), ((hidden, slopes), probabilities)) in lists {
                    let t = block.scored_from + slot;
                    let coefficient = coefficients.at(row, t);
                    let action = block.actions[row * steps + t];
                    let first = model.first_output(action);
                    delta.fill(T::default());
                    for (output, probability) in (first..).zip(probabilities) {
                        let chosen = f64::from(u8::from(output == action as usize));
                        let error = T::from_f64(coefficient * (chosen - probability.to_f64()));
                        let at = output * width..(output + 1) * width;
                        add_scaled(&mut weight_sum[at.clone()], error, hidden);
                        add_scaled(delta, error, &model.head.0[at]);
                        bias_sum[output] += error;
                    }
                    delta.iter_mut().zip(slopes).for_each(|(d, &s)| *d *= s);
                }
            },
        );
    }

    /// The same of a head whose states use all outputs.
    fn masked_head(
        &mut self,
        model: &Model<T>,
        block: &Block<T>,
        activations: &Activations<T>,
        coefficients: RowCoefficients,
        slots: Range<usize>,
        sums: &mut Sums<T>,
    ) {
        let (outputs, steps) = (model.outputs(), model.process.max_steps());
        let width = model.widths()[model.widths().len() - 1];
        let entries = activations.entries.of(slots.clone());
        let count = entries.len();
        let probabilities = &activations.probabilities[entries.start * outputs..entries.end * outputs];
        self.errors.resize(count * outputs, T::default());
        let rows = self.errors.chunks_exact_mut(outputs).zip(probabilities.chunks_exact(outputs));
        let (actions, ways_back) = (model.process.actions(), model.process.backward_actions());
        for ((row, slot), (errors, probabilities)) in activations.entries.iter(slots).zip(rows) {
            let t = block.scored_from + slot;
            let taken = block.actions[row * steps + t];
            let (forward, errors) = errors.split_at_mut(actions);
            let (of_actions, probabilities) = probabilities.split_at(actions);
            masked_errors(coefficients.at(row, t), taken, of_actions, forward);
            let (backward, flow) = errors.split_at_mut(ways_back);
            let back = block.taken_back(model, row, t);
            let b = back.map_or(0.0, |_| coefficients.backward(row, t - 1));
            masked_errors(b, back.unwrap_or(NO_ACTION), &probabilities[..ways_back], backward);
            let f = coefficients.flow(row, t);
            match (model.process.flow(), model.process.stop()) {
                (Flow::Output, _) => flow.fill(T::from_f64(f)),
                (Flow::Stop, Some(stop)) => add_errors(f, stop, of_actions, forward),
                _ => {}
            }
        }
        let errors = Matrix::new(&self.errors, count, outputs);
        multiply(&mut sums.head.0, true, errors.transposed(), Matrix::new(&self.hidden, count, width));
        multiply(&mut self.delta, false, errors, Matrix::new(&model.head.0, outputs, width));
        vectorised(
            #[inline(always)]
            || {
                let errors = self.errors[..count * outputs].chunks_exact(outputs);
                errors.for_each(|errors| add_scaled(&mut sums.head.1, T::from_f64(1.0), errors));
                self.delta.iter_mut().zip(&self.slopes).for_each(|(d, &s)| *d *= s);
            },
        );
    }

    /// Activations and slopes of hidden layer `layer` in some states.
    fn recall(&mut self, model: &Model<T>, activations: &Activations<T>, layer: usize, entries: Range<usize>) {
        let width = model.widths()[layer];
        let inputs = &activations.inputs[layer][entries.start * width..entries.end * width];
        self.hidden.resize(inputs.len(), T::default());
        self.slopes.resize(inputs.len(), T::default());
        T::differentiate(model.activation, inputs, &mut self.hidden, &mut self.slopes);
    }

    /// Gradient of hidden layer `layer`, and delta of the layer below it.
    fn hidden(
        &mut self,
        model: &Model<T>,
        activations: &Activations<T>,
        layer: usize,
        slots: Range<usize>,
        sums: &mut Sums<T>,
    ) {
        let (width, inputs) = (model.widths()[layer], model.widths()[layer - 1]);
        let entries = activations.entries.of(slots);
        let count = entries.len();
        self.recall(model, activations, layer - 1, entries);
        let previous = Matrix::new(&self.hidden, count, inputs);
        let delta = Matrix::new(&self.delta, count, width);
        let (weight_sum, bias_sum) = &mut sums.hidden[layer - 1];
        multiply(weight_sum, true, delta.transposed(), previous);
        self.below.resize(count * inputs, T::default());
        multiply(&mut self.below, false, delta, Matrix::new(&model.hidden[layer - 1].0, width, inputs));
        vectorised(
            #[inline(always)]
            || {
                for row in self.delta[..count * width].chunks_exact(width) {
                    add_scaled(bias_sum, T::from_f64(1.0), row);
                }
                self.below.iter_mut().zip(&self.slopes).for_each(|(b, &s)| *b *= s);
            },
        );
        std::mem::swap(&mut self.delta, &mut self.below);
    }

    /// The first layer over some steps, last to first.
    fn input(
        &mut self,
        model: &Model<T>,
        block: &Block<T>,
        entries: &Entries,
        slots: Range<usize>,
        sums: &mut Sums<T>,
    ) {
        let width = model.widths()[0];
        let first = entries.of(slots.clone()).start;
        for slot in slots.rev() {
            self.column(model, block, block.scored_from + slot, sums);
            let here = entries.of(slot..slot + 1);
            let delta = &self.delta[(here.start - first) * width..];
            vectorised(
                #[inline(always)]
                || {
                    for (row, delta) in entries.rows(here).zip(delta.chunks_exact(width)) {
                        add_scaled(&mut self.later[row * width..][..width], T::from_f64(1.0), delta);
                    }
                },
            );
        }
    }

    /// What step `t` changed affects all later steps.
    fn column(&self, model: &Model<T>, block: &Block<T>, t: usize, sums: &mut Sums<T>) {
        let width = model.widths()[0];
        vectorised(
            #[inline(always)]
            || {
                for (row, later) in self.later.chunks_exact(width).enumerate() {
                    for (column, amount) in block.changes(model, row, t).iter() {
                        add_scaled(&mut sums.columns[column * width..][..width], T::from_f64(amount), later);
                    }
                }
            },
        );
    }
}

/// Adds e_v of another action of the state, of another coefficient.
fn add_errors<T: Real>(coefficient: f64, action: u32, probabilities: &[T], errors: &mut [T]) {
    for ((number, error), &probability) in (0..).zip(errors).zip(probabilities) {
        let it = f64::from(u8::from(number == action));
        *error += T::from_f64(coefficient * (it - probability.to_f64()));
    }
}

/// e_v of a state whose head is masked. After the end of a trajectory, where all probabilities are 0 and no action is
/// taken ([`Activations::padded`]), it is 0.
pub fn masked_errors<T: Real>(coefficient: f64, taken: u32, probabilities: &[T], errors: &mut [T]) {
    for ((number, error), &probability) in (0..).zip(errors).zip(probabilities) {
        let chosen = f64::from(u8::from(number == taken));
        *error = T::from_f64(coefficient * (chosen - probability.to_f64()));
    }
}
