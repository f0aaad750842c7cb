//! What the native engine keeps of a rollout for its gradient.

use super::entries::Entries;
use super::model::Model;
use crate::network::Real;

/// What the policy computed along the trajectories of a block, on as many steps as are stored.
#[derive(Default)]
pub struct Activations<T> {
    /// Which states are stored, of scored steps.
    pub entries: Entries,
    /// For each hidden layer, activations [entries, width]. What lies behind the last entry means nothing.
    pub hidden: Vec<Vec<T>>,
    /// Derivatives of the activations, laid out the same.
    pub slopes: Vec<Vec<T>>,
    /// Probabilities of the choices, forward and backward, and log F, as far as the policy says them: [entries, outputs].
    pub probabilities: Vec<T>,
}

impl<T: Real> Activations<T> {
    /// Numbers of `steps` stored steps of `rows` trajectories.
    pub fn numbers(model: &Model<T>, rows: usize, steps: usize) -> usize {
        rows * steps * (2 * model.widths().iter().sum::<usize>() + model.outputs())
    }

    /// Room for so many steps, none of which is stored yet.
    pub fn resize(&mut self, model: &Model<T>, rows: usize, steps: usize) {
        let widths = model.widths();
        self.entries.clear();
        self.hidden.resize_with(widths.len(), Vec::new);
        self.slopes.resize_with(widths.len(), Vec::new);
        let layers = self.hidden.iter_mut().zip(&mut self.slopes).zip(widths);
        for ((hidden, slopes), width) in layers {
            hidden.resize(steps * rows * width, T::default());
            slopes.resize(steps * rows * width, T::default());
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
        let layers =
            |lists: &[Vec<T>]| lists.iter().zip(model.widths()).map(|(list, &width)| pad(list, width)).collect();
        let mut entries = Entries::default();
        (0..steps).for_each(|_| _ = entries.add(0..rows));
        Self {
            entries,
            hidden: layers(&self.hidden),
            slopes: layers(&self.slopes),
            probabilities: pad(&self.probabilities, model.outputs()),
        }
    }
}
