//! Rollout of one block of trajectories: the plain explanation of `shaders/rollout.wgsl`.
//!
//! For every step t: h_1 = act(z), h_l = act(W_l h_{l-1} + b_l), the K logits of the step's site from h_L, a value by
//! inverse CDF (or the one given), log P_F += log softmax(logits)[value], and z += change * column of the first layer.
//! Only z changes between steps, by one column: the first layer's product is never formed.

use crate::engine::Given;
use crate::random::{Draw, uniform};

use super::model::Model;
use crate::network::real::{Matrix, Real, add_scaled, dot, multiply, vectorised};

/// A block of trajectories and what its gradient needs. Storage is kept from one batch to the next.
#[derive(Default)]
pub struct Block<T> {
    /// Number of the first trajectory within the batch.
    pub first: usize,
    pub rows: usize,
    /// First step that is scored; steps before it have no entry in the tensors below.
    pub scored_from: usize,
    /// [rows, steps]
    pub actions: Vec<u32>,
    /// Sums of the values' log-probabilities over scored steps.
    pub log_values: Vec<f64>,
    pub log_reward: Vec<f64>,
    /// Those of all scored steps, if they were kept. Other blocks own none: they pass through a thread's workspace.
    pub kept: Option<Activations<T>>,
}

/// What the policy computed along the trajectories of a block, on as many steps as are stored.
#[derive(Default)]
pub struct Activations<T> {
    /// For each hidden layer, activations [stored steps, rows, width].
    pub hidden: Vec<Vec<T>>,
    /// Derivatives of the activations, laid out the same.
    pub slopes: Vec<Vec<T>>,
    /// Probabilities of the site's values, [stored steps, rows, values].
    pub probabilities: Vec<T>,
}

impl<T: Real> Activations<T> {
    /// Numbers of `steps` stored steps of `rows` trajectories.
    pub fn numbers(model: &Model<T>, rows: usize, steps: usize) -> usize {
        rows * steps * (2 * model.widths().iter().sum::<usize>() + model.process.values)
    }

    /// Room for so many steps; whatever it holds is overwritten by them.
    fn resize(&mut self, model: &Model<T>, rows: usize, steps: usize) {
        let widths = model.widths();
        self.hidden.resize_with(widths.len(), Vec::new);
        self.slopes.resize_with(widths.len(), Vec::new);
        let layers = self.hidden.iter_mut().zip(&mut self.slopes).zip(widths);
        for ((hidden, slopes), width) in layers {
            hidden.resize(steps * rows * width, T::default());
            slopes.resize(steps * rows * width, T::default());
        }
        self.probabilities.resize(steps * rows * model.process.values, T::default());
    }
}

/// The numbers that one thread needs for a block, reused from block to block.
#[derive(Default)]
pub struct Workspace<T> {
    /// Pre-activation of the first layer, [rows, width].
    input: Vec<T>,
    /// Words drawn for values, [rows, steps].
    words: Vec<u32>,
    site_words: Vec<u32>,
    /// Of one step, or of all steps in a replay.
    pub activations: Activations<T>,
}

impl<T: Real> Block<T> {
    /// Chooses the order of the sites, and the values where they are given.
    pub fn begin(&mut self, model: &Model<T>, work: &mut Workspace<T>, draw: &Draw, given: Option<Given>) {
        let (steps, values) = (model.process.steps(), model.process.values as u32);
        self.scored_from = given.map_or(0, |given| given.scored_from);
        work.words.resize(self.rows * steps, 0);
        work.site_words.resize(steps, 0);
        self.actions.clear();
        if let Some(given) = given {
            let range = self.first * steps..(self.first + self.rows) * steps;
            self.actions.extend_from_slice(&given.trajectories.actions()[range]);
        } else {
            self.actions.resize(self.rows * steps, 0);
        }
        let sampled_from = given.map_or(0, |given| given.sampled_from);
        for row in 0..self.rows {
            let words = &mut work.words[row * steps..][..steps];
            let pairs = work.site_words.iter_mut().zip(words).enumerate();
            for (t, (site_word, value_word)) in pairs.skip(sampled_from) {
                let drawn = draw.words((self.first + row) as u32, t as u32);
                (*site_word, *value_word) = (drawn[0], drawn[1]);
            }
            if given.is_none() {
                let order = &mut self.actions[row * steps..][..steps];
                model.process.fill_order(|t| work.site_words[t], order);
                order.iter_mut().for_each(|site| *site *= values);
            }
        }
    }

    /// Numbers of its trajectories within the batch.
    pub fn range(&self) -> std::ops::Range<usize> {
        self.first..self.first + self.rows
    }

    /// Takes the actions of `other`, to run them again.
    pub fn repeat(&mut self, other: &Block<T>) {
        (self.first, self.rows, self.scored_from) = (other.first, other.rows, other.scored_from);
        self.actions.clone_from(&other.actions);
    }

