//! What any engine's log R must be.

use super::EngineError;
use crate::process::Objects;
use crate::targets::Target;

/// Sites of an object that a message shows.
const SHOWN: usize = 256;

/// Refuses what no log R can be, NaN or plus infinity. (Minus infinity is R = 0.) `objects` is asked for them only then:
/// the message shows the first object concerned.
///
/// # Errors
/// `Reward` if there is such a number, or the error of `objects`.
pub fn check_rewards(
    log_reward: &[f64],
    objects: impl FnOnce() -> Result<Objects, EngineError>,
) -> Result<(), EngineError> {
    let bad = |value: &f64| value.is_nan() || *value == f64::INFINITY;
    let Some(index) = log_reward.iter().position(bad) else { return Ok(()) };
    let (found, count, of) =
        (log_reward[index], log_reward.iter().filter(|value| bad(value)).count(), log_reward.len());
    let objects = objects()?;
    let object = objects.row(index);
    let more = if object.len() > SHOWN { format!(" and {} more sites", object.len() - SHOWN) } else { String::new() };
    let shown = &object[..object.len().min(SHOWN)];
    Err(EngineError::Reward(format!(
        "log R is {found} for the object {shown:?}{more} ({count} of {of} objects have no log R): it must be a number, or \
         minus infinity where R = 0. Mend the target; if it is an energy model in training, that has diverged: lower \
         target.energy_learning_rate"
    )))
}

/// log R of each object, by the target itself, checked.
pub(crate) fn log_rewards(target: &dyn Target, objects: &Objects) -> Result<Vec<f64>, EngineError> {
    let mut log_reward = vec![f64::NAN; objects.count()];
    target.log_reward(objects, &mut log_reward);
    check_rewards(&log_reward, || Ok(objects.clone()))?;
    Ok(log_reward)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_zero_rewards_pass_and_all_else_is_named() {
        let objects = || Ok(Objects::new(2, vec![0, 1, 2, 3, 4, 5]));
        assert!(check_rewards(&[-1e300, f64::NEG_INFINITY, f64::MAX], || panic!("nobody asks")).is_ok());
        for (bad, name) in [(f64::NAN, "NaN"), (f64::INFINITY, "inf")] {
            let error = check_rewards(&[0.0, bad, bad], objects).expect_err("not a log R");
            assert!(matches!(error, EngineError::Reward(_)));
            let message = error.to_string();
            for word in [format!("log R is {name} for the object [2, 3] ("), "2 of 3 objects".into()] {
                assert!(message.contains(&word), "{message:?} does not say {word:?}");
            }
        }
        let long = check_rewards(&[f64::NAN], || Ok(Objects::new(300, vec![1; 300]))).unwrap_err().to_string();
        assert!(long.contains("1] and 44 more sites"), "{long}");
    }
}
