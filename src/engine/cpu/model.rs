//! The policy's weights as the native engine's loops want them.

use crate::network::{Activation, Layout};
use crate::process::SiteFilling;

use crate::network::real::{Real, cast};

/// A policy's weights in precision `T`.
#[derive(Clone, Debug)]
pub struct Model<T> {
    pub process: SiteFilling,
    pub layout: Layout,
    pub activation: Activation,
    /// First layer, [columns, width]: setting a site adds a multiple of one row.
    pub columns: Vec<T>,
    /// Pre-activation of the first layer in the empty object.
    pub start: Vec<T>,
    /// Hidden layers after the first: weight [out, in] and bias.
    pub hidden: Vec<(Vec<T>, Vec<T>)>,
    /// Logits: weight [actions, width] and bias.
    pub head: (Vec<T>, Vec<T>),
}

impl<T: Real> Model<T> {
    /// A model without weights, for a layout that fits the process (`engine::check::shape`).
    pub fn new(process: SiteFilling, layout: Layout, activation: Activation) -> Self {
        let empty = (Vec::new(), Vec::new());
        Self { process, layout, activation, columns: vec![], start: vec![], hidden: vec![], head: empty }
    }

    /// Hidden widths, first to last.
    pub fn widths(&self) -> &[usize] {
        &self.layout.widths[1..self.layout.widths.len() - 1]
    }

    /// Takes parameters in the order of [`Layout`], as many as it has.
    pub fn set(&mut self, parameters: &[f64]) {
        let layers = self.layout.layers();
        let (first, rest) = layers.split_first().expect("a policy has layers");
        let (last, middle) = rest.split_last().expect("a policy has a head");

        let weight = &parameters[first.weight.clone()];
        self.columns = vec![T::default(); weight.len()];
        transpose(weight, first.outputs, first.inputs, &mut self.columns, T::from_f64);
        let sums = weight.chunks_exact(first.inputs).map(|row| row.iter().sum::<f64>());
        let starts = parameters[first.bias.clone()].iter().zip(sums);
        let unset = self.process.unset();
        self.start = starts.map(|(bias, sum)| T::from_f64(bias + unset * sum)).collect();
        let pair = |layer: &crate::network::Layer| {
            (cast(&parameters[layer.weight.clone()]), cast(&parameters[layer.bias.clone()]))
        };
        self.hidden = middle.iter().map(pair).collect();
        self.head = pair(last);
    }
}

/// Gradient sums laid out as [`Model`] is, in the precision of the products that fill them.
#[derive(Clone, Debug)]
pub struct Sums<T> {
    pub columns: Vec<T>,
    pub start: Vec<T>,
    pub hidden: Vec<(Vec<T>, Vec<T>)>,
    pub head: (Vec<T>, Vec<T>),
}

impl<T: Real> Sums<T> {
    pub fn zeros(layout: &Layout) -> Self {
        let zeros = |count: usize| vec![T::default(); count];
        let layers = layout.layers();
        let pair = |layer: &crate::network::Layer| (zeros(layer.weight.len()), zeros(layer.outputs));
        let (first, last) = (&layers[0], &layers[layers.len() - 1]);
        Self {
            columns: zeros(first.weight.len()),
            start: zeros(first.outputs),
            hidden: layers[1..layers.len() - 1].iter().map(pair).collect(),
            head: pair(last),
        }
    }

    /// All tensors, in one fixed order.
    pub fn tensors(&self) -> impl Iterator<Item = &[T]> {
        let first = [self.columns.as_slice(), self.start.as_slice()];
        let hidden = self.hidden.iter().flat_map(|(weight, bias)| [weight.as_slice(), bias.as_slice()]);
        let head = [self.head.0.as_slice(), self.head.1.as_slice()];
        first.into_iter().chain(hidden).chain(head)
    }

    /// All tensors, in the order of [`Sums::tensors`].
    pub fn tensors_mut(&mut self) -> impl Iterator<Item = &mut [T]> {
        let first = [self.columns.as_mut_slice(), self.start.as_mut_slice()];
        let hidden = self.hidden.iter_mut().flat_map(|(weight, bias)| [weight.as_mut_slice(), bias.as_mut_slice()]);
        let head = [self.head.0.as_mut_slice(), self.head.1.as_mut_slice()];
        first.into_iter().chain(hidden).chain(head)
    }

    /// Sets every number to zero.
    pub fn clear(&mut self) {
        self.tensors_mut().for_each(|tensor| tensor.fill(T::default()));
    }
}

impl Sums<f64> {
    /// Adds sums of another precision.
    pub fn add<T: Real>(&mut self, other: &Sums<T>) {
        for (total, part) in self.tensors_mut().zip(other.tensors()) {
            total.iter_mut().zip(part).for_each(|(t, &p)| *t += p.to_f64());
        }
    }

    /// The same numbers in the order of [`Layout`], where `start` stands for the first bias and, through the code of
    /// unset sites, adds to the first weight.
    pub fn into_parameters(self, layout: &Layout, unset: f64) -> Vec<f64> {
        let layers = layout.layers();
        let first = &layers[0];
        let mut gradient = vec![0.0; first.weight.len()];
        transpose(&self.columns, first.inputs, first.outputs, &mut gradient, |value| value);
        for (row, start) in gradient.chunks_exact_mut(first.inputs).zip(&self.start) {
            row.iter_mut().for_each(|value| *value += unset * start);
        }
        gradient.extend(&self.start);
        self.hidden.iter().chain([&self.head]).for_each(|(weight, bias)| {
            gradient.extend(weight);
            gradient.extend(bias);
        });
        gradient
    }
}

/// Writes the transpose of row-major `from` [rows, columns] to `to`.
pub fn transpose<S: Copy, T>(from: &[S], rows: usize, columns: usize, to: &mut [T], cast: impl Fn(S) -> T) {
    for (row, values) in from.chunks_exact(columns).enumerate() {
        for (column, &value) in values.iter().enumerate() {
            to[column * rows + row] = cast(value);
        }
    }
}
