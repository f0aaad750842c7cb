//! An MLP over a batch of unrelated inputs: its outputs, and the gradient of a weighted sum of them.
//!
//! The rollout never needs this, as its inputs change by one column a step; energy models do, and so does whoever asks
//! the policy about states that no trajectory connects. Rows are worked on in blocks, a thread a block, and block
//! gradients are added pairwise, so that the bits do not depend on the number of threads.

use rayon::prelude::*;

use super::product::{Matrix, multiply};
use super::real::{Real, add_scaled, cast, vectorised};
use super::{Activation, Layout};
use crate::sums::Tree;

/// Rows that a thread takes at a time. Part of a gradient's bits, so not a setting.
const ROWS_AT_ONCE: usize = 64;

/// An MLP in precision `T`.
#[derive(Clone, Debug)]
pub struct Mlp<T> {
    layout: Layout,
    activation: Activation,
    /// In the order of the layout.
    parameters: Vec<T>,
}

/// What the forward pass of one block leaves for the backward pass.
struct Pass<T> {
    /// Input of each layer, [rows, inputs], and the outputs of the last.
    signals: Vec<Vec<T>>,
    /// Derivatives of the activations of each hidden layer, [rows, outputs].
    slopes: Vec<Vec<T>>,
}

impl<T: Real> Mlp<T> {
    /// # Panics
    /// If there are not as many parameters as the layout has.
    pub fn new(layout: Layout, activation: Activation, parameters: &[f64]) -> Self {
        assert_eq!(parameters.len(), layout.parameters(), "number of parameters");
        Self { layout, activation, parameters: cast(parameters) }
    }

    /// Takes other parameters of the same layout.
    pub fn set_parameters(&mut self, parameters: &[f64]) {
        assert_eq!(parameters.len(), self.layout.parameters(), "number of parameters");
        self.parameters = cast(parameters);
    }

    /// Outputs [rows, outputs] of `inputs` [rows, inputs], both row-major.
    pub fn outputs(&self, inputs: &[f64], outputs: &mut [f64]) {
        let (width, results) = self.ends();
        assert_eq!(inputs.len() / width, outputs.len() / results, "a row of outputs for each row of inputs");
        inputs.par_chunks(ROWS_AT_ONCE * width).zip(outputs.par_chunks_mut(ROWS_AT_ONCE * results)).for_each(
            |(inputs, outputs)| {
                let pass = self.forward(inputs);
                let found = &pass.signals[pass.signals.len() - 1];
                outputs.iter_mut().zip(found).for_each(|(output, value)| *output = value.to_f64());
            },
        );
    }

    /// sum_i sum_o weights[i, o] * grad outputs[i, o] over the rows i of `inputs`, in the order of the layout.
    pub fn gradient(&self, inputs: &[f64], weights: &[f64]) -> Vec<f64> {
        let mut tree = Tree::default();
        self.add_leaves(inputs, weights, &mut tree);
        tree.root().unwrap_or_else(|| vec![0.0; self.parameters.len()])
    }

    /// The same as leaves of a larger sum, one a block of rows.
    pub(crate) fn add_leaves(&self, inputs: &[f64], weights: &[f64], tree: &mut Tree) {
        let (width, results) = self.ends();
        assert_eq!(inputs.len() / width, weights.len() / results, "a row of weights for each row of inputs");
        let blocks: Vec<_> = inputs.chunks(ROWS_AT_ONCE * width).zip(weights.chunks(ROWS_AT_ONCE * results)).collect();
        // As many blocks at a time as there are threads, always added in order.
        for wave in blocks.chunks(rayon::current_num_threads()) {
            let part = |inputs: &[f64], weights: &[f64]| -> Vec<f64> {
                self.backward(inputs, weights).iter().map(|value| value.to_f64()).collect()
            };
            let parts: Vec<_> = wave.par_iter().map(|(inputs, weights)| part(inputs, weights)).collect();
            parts.iter().for_each(|part| tree.add(part));
        }
    }

    /// Numbers of inputs and of outputs.
    fn ends(&self) -> (usize, usize) {
        let widths = &self.layout.widths;
        (widths[0], widths[widths.len() - 1])
    }

    /// h_0 = inputs, h_l = act(W_l h_{l-1} + b_l), and no activation after the last layer.
    fn forward(&self, inputs: &[f64]) -> Pass<T> {
        let rows = inputs.len() / self.layout.widths[0];
        let layers = self.layout.layers();
        let mut pass = Pass { signals: vec![cast(inputs)], slopes: Vec::new() };
        for (index, layer) in layers.iter().enumerate() {
            let bias = &self.parameters[layer.bias.clone()];
            let weight = Matrix::new(&self.parameters[layer.weight.clone()], layer.outputs, layer.inputs);
            let mut sums = vec![T::default(); rows * layer.outputs];
            multiply(&mut sums, false, Matrix::new(&pass.signals[index], rows, layer.inputs), weight.transposed());
            sums.chunks_exact_mut(layer.outputs).for_each(|row| add_scaled(row, T::from_f64(1.0), bias));
            if index + 1 < layers.len() {
                let (mut signal, mut slopes) = (vec![T::default(); sums.len()], vec![T::default(); sums.len()]);
                T::differentiate(self.activation, &sums, &mut signal, &mut slopes);
                pass.slopes.push(slopes);
                pass.signals.push(signal);
            } else {
                pass.signals.push(sums);
            }
        }
        pass
    }

