//! A trainer's whole state, to and from a checkpoint.

use super::{TrainError, Trainer};
use crate::optimizer::Adam;
use crate::run::checkpoint::{Checkpoint, CheckpointError};
use crate::targets::energy_model;

/// Prefix of the policy's tensors.
pub const POLICY: &str = "policy";
/// Name of the energy model's Adam.
const ENERGY_OPTIMIZER: &str = "energy_optimizer";

impl Trainer {
    /// Everything that later iterations depend on.
    pub fn checkpoint(&self) -> Checkpoint {
        let mut checkpoint = Checkpoint::default();
        for (name, shape, place) in self.layout.tensors(POLICY) {
            checkpoint.put_f32(&name, &shape, &self.parameters[place.clone()]);
        }
        put_adam(&mut checkpoint, "optimizer", &self.optimizer.policy);
        put_adam(&mut checkpoint, "zeta_optimizer", &self.optimizer.zeta);
        checkpoint.put_f64("zeta", &[self.zeta.unwrap_or_default()]);
        checkpoint.put_text("zeta_started", self.zeta.is_some());
        if let Some(sampler) = &self.sampler {
            checkpoint.put_bytes("sampler", &sampler.state());
        }
        if let Some(energy) = self.target.energy() {
            // Under the names of an energy model's own file: a checkpoint is one as well.
            let parameters = energy.model.parameters();
            for (name, shape, place) in energy.model.layout().tensors(energy_model::PREFIX) {
                checkpoint.put_f32(&name, &shape, &parameters[place]);
            }
        }
        if let Some(energy) = &self.energy {
            put_adam(&mut checkpoint, ENERGY_OPTIMIZER, &energy.adam);
        }
        checkpoint.put_text("iteration", self.iteration);
        checkpoint.put_text("seed", self.settings.seed);
        checkpoint.put_text("skipped", self.skipped);
        checkpoint.put_text("skipped_in_a_row", self.skipped_in_a_row);
        checkpoint
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
        let mut parameters = self.parameters.clone();
        for (name, shape, place) in self.layout.tensors(POLICY) {
            parameters[place].copy_from_slice(&checkpoint.f32(&name, &shape)?);
        }
        let mut optimizer = self.optimizer.clone();
        get_adam(checkpoint, "optimizer", &mut optimizer.policy)?;
        get_adam(checkpoint, "zeta_optimizer", &mut optimizer.zeta)?;
        let energy = match self.target.energy() {
            Some(energy) => {
                let layout = energy.model.layout();
                let mut parameters = vec![0.0; layout.parameters()];
                for (name, shape, place) in layout.tensors(energy_model::PREFIX) {
                    parameters[place].copy_from_slice(&checkpoint.f32(&name, &shape)?);
                }
                Some((energy.model, parameters))
            }
            None => None,
        };
        let mut energy_adam = self.energy.as_ref().map(|energy| energy.adam.clone());
        if let Some(adam) = &mut energy_adam {
            get_adam(checkpoint, ENERGY_OPTIMIZER, adam)?;
        }
        let zeta = checkpoint.text::<bool>("zeta_started")?.then_some(checkpoint.f64("zeta", 1)?[0]);
        let iteration = checkpoint.text("iteration")?;
        let (skipped, skipped_in_a_row) = (checkpoint.text("skipped")?, checkpoint.text("skipped_in_a_row")?);
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
        (self.parameters, self.optimizer, self.zeta) = (parameters, optimizer, zeta);
        (self.iteration, self.skipped, self.skipped_in_a_row) = (iteration, skipped, skipped_in_a_row);
        self.engine.set_parameters(&self.parameters).map_err(TrainError::from)?;
        Ok(())
    }
}

fn put_adam(checkpoint: &mut Checkpoint, name: &str, adam: &Adam) {
    checkpoint.put_f64(&format!("{name}.first_moment"), &adam.first_moment);
    checkpoint.put_f64(&format!("{name}.second_moment"), &adam.second_moment);
    checkpoint.put_text(&format!("{name}.steps"), adam.steps);
}

fn get_adam(checkpoint: &Checkpoint, name: &str, adam: &mut Adam) -> Result<(), CheckpointError> {
    let count = adam.first_moment.len();
    adam.first_moment = checkpoint.f64(&format!("{name}.first_moment"), count)?;
    adam.second_moment = checkpoint.f64(&format!("{name}.second_moment"), count)?;
    adam.steps = checkpoint.text(&format!("{name}.steps"))?;
    Ok(())
}

/// Why a checkpoint was not taken up.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error(transparent)]
    Train(#[from] TrainError),
}
