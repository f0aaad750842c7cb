//! A trainer's whole state, to and from a checkpoint.

use std::ops::Range;

use super::checkpoint::{Checkpoint, CheckpointError};
use super::{TrainError, Trainer};
use crate::optimizer::{Adam, LearnerState, Location, Weights};
use crate::targets::energy_model;

/// Prefix of the policy's tensors.
pub const POLICY: &str = "policy";
/// Prefix of those of a network that says log F alone.
const FLOW: &str = "flow";
/// Name of the policy's parameters with all of their bits, in the order of its layout: those that a device trains.
const WIDE: &str = "policy_wide";
/// Name of the average of the policy's parameters, in the order of its layout.
const AVERAGE: &str = "policy_average";
/// Name of the energy model's Adam.
const ENERGY_OPTIMIZER: &str = "energy_optimizer";
/// Name of the text that is the target's checksum.
const TARGET_CHECKSUM: &str = "target_checksum";
/// Name of the text that is the sizes of a GPU's kernels.
pub(super) const KERNELS: &str = "kernels";

impl Trainer {
    /// Everything that later iterations depend on.
    pub fn checkpoint(&self) -> Checkpoint {
        let mut checkpoint = Checkpoint::default();
        let learner = self.learner.state();
        for (name, shape, place) in self.tensors() {
            checkpoint.put_f32(&name, &shape, &learner.parameters[place]);
        }
        put_moments(&mut checkpoint, "optimizer", &learner.first_moment, &learner.second_moment, learner.steps);
        if self.is_wide() {
            checkpoint.put_f64(WIDE, &learner.parameters);
        }
        if let Some(average) = &learner.average {
            checkpoint.put_f64(AVERAGE, average);
        }
        put_adam(&mut checkpoint, "zeta_optimizer", &self.log_z.adam);
        checkpoint.put_f64("zeta", &[self.log_z.value.unwrap_or_default()]);
        checkpoint.put_text("zeta_started", self.log_z.value.is_some());
        if let Some(sampler) = &self.sampler {
            checkpoint.put_bytes("sampler", &sampler.state());
        }
        if let Some(model) = self.target.energy_model() {
            // Under the names of an energy model's own file: a checkpoint is one as well.
            let parameters = model.parameters();
            for (name, shape, place) in model.layout().tensors(energy_model::PREFIX) {
                checkpoint.put_f32(&name, &shape, &parameters[place]);
            }
        }
        if let Some(energy) = &self.energy {
            put_adam(&mut checkpoint, ENERGY_OPTIMIZER, &energy.adam);
        }
        if let Some(checksum) = self.target.checksum() {
            checkpoint.put_text(TARGET_CHECKSUM, checksum);
        }
        if let Some(kernels) = &self.kernels {
            checkpoint.put_text(KERNELS, kernels);
        }
        checkpoint.put_files(&self.target.files());
        if let Some(found) = &self.found {
            found.put(&mut checkpoint);
        }
        if let Some(replay) = &self.replay {
            replay.put(&mut checkpoint);
        }
        let [iteration, skipped, skipped_in_a_row] = self.standing();
        checkpoint.put_text("iteration", iteration);
        checkpoint.put_text("seed", self.settings.seed);
        checkpoint.put_text("skipped", skipped);
        checkpoint.put_text("skipped_in_a_row", skipped_in_a_row);
        checkpoint
    }

    /// Name, shape and place among the learner's parameters of each tensor.
    fn tensors(&self) -> impl Iterator<Item = (String, Vec<usize>, Range<usize>)> {
        let behind = self.layout.parameters();
        let flow = self.flow_layout.iter().flat_map(|layout| layout.tensors(FLOW));
        let flow = flow.map(move |(name, shape, place)| (name, shape, place.start + behind..place.end + behind));
        self.layout.tensors(POLICY).into_iter().chain(flow)
    }

    /// Whether parameters have more bits than f32 has.
    fn is_wide(&self) -> bool {
        self.settings.optimizer.location == Location::Device
    }