    /// The gradient of one block: delta_L = weights, then dW_l = delta_l^T h_{l-1}, db_l = sum of delta_l over rows, and
    /// delta_{l-1} = (delta_l W_l) * slope_{l-1}.
    fn backward(&self, inputs: &[f64], weights: &[f64]) -> Vec<T> {
        let rows = inputs.len() / self.layout.widths[0];
        let pass = self.forward(inputs);
        let mut gradient = vec![T::default(); self.parameters.len()];
        let mut delta: Vec<T> = cast(weights);
        for (index, layer) in self.layout.layers().into_iter().enumerate().rev() {
            let (rows_of_delta, signal) = (Matrix::new(&delta, rows, layer.outputs), &pass.signals[index]);
            let signal = Matrix::new(signal, rows, layer.inputs);
            multiply(&mut gradient[layer.weight.clone()], false, rows_of_delta.transposed(), signal);
            let bias = &mut gradient[layer.bias.clone()];
            delta.chunks_exact(layer.outputs).for_each(|row| add_scaled(bias, T::from_f64(1.0), row));
            if index > 0 {
                let weight = Matrix::new(&self.parameters[layer.weight.clone()], layer.outputs, layer.inputs);
                let mut below = vec![T::default(); rows * layer.inputs];
                multiply(&mut below, false, rows_of_delta, weight);
                vectorised(
                    #[inline(always)]
                    || below.iter_mut().zip(&pass.slopes[index - 1]).for_each(|(delta, &slope)| *delta *= slope),
                );
                delta = below;
            }
        }
        gradient
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::{absolute_sum, assert_close, assert_layers_close};
    use crate::network::{Initialisation, initialise};
    use crate::random::Stream;

    const ROWS: usize = 150;

    fn setting(hidden: &[usize]) -> (Layout, Vec<f64>, Vec<f64>, Vec<f64>) {
        let layout = Layout::new(5, hidden, 3);
        let parameters = initialise(&layout, Initialisation::FanIn, 3, Stream::Initialisation);
        let wave = |count: usize, pace: f64| (0..count).map(|i| (pace * i as f64).sin()).collect::<Vec<f64>>();
        (layout, parameters, wave(ROWS * 5, 1.3), wave(ROWS * 3, 2.1))
    }

    fn weighted_sum(network: &Mlp<f64>, inputs: &[f64], weights: &[f64]) -> f64 {
        let mut outputs = vec![0.0; weights.len()];
        network.outputs(inputs, &mut outputs);
        outputs.iter().zip(weights).map(|(output, weight)| output * weight).sum()
    }

    #[test]
    fn the_gradient_is_the_central_difference() {
        for activation in Activation::ALL {
            for hidden in [&[][..], &[7], &[8, 16, 9]] {
                let (layout, parameters, inputs, weights) = setting(hidden);
                let network = |parameters: &[f64]| Mlp::new(layout.clone(), activation, parameters);
                let gradient = network(&parameters).gradient(&inputs, &weights);
                for index in (0..parameters.len()).step_by(5) {
                    let value_at = |shift: f64| {
                        let mut shifted = parameters.clone();
                        shifted[index] += shift;
                        weighted_sum(&network(&shifted), &inputs, &weights)
                    };
                    // Third derivative times 1e-10, rounding 1e-14 / 1e-5; no row crosses a kink with these seeds.
                    let difference = (value_at(1e-5) - value_at(-1e-5)) / 2e-5;
                    let tolerance = 1e-8 * gradient[index].abs().max(1.0);
                    assert!(
                        (gradient[index] - difference).abs() < tolerance,
                        "{activation:?} {hidden:?} {index}: {} {difference}",
                        gradient[index]
                    );
                }
            }
        }
    }

    #[test]
    fn f32_follows_f64() {
        let (layout, parameters, inputs, weights) = setting(&[32, 32]);
        let double = Mlp::<f64>::new(layout.clone(), Activation::Elu, &parameters);
        let single = Mlp::<f32>::new(layout.clone(), Activation::Elu, &parameters);
        let (mut expected, mut found) = (vec![0.0; ROWS * 3], vec![0.0; ROWS * 3]);
        double.outputs(&inputs, &mut expected);
        single.outputs(&inputs, &mut found);
        // Sums of some tens of terms of order one.
        assert_close(&found, &expected, 1e-6, "outputs");
        let (found, expected) = (single.gradient(&inputs, &weights), double.gradient(&inputs, &weights));
        let rows = inputs.chunks_exact(5).zip(weights.chunks_exact(3));
        let terms = absolute_sum(rows.map(|(input, weight)| double.gradient(input, weight)));
        // A delta and an input are each at the end of three layers: some ten roundings of either sign.
        assert_layers_close(&layout, &found, &expected, &terms, 16.0 * f64::from(f32::EPSILON), "gradient");
    }

    #[test]
    fn the_number_of_threads_changes_no_bit() {
        let (layout, parameters, inputs, weights) = setting(&[32, 16]);
        let network = Mlp::<f32>::new(layout, Activation::Elu, &parameters);
        let with_threads = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
            pool.install(|| network.gradient(&inputs, &weights))
        };
        assert_eq!(with_threads(1), with_threads(3));
    }
}
