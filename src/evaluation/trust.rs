//! Whether an evaluation can be trusted: what of it contradicts itself, with samples of the target and without.
//!
//! Effective samples alone hide a lost mode: all weights may be alike where the policy goes, and what it never makes has no
//! weight among them. Samples of the target show it (the EUBO), and so do symmetries: of a policy that lost a mode, the images
//! of its own samples in that mode have log-weights far above the others.

use serde::Serialize;

use super::{Evaluation, EvaluationError, Tempered, backward_log_weights};
use crate::metrics::{Estimate, weights};
use crate::process::Objects;
use crate::stop::Stop;
use crate::trainer::Trainer;

/// Forward samples that symmetries are tried on.
const IMAGES: usize = 1024;

/// Log-weights of the target's samples lie above log Z by about as much as those of the policy's own lie below it, while nothing
/// is missing: so many times as much are a contradiction.
const TIMES: f64 = 5.0;

/// Nats that are none yet, beyond five standard errors: of samples of the target, and of images of the policy's own, which differ
/// by twice its own error.
const SLACK: f64 = 0.1;
const SLACK_OF_IMAGES: f64 = 1.0;

/// The largest tail index at which means of weights are of use (see [`crate::metrics::pareto`]).
const HEAVY: f64 = 0.7;

/// The least number of effective samples that say anything.
const FEW: f64 = 100.0;

/// What a symmetry of the target says of the policy.
#[derive(Clone, Debug, Serialize)]
pub struct Asymmetry {
    /// As the target calls the symmetry.
    pub symmetry: String,
    /// How much larger the log-weight of an image is than that of the forward sample that it is of, on average, in nats: in the
    /// fixed order KL(P_F^T, its image), 0 for a policy that is as symmetric as its target.
    pub nats: f64,
    /// Of the mean.
    pub standard_error: f64,
}

/// Whether the numbers of an evaluation can be trusted, in a sentence.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Verdict {
    /// Whether nothing was found that contradicts them.
    pub trusted: bool,
    /// Why, or why not.
    pub because: String,
}

/// The images of some of the policy's samples under each symmetry of the target, against the samples themselves.
pub(super) fn asymmetries(
    trainer: &mut Trainer,
    samples: &Objects,
    seed: u64,
    stop: &Stop,
) -> Result<Vec<Asymmetry>, EvaluationError> {
    let symmetries = trainer.target().symmetries();
    if symmetries.is_empty() {
        return Ok(Vec::new());
    }
    let count = samples.count().min(IMAGES);
    let own = Objects::new(samples.sites(), samples.values()[..count * samples.sites()].to_vec());
    let before = backward_log_weights(trainer, seed, &own, stop)?;
    let mut found = Vec::new();
    for symmetry in symmetries {
        let mut values = own.values().to_vec();
        values.chunks_exact_mut(own.sites()).for_each(|object| (symmetry.apply)(object));
        let after = backward_log_weights(trainer, seed, &Objects::new(own.sites(), values), stop)?;
        let differences: Vec<f64> = after.iter().zip(&before).map(|(after, before)| after - before).collect();
        let Estimate { value: nats, standard_error } = Estimate::mean(&differences);
        found.push(Asymmetry { symmetry: symmetry.name.into(), nats, standard_error });
    }
    Ok(found)
}

/// By how much the first half of the samples estimates log Z above the second half, in standard errors of the difference.
pub(super) fn halves(log_weights: &[f64]) -> f64 {
    let (first, second) = log_weights.split_at(log_weights.len() / 2);
    let [first, second] = [first, second].map(weights::log_z);
    (first.value - second.value) / first.standard_error.hypot(second.standard_error)
}

/// What the numbers of an evaluation say of themselves; none without any R.
pub(super) fn verdict(found: &Evaluation) -> Option<Verdict> {
    if found.log_z_estimate.is_nan() {
        return None;
    }
    let doubts = doubts(found);
    let because = if doubts.is_empty() { support(found) } else { doubts.join("; ") };
    Some(Verdict { trusted: doubts.is_empty(), because })
}

/// Whether a number is above a bound, or none at all.
fn beyond(number: f64, bound: f64) -> bool {
    number.is_nan() || number > bound
}

fn doubts(found: &Evaluation) -> Vec<String> {
    let mut doubts = Vec::new();
    let reference = found.log_z_exact.unwrap_or(found.log_z_estimate);
    let own = TIMES * (found.log_z_estimate - found.elbo);
    if let (Some(eubo), Some(error)) = (found.eubo, found.eubo_standard_error)
        && beyond(eubo - reference, SLACK + 5.0 * error + own)
    {
        let looks = if found.ess_fraction > 0.05 {
            format!(", which {:.0}% effective samples do not show", 100.0 * found.ess_fraction)
        } else {
            String::new()
        };
        let above = eubo - reference;
        doubts.push(format!(
            "samples of the target have log-weights {above:.2} nats above log Z, so the policy misses a part of the target, \
             be it a mode or what is rare{looks}"
        ));
    }
    for Asymmetry { symmetry, nats, standard_error } in &found.asymmetries {
        if beyond(*nats, SLACK_OF_IMAGES + 5.0 * standard_error + own) {
            doubts.push(format!(
                "under {symmetry}, which changes nothing for the target, the policy's own samples become {nats:.1} nats too \
                 unlikely: a mode is probably missing"
            ));
        }
    }
    if let Some(Tempered { log_weight, standard_error }) = found.tempered
        && beyond(log_weight - reference, SLACK + 5.0 * standard_error + own)
    {
        let above = log_weight - reference;
        doubts.push(format!(
            "short tempering runs from the policy's own samples end at log-weights {above:.2} nats above log Z, so the policy \
             misses what they find"
        ));
    }
    if let Some(exact) = found.log_z_exact
        && beyond((found.log_z_estimate - exact).abs(), 0.05 + 5.0 * found.log_z_standard_error)
    {
        let off = (found.log_z_estimate - exact).abs();
        doubts.push(format!("the estimate of log Z is off by {off:.3}, more than its error allows"));
    }
    if let Some(k) = found.pareto_k.filter(|k| *k > HEAVY) {
        doubts.push(format!("a few weights dominate the estimate of log Z (Pareto tail index {k:.2}, above {HEAVY})"));
    }
    if found.halves.abs() > 5.0 {
        doubts.push("the two halves of the samples disagree about log Z".into());
    }
    if found.ess < FEW {
        doubts.push(format!("{:.0} effective samples are too few", found.ess));
    }
    doubts
}

