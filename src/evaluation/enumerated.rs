//! A policy against its target, object by object.

use super::EvaluationError;
use crate::config::Precision;
use crate::engine;
use crate::metrics::{exact, marginal, visits};
use crate::network::{Mlp, Real};
use crate::process::{Head, Objects, Process, SiteFilling, unfold_log_probabilities};
use crate::stop::Stopped;
use crate::targets::TargetError;
use crate::trainer::Trainer;

/// Objects whose log R is asked for at a time.
const CHUNK: usize = 1 << 14;

/// Sites of two values, and states of other processes, up to which it takes a second or two: every evaluation does it then.
const QUICK: (usize, f64) = (12, 2e5);

/// The exact distribution of a policy's objects, and how it compares with the target.
pub struct Enumerated {
    /// log P_F^T of every object, in the order of [`Objects::numbered`].
    pub log_probabilities: Vec<f64>,
    /// Against R / Z.
    pub comparison: exact::Comparison,
}

/// Whether [`enumerate`] can be asked, or why not.
pub fn allows_enumeration(trainer: &Trainer) -> Result<(), TargetError> {
    let process = trainer.process();
    if let Some(&SiteFilling { sites, values, .. }) = filling(trainer) {
        let most = marginal::MAXIMUM_SITES;
        if values != 2 || sites > most {
            return Err(TargetError::Unknown(format!(
                "{sites} sites of {values} values: exact probabilities are for up to {most} sites of 2 values"
            )));
        }
    } else {
        let Some(states) = process.states() else {
            return Err(TargetError::unknown(
                "exact probabilities are for processes that know how many states they have",
            ));
        };
        let objects = (process.values() as f64).powi(process.sites() as i32);
        if states.max(objects) > visits::MOST {
            return Err(TargetError::Unknown(format!(
                "{states} states that lead to {objects} objects: exact probabilities are for up to {} of either",
                visits::MOST
            )));
        }
    }
    if !trainer.target().has_reward() {
        return Err(TargetError::unknown("the target has data and no R to compare with"));
    }
    Ok(())
}

/// Whether [`enumerate`] can be asked and takes no longer than a second or two: for up to 12 sites of two values, and 200,000 states
/// of another process.
pub fn enumerates_quickly(trainer: &Trainer) -> bool {
    let (sites, states) = QUICK;
    let quick = match trainer.process().states().filter(|_| filling(trainer).is_none()) {
        Some(found) => found <= states,
        None => trainer.process().sites() <= sites,
    };
    quick && allows_enumeration(trainer).is_ok()
}

/// The exact distribution P_F^T of the policy's objects against R / Z. `progress` is told the fraction done, and ends
/// the work where it fails.
///
/// The policy is asked about all states on the processor: the 3^D partial objects of 16 sites take 90 seconds on two cores with
/// three layers of 256.
///
/// # Panics
/// If [`allows_enumeration`] says no.
pub fn enumerate(
    trainer: &mut Trainer,
    progress: impl FnMut(f64) -> Result<(), Stopped>,
) -> Result<Enumerated, EvaluationError> {
    let log_probabilities = match trainer.settings().engine.precision {
        Precision::F32 => log_probabilities::<f32>(trainer, progress)?,
        Precision::F64 => log_probabilities::<f64>(trainer, progress)?,
    };
    let process = trainer.process();
    let mut log_rewards = vec![0.0; log_probabilities.len()];
    for (index, log_rewards) in log_rewards.chunks_mut(CHUNK).enumerate() {
        let first = index * CHUNK;
        let objects = Objects::numbered(process.sites(), process.values(), first..first + log_rewards.len());
        log_rewards.copy_from_slice(&engine::log_rewards(trainer.target(), &objects)?);
    }
    let comparison = exact::compare(&log_probabilities, &log_rewards);
    Ok(Enumerated { log_probabilities, comparison })
}

/// The process, where it fills sites in an order of its own: its partial objects are gone through without its rules.
fn filling(trainer: &Trainer) -> Option<&SiteFilling> {
    trainer.process().as_site_filling().filter(|process| process.head() == Head::Site)
}

fn log_probabilities<T: Real>(
    trainer: &Trainer,
    mut progress: impl FnMut(f64) -> Result<(), Stopped>,
) -> Result<Vec<f64>, Stopped> {
    let activation = trainer.settings().policy.activation;
    let network = Mlp::<T>::new(trainer.layout().clone(), activation, &trainer.evaluated_parameters());
    let mut done = 0;
    let Some(filling) = filling(trainer) else {
        let process = trainer.process();
        let total = process.states().expect("enumeration was allowed");
        return visits::log_probabilities(process, |inputs, outputs| {
            network.outputs(inputs, outputs);
            done += outputs.len() / process.outputs();
            progress(done as f64 / total)
        });
    };
    let total = marginal::partial_objects(filling.sites, filling.order) as f64;
    let made = marginal::log_probabilities(filling.sites, filling.order, |objects, logits| {
        network.outputs(&marginal::inputs(filling, objects), logits);
        if let Some(guide) = trainer.process().guide() {
            marginal::add_increments(filling, guide.as_ref(), objects, logits);
        }
        done += objects.len();
        progress(done as f64 / total)
    })?;
    Ok(if trainer.process().is_folded() { unfold_log_probabilities(&made) } else { made })
}
