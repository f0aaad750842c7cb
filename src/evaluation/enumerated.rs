//! A policy against its target, object by object.

use super::EvaluationError;
use crate::config::Precision;
use crate::metrics::{exact, marginal};
use crate::network::{Mlp, Real};
use crate::process::{Head, Objects, Process, SiteFilling, unfold_log_probabilities};
use crate::stop::Stopped;
use crate::targets::TargetError;
use crate::trainer::Trainer;

/// Objects whose log R is asked for at a time.
const CHUNK: usize = 1 << 14;

/// Whether [`enumerate`] can be asked, or why not.
pub fn allows_enumeration(trainer: &Trainer) -> Result<(), TargetError> {
    let most = marginal::MAXIMUM_SITES;
    let Some(&SiteFilling { sites, values, .. }) = filling(trainer) else {
        return Err(TargetError::unknown("exact probabilities are for site filling in an order of its own"));
    };
    if values != 2 || sites > most {
        return Err(TargetError::Unknown(format!(
            "{sites} sites of {values} values: exact probabilities are for up to {most} sites of 2 values"
        )));
    }
    if !trainer.target().has_reward() {
        return Err(TargetError::unknown("the target has data and no R to compare with"));
    }
    Ok(())
}

/// The exact distribution P_F^T of the policy's objects against R / Z. `progress` is told the fraction done, and ends
/// the work where it fails.
///
/// The policy is asked about all 3^D partial objects on the processor: 90 seconds on two cores for 16 sites and three
/// layers of 256.
///
/// # Panics
/// If [`allows_enumeration`] says no.
pub fn enumerate(
    trainer: &mut Trainer,
    progress: impl FnMut(f64) -> Result<(), Stopped>,
) -> Result<exact::Comparison, EvaluationError> {
    let log_probabilities = match trainer.settings().engine.precision {
        Precision::F32 => log_probabilities::<f32>(trainer, progress)?,
        Precision::F64 => log_probabilities::<f64>(trainer, progress)?,
    };
    let process = filling(trainer).expect("enumeration was allowed").clone();
    let mut log_rewards = vec![0.0; log_probabilities.len()];
    for (index, log_rewards) in log_rewards.chunks_mut(CHUNK).enumerate() {
        let first = index * CHUNK;
        let objects = Objects::numbered(process.sites, process.values, first..first + log_rewards.len());
        log_rewards.copy_from_slice(&super::log_rewards(trainer.target(), &objects)?);
    }
    Ok(exact::compare(&log_probabilities, &log_rewards))
}

/// The process, where it is one whose partial objects can be counted.
fn filling(trainer: &Trainer) -> Option<&SiteFilling> {
    trainer.process().as_site_filling().filter(|process| process.head() == Head::Site)
}

fn log_probabilities<T: Real>(
    trainer: &Trainer,
    mut progress: impl FnMut(f64) -> Result<(), Stopped>,
) -> Result<Vec<f64>, Stopped> {
    let process = filling(trainer).expect("enumeration was allowed");
    let activation = trainer.settings().policy.activation;
    let network = Mlp::<T>::new(trainer.layout().clone(), activation, &trainer.evaluated_parameters());
    let total = marginal::partial_objects(process.sites, process.order) as f64;
    let mut done = 0;
    let made = marginal::log_probabilities(process.sites, process.order, |objects, logits| {
        network.outputs(&marginal::inputs(process, objects), logits);
        if let Some(guide) = trainer.process().guide() {
            marginal::add_increments(process, guide.as_ref(), objects, logits);
        }
        done += objects.len();
        progress(done as f64 / total)
    })?;
    Ok(if trainer.process().is_folded() { unfold_log_probabilities(&made) } else { made })
}