/// What was looked at, and agrees.
fn support(found: &Evaluation) -> String {
    let mut agree = Vec::new();
    if found.log_z_exact.is_some() {
        agree.push("the exact log Z");
    }
    if found.eubo.is_some() {
        agree.push("samples of the target");
    }
    if !found.asymmetries.is_empty() {
        agree.push("the target's symmetries");
    }
    if found.tempered.is_some() {
        agree.push("short tempering runs");
    }
    agree.push("the tail of the weights");
    let (last, others) = agree.split_last().expect("one at least");
    let list = if others.is_empty() { (*last).to_string() } else { format!("{} and {last}", others.join(", ")) };
    let verb = if others.is_empty() { "agrees" } else { "agree" };
    let caution = if found.eubo.is_none() && found.asymmetries.is_empty() {
        ", but without samples of the target a mode that was never visited cannot be seen"
    } else {
        ""
    };
    format!("{list} {verb} with it{caution}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound() -> Evaluation {
        Evaluation {
            samples: 8192,
            log_z_exact: Some(10.0),
            log_z_estimate: 10.01,
            log_z_standard_error: 0.01,
            elbo: 9.8,
            eubo: Some(10.2),
            eubo_standard_error: Some(0.02),
            ess: 5000.0,
            ess_fraction: 0.61,
            pareto_k: Some(0.3),
            ..Evaluation::default()
        }
    }

    #[test]
    fn what_contradicts_itself_is_said_and_why() {
        let verdict = |change: fn(&mut Evaluation)| {
            let mut evaluation = sound();
            change(&mut evaluation);
            let verdict = verdict(&evaluation).unwrap();
            (verdict.trusted, verdict.because)
        };
        let (trusted, because) = verdict(|_| ());
        assert!(
            trusted && because.contains("the exact log Z, samples of the target and the tail of the weights"),
            "{because}"
        );
        let unseen = |found: &mut Evaluation| (found.eubo, found.log_z_exact) = (None, None);
        let (trusted, because) = verdict(unseen);
        assert!(trusted && because.contains("cannot be seen"), "{because}");

        // The lost mode of 10 x 10 at K = 1: one of two modes, 26% effective samples.
        type Change = fn(&mut Evaluation);
        let cases: [(Change, &str); 10] = [
            (|found| (found.eubo, found.ess_fraction) = (Some(500.0), 0.26), "26% effective samples do not show"),
            (|found| (found.eubo, found.ess_fraction) = (Some(12.0), 0.01), "misses a part of the target"),
            // Single flipped spins lost at K = 1, 3% of the distribution.
            (
                |found| {
                    (found.log_z_exact, found.log_z_estimate, found.elbo) = (Some(200.728), 200.695, 200.6947);
                    (found.eubo, found.ess_fraction) = (Some(201.485), 1.0);
                },
                "100% effective samples do not show",
            ),
            (
                |found| {
                    found.eubo = None;
                    found.tempered = Some(Tempered { log_weight: 14.0, standard_error: 0.1 });
                },
                "end at log-weights 4.00 nats above",
            ),
            (|found| found.eubo = Some(f64::INFINITY), "misses a part of the target"),
            (|found| found.log_z_estimate = 9.3, "off by 0.700"),
            (|found| found.pareto_k = Some(0.9), "tail index 0.90"),
            (|found| found.halves = -6.0, "halves"),
            (|found| found.ess = 12.0, "12 effective samples are too few"),
            (
                |found| {
                    let symmetry = "the flip of all spins".into();
                    found.asymmetries = vec![Asymmetry { symmetry, nats: 200.0, standard_error: 1.0 }];
                },
                "under the flip of all spins",
            ),
        ];
        for (change, words) in cases {
            let (trusted, because) = verdict(change);
            assert!(!trusted && because.contains(words), "{because}");
        }
    }

    #[test]
    fn without_any_reward_there_is_nothing_to_trust() {
        assert!(verdict(&Evaluation { log_z_estimate: f64::NAN, ..sound() }).is_none());
    }

    #[test]
    fn halves_that_agree_are_within_some_standard_errors() {
        let log_weights: Vec<f64> = (0..8192).map(|i| (1.3 * f64::from(i)).sin()).collect();
        assert!(halves(&log_weights).abs() < 3.0);
        let drifting: Vec<f64> = (0..8192).map(|i| f64::from(i) / 8192.0).collect();
        assert!(halves(&drifting) < -20.0);
    }
}
