//! What the native engine keeps of a rollout for its gradient.

use super::entries::Entries;
use super::model::Model;
use crate::network::Real;

/// What the policy computed along the trajectories of a block, on as many steps as are stored.
#[derive(Default)]
pub struct Activations<T> {
    /// Which states are stored, of scored steps.
    pub entries: Entries,
    /// For each hidden layer, what its units' activations are functions of, [entries, width]. They and their slopes are
    /// functions of it, computed anew where a gradient needs them: that takes less time than to read both from memory.
    /// What lies behind the last entry means nothing.
    pub inputs: Vec<Vec<T>>,
    /// Probabilities of the choices, forward and backward, and log F, as far as the policy says them: [entries, outputs].
    pub probabilities: Vec<T>,
}

impl<T: Real> Activations<T> {
    /// Numbers of `steps` stored steps of `rows` trajectories.
    pub fn numbers(model: &Model<T>, rows: usize, steps: usize) -> usize {
        rows * steps * (model.widths().iter().sum::<usize>() + model.outputs())
    }

    /// Room for so many steps, none of which is stored yet.
    pub fn resize(&mut self, model: &Model<T>, rows: usize, steps: usize) {
        let widths = model.widths();
        self.entries.clear();
        self.inputs.resize_with(widths.len(), Vec::new);
        for (inputs, width) in self.inputs.iter_mut().zip(widths) {
            inputs.resize(steps * rows * width, T::default());
        }
        self.probabilities.resize(steps * rows * model.outputs(), T::default());
    }

    /// The same with an entry for each of `rows` trajectories at every step, those after an end zeros.
    pub fn padded(&self, model: &Model<T>, rows: usize) -> Self {
        let steps = self.entries.steps();
        let pad = |list: &[T], width: usize| {
            let mut padded = vec![T::default(); steps * rows * width];
            for ((row, step), numbers) in self.entries.iter(0..steps).zip(list.chunks_exact(width)) {
                padded[(step * rows + row) * width..][..width].copy_from_slice(numbers);
            }
            padded
        };
        let inputs = self.inputs.iter().zip(model.widths()).map(|(list, &width)| pad(list, width)).collect();
        let mut entries = Entries::default();
        (0..steps).for_each(|_| _ = entries.add(0..rows));
        Self { entries, inputs, probabilities: pad(&self.probabilities, model.outputs()) }
    }
}
