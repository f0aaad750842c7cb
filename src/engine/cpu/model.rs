//! The policy's weights as the native engine's loops want them.

use std::sync::Arc;

use crate::network::product::transpose;
use crate::network::real::{Real, cast};
use crate::network::{Activation, Arrangement, Layer, Layout};
use crate::process::{Guide, Head, Process, SiteFilling};

/// A policy's weights in precision `T`, and the process that it acts in.
#[derive(Clone, Debug)]
pub struct Model<T> {
    pub process: Arc<dyn Process>,
    /// The process, where it chooses the sites and the policy their values.
    pub filling: Option<SiteFilling>,
    /// What is added to the logits of a step's site.
    pub guide: Option<Arc<dyn Guide>>,
    pub layout: Layout,
    pub arrangement: Arrangement,
    pub activation: Activation,
    /// The policy's inputs before the first action.
    pub initial: Vec<f64>,
    /// First layer, [columns, width]: an action adds multiples of one or two rows.
    pub columns: Vec<T>,
    /// Pre-activation of the first layer before the first action.
    pub start: Vec<T>,
    /// Hidden layers after the first: weight [out, in] and bias.
    pub hidden: Vec<(Vec<T>, Vec<T>)>,
    /// Their weights the other way round, [in, out]: products of few rows would spend as long on turning them as on the product.
    pub across: Vec<Vec<T>>,
    /// Logits: weight [actions, width] and bias.
    pub head: (Vec<T>, Vec<T>),
    /// That weight the other way round, [width, actions], where a state needs all logits.
    pub head_across: Vec<T>,
}

impl<T: Real> Model<T> {
    /// A model without weights, for a layout that fits the process (`engine::check::shape`).
    pub fn new(process: Arc<dyn Process>, layout: Layout, activation: Activation) -> Self {
        let empty = (Vec::new(), Vec::new());
        Self {
            filling: process.as_site_filling().filter(|_| process.head() == Head::Site).cloned(),
            guide: process.guide().filter(|_| process.head() == Head::Site).cloned(),
            initial: process.initial_input(),
            arrangement: arrangement(&layout),
            process,
            layout,
            activation,
            columns: vec![],
            start: vec![],
            hidden: vec![],
            across: vec![],
            head: empty,
            head_across: vec![],
        }
    }

    /// Whether anybody asks for the states of the process: its rules, or a guide.
    pub fn has_states(&self) -> bool {
        self.filling.is_none() || self.guide.is_some()
    }

    /// Outputs that a state needs: the logits of one site, or all that there are.
    pub fn outputs(&self) -> usize {
        self.filling.as_ref().map_or(self.process.outputs(), |filling| filling.values)
    }

    /// The first of the logits that a state needs, known by the action that was taken (or by any other of its site).
    #[inline(always)]
    pub fn first_output(&self, action: u32) -> usize {
        self.filling.as_ref().map_or(0, |filling| action as usize / filling.values * filling.values)
    }

    /// Hidden widths, first to last.
    pub fn widths(&self) -> &[usize] {
        &self.layout.widths[1..self.layout.widths.len() - 1]
    }

    /// Takes parameters in the order of the model's arrangement.
    pub fn set(&mut self, arranged: &[f64]) {
        let layers = self.layout.layers();
        let (first, rest) = layers.split_first().expect("a policy has layers");
        let (last, middle) = rest.split_last().expect("a policy has a head");

        let columns = &arranged[first.weight.clone()];
        self.columns = cast(columns);
        let mut start = vec![0.0; first.outputs];
        for (column, &input) in columns.chunks_exact(first.outputs).zip(&self.initial) {
            start.iter_mut().zip(column).for_each(|(sum, weight)| *sum += input * weight);
        }
        let starts = arranged[first.bias.clone()].iter().zip(start);
        self.start = starts.map(|(bias, sum)| T::from_f64(bias + sum)).collect();
        let pair = |layer: &Layer| (cast(&arranged[layer.weight.clone()]), cast(&arranged[layer.bias.clone()]));
        self.hidden = middle.iter().map(pair).collect();
        self.across = self.hidden.iter().map(|(weight, bias)| transpose(weight, bias.len())).collect();
        self.head = pair(last);
        if self.filling.is_none() {
            self.head_across = transpose(&self.head.0, last.outputs);
        }
    }
}

/// The order of [`Layout`] but for the first weight, which is transposed: [columns, width].
fn arrangement(layout: &Layout) -> Arrangement {
    let first = &layout.layers()[0];
    let (inputs, outputs) = (first.inputs as u32, first.outputs as u32);
    let mut places: Vec<u32> = (0..layout.parameters() as u32).collect();
    for (number, place) in (0..).zip(&mut places[first.weight.clone()]) {
        *place = number % inputs * outputs + number / inputs;
    }
    Arrangement::new(places, layout.parameters())
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
        let pair = |layer: &Layer| (zeros(layer.weight.len()), zeros(layer.outputs));
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

impl<T: Real> Sums<T> {
    /// Writes them as a list in the order of the model's arrangement: the inputs before the first action, `initial`, weigh
    /// what `start` stands for.
    pub fn write(&self, initial: &[f64], list: &mut Vec<f64>) {
        list.clear();
        self.tensors().for_each(|tensor| list.extend(tensor.iter().map(|number| number.to_f64())));
        let (columns, rest) = list.split_at_mut(self.columns.len());
        let start = &rest[..self.start.len()];
        let weighed = columns.chunks_exact_mut(start.len()).zip(initial).filter(|(_, input)| **input != 0.0);
        for (column, &input) in weighed {
            column.iter_mut().zip(start).for_each(|(sum, start)| *sum += input * start);
        }
    }
}