    /// Runs all scored steps; values from step `sampled_from` on are drawn with the words of [`Block::begin`]. The block
    /// keeps the activations if `keep` says so.
    pub fn run(&mut self, model: &Model<T>, work: &mut Workspace<T>, sampled_from: usize, keep: bool) {
        if keep {
            // Storage goes from batch to batch.
            let mut own = self.kept.take().unwrap_or_default();
            std::mem::swap(&mut own, &mut work.activations);
            self.run_in(model, work, sampled_from, true);
            std::mem::swap(&mut own, &mut work.activations);
            self.kept = Some(own);
        } else {
            self.kept = None;
            self.run_in(model, work, sampled_from, false);
        }
    }

    /// Runs all scored steps in the workspace, which then holds the activations of `all` of them or of the last one.
    pub fn run_in(&mut self, model: &Model<T>, work: &mut Workspace<T>, sampled_from: usize, all: bool) {
        let (steps, rows) = (model.process.steps(), self.rows);
        work.activations.resize(model, rows, if all { steps - self.scored_from } else { 1 });
        self.log_values.clear();
        self.log_values.resize(rows, 0.0);

        work.input.clear();
        (0..rows).for_each(|_| work.input.extend_from_slice(&model.start));
        for t in 0..self.scored_from {
            self.advance(model, work, t);
        }
        for t in self.scored_from..steps {
            let slot = if all { t - self.scored_from } else { 0 };
            self.forward(model, work, slot);
            self.choose(model, work, t, slot, t >= sampled_from);
            self.advance(model, work, t);
        }
    }

    /// Hidden activations of the current states, into the tensors' entry `slot`.
    fn forward(&self, model: &Model<T>, work: &mut Workspace<T>, slot: usize) {
        let rows = self.rows;
        let Activations { hidden, slopes, .. } = &mut work.activations;
        for (layer, &width) in model.widths().iter().enumerate() {
            let at = slot * rows * width..(slot + 1) * rows * width;
            let (before, here) = hidden.split_at_mut(layer);
            let hidden = &mut here[0][at.clone()];
            if layer == 0 {
                hidden.copy_from_slice(&work.input);
            } else {
                let inputs = model.widths()[layer - 1];
                let previous = &before[layer - 1][slot * rows * inputs..][..rows * inputs];
                let (weight, bias) = &model.hidden[layer - 1];
                hidden.chunks_exact_mut(width).for_each(|row| row.copy_from_slice(bias));
                let weight = Matrix::new(weight, width, inputs).transposed();
                multiply(hidden, true, Matrix::new(previous, rows, inputs), weight);
            }
            T::activate(model.activation, hidden, &mut slopes[layer][at]);
        }
    }

    /// Logits of each row's site, its value, and the value's log-probability.
    fn choose(&mut self, model: &Model<T>, work: &mut Workspace<T>, t: usize, slot: usize, sample: bool) {
        let (rows, values, steps) = (self.rows, model.process.values, model.process.steps());
        let Activations { hidden, probabilities, .. } = &mut work.activations;
        let last = hidden.len() - 1;
        let width = model.widths()[last];
        let hidden = &hidden[last][slot * rows * width..][..rows * width];
        let (weight, bias) = &model.head;
        let mut logits = vec![0.0_f64; values];
        for (row, hidden) in hidden.chunks_exact(width).enumerate() {
            let action = &mut self.actions[row * steps + t];
            let first = *action as usize / values * values;
            vectorised(
                #[inline(always)]
                || {
                    for (value, logit) in logits.iter_mut().enumerate() {
                        let weights = &weight[(first + value) * width..][..width];
                        *logit = (dot(hidden, weights) + bias[first + value]).to_f64();
                    }
                },
            );
            let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let log_sum = largest + logits.iter().map(|logit| (logit - largest).exp()).sum::<f64>().ln();
            let probabilities = &mut probabilities[(slot * rows + row) * values..][..values];
            let threshold = if sample { uniform(work.words[row * steps + t]) } else { 0.0 };
            // Inverse CDF: the first value whose cumulative probability exceeds the uniform, or the last one.
            let (mut cumulative, mut chosen) = (0.0, None);
            for (value, (logit, probability)) in logits.iter().zip(probabilities).enumerate() {
                let p = (logit - log_sum).exp();
                *probability = T::from_f64(p);
                cumulative += p;
                if chosen.is_none() && cumulative > threshold {
                    chosen = Some(value);
                }
            }
            if sample {
                *action = (first + chosen.unwrap_or(values - 1)) as u32;
            }
            self.log_values[row] += logits[*action as usize - first] - log_sum;
        }
    }

    /// Sets step `t`'s site in every row's input.
    fn advance(&self, model: &Model<T>, work: &mut Workspace<T>, t: usize) {
        let (steps, width) = (model.process.steps(), model.widths()[0]);
        vectorised(
            #[inline(always)]
            || {
                for (row, input) in work.input.chunks_exact_mut(width).enumerate() {
                    let (column, amount) = model.process.change(self.actions[row * steps + t] as usize);
                    add_scaled(input, T::from_f64(amount), &model.columns[column * width..][..width]);
                }
            },
        );
    }
}