    /// Takes up the state of a checkpoint; if that fails, nothing has changed.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape, or the seed is another.
    pub fn restore(&mut self, checkpoint: &Checkpoint) -> Result<(), RestoreError> {
        let seed: u64 = checkpoint.text("seed")?;
        if seed != self.settings.seed {
            let reason = format!("it was made with seed {seed}, but the configuration has {}", self.settings.seed);
            return Err(checkpoint.error(reason).into());
        }
        if let Some(checksum) = self.target.checksum()
            && checkpoint.text::<u32>(TARGET_CHECKSUM)? != checksum
        {
            let advice = if checkpoint.files()?.is_empty() { "" } else { ", or take it away: the checkpoint has it" };
            let reason = format!(
                "it was made with another model or table: the file that target.file names (or target.evidence) has \
                 changed since; put it back as it was{advice}"
            );
            return Err(checkpoint.error(reason).into());
        }
        let mut parameters = vec![0.0; self.learner.parameters(Weights::Trained).len()];
        for (name, shape, place) in self.tensors() {
            parameters[place].copy_from_slice(&checkpoint.f32(&name, &shape)?);
        }
        if self.is_wide() {
            parameters = checkpoint.f64(WIDE, parameters.len())?;
        }
        let (first_moment, second_moment, steps) = get_moments(checkpoint, "optimizer", parameters.len())?;
        let averages = self.settings.evaluation.average.is_some();
        let average = averages.then(|| checkpoint.f64(AVERAGE, parameters.len())).transpose()?;
        let learner = LearnerState { parameters, first_moment, second_moment, steps, average };
        let mut log_z = self.log_z.clone();
        get_adam(checkpoint, "zeta_optimizer", &mut log_z.adam)?;
        let energy = match self.target.energy_model() {
            Some(model) => {
                let layout = model.layout();
                let mut parameters = vec![0.0; layout.parameters()];
                for (name, shape, place) in layout.tensors(energy_model::PREFIX) {
                    parameters[place].copy_from_slice(&checkpoint.f32(&name, &shape)?);
                }
                Some((model, parameters))
            }
            None => None,
        };
        let mut energy_adam = self.energy.as_ref().map(|energy| energy.adam.clone());
        if let Some(adam) = &mut energy_adam {
            get_adam(checkpoint, ENERGY_OPTIMIZER, adam)?;
        }
        log_z.value = checkpoint.text::<bool>("zeta_started")?.then_some(checkpoint.f64("zeta", 1)?[0]);
        let iteration = checkpoint.text("iteration")?;
        let (skipped, skipped_in_a_row) = (checkpoint.text("skipped")?, checkpoint.text("skipped_in_a_row")?);
        let held = self.replay.as_ref().map(|replay| replay.get(checkpoint)).transpose()?;
        let reached = self.found.as_ref().map(|found| found.get(checkpoint)).transpose()?;
        if let Some(sampler) = &mut self.sampler {
            let state = checkpoint.bytes("sampler")?;
            sampler.restore(state).map_err(|reason| checkpoint.error(format!("tensor `sampler`: {reason}")))?;
        }
        if let Some((model, parameters)) = energy {
            model.set_parameters(&parameters);
        }
        if let (Some(energy), Some(adam)) = (&mut self.energy, energy_adam) {
            energy.adam = adam;
        }
        if let (Some(found), Some(reached)) = (&mut self.found, reached) {
            found.set(reached);
        }
        if let (Some(replay), Some(held)) = (&mut self.replay, held) {
            replay.set(held);
        }
        self.learner.restore(&learner);
        self.log_z = log_z;
        (self.iteration, self.skipped, self.skipped_in_a_row) = (iteration, skipped, skipped_in_a_row);
        self.reset_flights();
        self.learner.give(self.engine.as_mut(), Weights::Trained).map_err(TrainError::from)?;
        self.held = Weights::Trained;
        Ok(())
    }
}

fn put_adam(checkpoint: &mut Checkpoint, name: &str, adam: &Adam) {
    put_moments(checkpoint, name, &adam.first_moment, &adam.second_moment, adam.steps);
}

fn put_moments(checkpoint: &mut Checkpoint, name: &str, first: &[f64], second: &[f64], steps: u64) {
    checkpoint.put_f64(&format!("{name}.first_moment"), first);
    checkpoint.put_f64(&format!("{name}.second_moment"), second);
    checkpoint.put_text(&format!("{name}.steps"), steps);
}

fn get_adam(checkpoint: &Checkpoint, name: &str, adam: &mut Adam) -> Result<(), CheckpointError> {
    (adam.first_moment, adam.second_moment, adam.steps) = get_moments(checkpoint, name, adam.first_moment.len())?;
    Ok(())
}

fn get_moments(
    checkpoint: &Checkpoint,
    name: &str,
    count: usize,
) -> Result<(Vec<f64>, Vec<f64>, u64), CheckpointError> {
    Ok((
        checkpoint.f64(&format!("{name}.first_moment"), count)?,
        checkpoint.f64(&format!("{name}.second_moment"), count)?,
        checkpoint.text(&format!("{name}.steps"))?,
    ))
}

/// Why a checkpoint was not taken up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// It could not be read, or is not of this training.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// What it holds could not be taken up.
    #[error(transparent)]
    Train(#[from] TrainError),
}
