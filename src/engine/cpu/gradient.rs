//! Gradient of one block: sum_i c_i grad log P_F(tau_i), from the activations its rollout kept.
//!
//! Steps are taken from the last to the first, a few at a time so that products have many rows. With
//! e_v = c (1[v = chosen] - p_v) the head gets e h_L^T and hands back delta_L = (sum_v e_v W_v) * slope_L; a hidden
//! layer gets delta_l^T h_{l-1} and hands back delta_{l-1} = (delta_l W_l) * slope_{l-1}. A column of the first layer
//! that changed at step t gets change * sum of delta_1 over all later steps, which is a running sum from the end.

use super::model::{Model, Sums};
use super::rollout::{Activations, Block};
use crate::network::real::{Matrix, Real, add_scaled, multiply, vectorised};

/// Rows that one product takes at most: enough to keep it busy, few enough to stay in the cache.
const ROWS: usize = 512;

/// Buffers of the backward pass, reused from block to block.
#[derive(Default)]
pub struct Backward<T> {
    /// delta of one layer, [chunk steps, rows, width], and of the layer below.
    delta: Vec<T>,
    below: Vec<T>,
    /// Sum of delta_1 over the steps seen so far, [rows, width].
    later: Vec<T>,
}

impl<T: Real> Backward<T> {
    /// Adds the gradient of `block`, with the activations of all of its scored steps, to `sums`; `coefficients` has one
    /// number a row.
    pub fn accumulate(
        &mut self,
        model: &Model<T>,
        block: &Block<T>,
        activations: &Activations<T>,
        coefficients: &[f64],
        sums: &mut Sums<T>,
    ) {
        let (rows, steps) = (block.rows, model.process.steps());
        let widths = model.widths();
        self.later.clear();
        self.later.resize(rows * widths[0], T::default());

        let chunk = (ROWS / rows).max(1);
        let mut end = steps - block.scored_from;
        while end > 0 {
            let start = end.saturating_sub(chunk);
            self.head(model, block, activations, coefficients, start..end, sums);
            for layer in (1..widths.len()).rev() {
                self.hidden(model, block, activations, layer, start..end, sums);
            }
            self.input(model, block, start..end, sums);
            end = start;
        }
        for t in (0..block.scored_from).rev() {
            self.column(model, block, t, sums);
        }
        for row in self.later.chunks_exact(widths[0]) {
            add_scaled(&mut sums.start, T::from_f64(1.0), row);
        }
    }

    /// The head's own gradient, and delta of the last hidden layer.
    fn head(
        &mut self,
        model: &Model<T>,
        block: &Block<T>,
        activations: &Activations<T>,
        coefficients: &[f64],
        slots: std::ops::Range<usize>,
        sums: &mut Sums<T>,
    ) {
        let (rows, values, steps) = (block.rows, model.process.values, model.process.steps());
        let last = model.widths().len() - 1;
        let width = model.widths()[last];
        self.delta.resize(slots.len() * rows * width, T::default());
        vectorised(
            #[inline(always)]
            || {
                for slot in slots.clone() {
                    for (row, &coefficient) in coefficients.iter().enumerate() {
                        let action = block.actions[row * steps + block.scored_from + slot] as usize;
                        let first = action / values * values;
                        let entry = slot * rows + row;
                        let hidden = &activations.hidden[last][entry * width..][..width];
                        let delta = &mut self.delta[((slot - slots.start) * rows + row) * width..][..width];
                        delta.fill(T::default());
                        for value in 0..values {
                            let chosen = f64::from(u8::from(first + value == action));
                            let probability = activations.probabilities[entry * values + value].to_f64();
                            let error = T::from_f64(coefficient * (chosen - probability));
                            let at = (first + value) * width..(first + value + 1) * width;
                            add_scaled(&mut sums.head.0[at.clone()], error, hidden);
                            sums.head.1[first + value] += error;
                            add_scaled(delta, error, &model.head.0[at]);
                        }
                        let slopes = &activations.slopes[last][entry * width..][..width];
                        delta.iter_mut().zip(slopes).for_each(|(d, &s)| *d *= s);
                    }
                }
            },
        );
    }

    /// Gradient of hidden layer `layer`, and delta of the layer below it.
    fn hidden(
        &mut self,
        model: &Model<T>,
        block: &Block<T>,
        activations: &Activations<T>,
        layer: usize,
        slots: std::ops::Range<usize>,
        sums: &mut Sums<T>,
    ) {
        let (width, inputs) = (model.widths()[layer], model.widths()[layer - 1]);
        let count = slots.len() * block.rows;
        let at = slots.start * block.rows * inputs..slots.end * block.rows * inputs;
        let previous = Matrix::new(&activations.hidden[layer - 1][at.clone()], count, inputs);
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
                self.below.iter_mut().zip(&activations.slopes[layer - 1][at]).for_each(|(b, &s)| *b *= s);
            },
        );
        std::mem::swap(&mut self.delta, &mut self.below);
    }

    /// The first layer over some steps, last to first.
    fn input(&mut self, model: &Model<T>, block: &Block<T>, slots: std::ops::Range<usize>, sums: &mut Sums<T>) {
        let size = block.rows * model.widths()[0];
        for slot in slots.clone().rev() {
            self.column(model, block, block.scored_from + slot, sums);
            let delta = &self.delta[(slot - slots.start) * size..][..size];
            vectorised(
                #[inline(always)]
                || add_scaled(&mut self.later, T::from_f64(1.0), delta),
            );
        }
    }

    /// What step `t` changed affects all later steps.
    fn column(&self, model: &Model<T>, block: &Block<T>, t: usize, sums: &mut Sums<T>) {
        let (steps, width) = (model.process.steps(), model.widths()[0]);
        vectorised(
            #[inline(always)]
            || {
                for (row, later) in self.later.chunks_exact(width).enumerate() {
                    let (column, amount) = model.process.change(block.actions[row * steps + t] as usize);
                    add_scaled(&mut sums.columns[column * width..][..width], T::from_f64(amount), later);
                }
            },
        );
    }
}
