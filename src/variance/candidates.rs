//! The estimators that a comparison knows, by name.

use crate::objective::{ControlVariate, Kind, LossName, OutOfRange, Settings, Term};
use crate::schedule::Progress;

/// What an estimator estimates, which says what its bias is measured against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Aim {
    /// The gradient of KL(P_F || pi P_B).
    ReverseKl,
    /// The gradient of KL(pi P_B || P_F).
    ForwardKl,
    /// The gradient of something of its own.
    Own,
}

/// One estimator of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    pub name: String,
    pub term: Term,
    pub aim: Aim,
    /// What its gradient is multiplied by to be one of its aim: 1/2 for trajectory balance and log-variance.
    pub scale: f64,
}

/// Names without a parameter.
const NAMES: [&str; 15] = [
    "none",
    "learned",
    "leave-one-out",
    "leave-one-out-log-z",
    "optimal",
    "optimal-leave-one-out",
    "optimal-per-parameter",
    "optimal-per-parameter-leave-one-out",
    "tb",
    "log-variance",
    "snis",
    "forward-kl",
    "half-squared",
    "huber",
    "shifted-cosh",
];
/// Names with a number: `renyi-0.5`.
const FAMILIES: [&str; 4] = ["renyi-", "tsallis-", "linex-", "huber-"];

/// What is compared if nothing is asked for; "forward-kl" only where the target can be sampled.
pub const DEFAULT: [&str; 16] = [
    "none",
    "learned",
    "leave-one-out",
    "leave-one-out-log-z",
    "optimal",
    "optimal-leave-one-out",
    "optimal-per-parameter",
    "optimal-per-parameter-leave-one-out",
    "tb",
    "log-variance",
    "snis",
    "forward-kl",
    "renyi-0.5",
    "renyi-2",
    "tsallis-0.5",
    "huber",
];

impl Candidate {
    /// The estimator of this name, for batches of `batch` trajectories.
    ///
    /// # Errors
    /// Says what names there are, or what is wrong with the number or the batch.
    pub fn parse(name: &str, batch: usize) -> Result<Self, OutOfRange> {
        let settings = settings(name).ok_or_else(|| {
            let families = FAMILIES.map(|family| format!("{family}NUMBER"));
            let (names, families) = (NAMES.join(", "), families.join(", "));
            OutOfRange::new(format!("--objectives: unknown name {name:?}; there are {names}, {families}"))
        })?;
        let objective =
            settings.objective(batch).map_err(|error| OutOfRange::new(format!("--objectives {name}: {error}")))?;
        let (aim, scale) = match settings.kind {
            Kind::ReverseKl => (Aim::ReverseKl, 1.0),
            Kind::TrajectoryBalance | Kind::LogVariance => (Aim::ReverseKl, 0.5),
            Kind::Regression if settings.loss == Some(LossName::HalfSquared) => (Aim::ReverseKl, 1.0),
            Kind::ForwardKl | Kind::SnisForwardKl => (Aim::ForwardKl, 1.0),
            _ => (Aim::Own, 1.0),
        };
        let term = objective.terms(Progress { iteration: 0, total: 1 }).swap_remove(0);
        Ok(Self { name: name.into(), term, aim, scale })
    }
}

/// The table `[objective]` that a name stands for; none if there is no such name.
fn settings(name: &str) -> Option<Settings> {
    let reverse =
        |control_variate| Settings { control_variate: Some(control_variate), ..Settings::new(Kind::ReverseKl) };
    let regression = |loss| Settings { loss: Some(loss), ..Settings::new(Kind::Regression) };
    Some(match name {
        "none" => reverse(ControlVariate::None),
        "learned" => reverse(ControlVariate::Learned),
        "leave-one-out" => reverse(ControlVariate::LeaveOneOut),
        "leave-one-out-log-z" => reverse(ControlVariate::LeaveOneOutLogZ),
        "optimal" => reverse(ControlVariate::Optimal),
        "optimal-leave-one-out" => reverse(ControlVariate::OptimalLeaveOneOut),
        "optimal-per-parameter" => reverse(ControlVariate::OptimalPerParameter),
        "optimal-per-parameter-leave-one-out" => reverse(ControlVariate::OptimalPerParameterLeaveOneOut),
        "tb" => Settings::new(Kind::TrajectoryBalance),
        "log-variance" => Settings::new(Kind::LogVariance),
        "snis" => Settings::new(Kind::SnisForwardKl),
        "forward-kl" => Settings::new(Kind::ForwardKl),
        "half-squared" => regression(LossName::HalfSquared),
        "huber" => regression(LossName::Huber),
        "shifted-cosh" => regression(LossName::ShiftedCosh),
        _ => {
            let family = FAMILIES.into_iter().find(|family| name.starts_with(family))?;
            let number = Some(name[family.len()..].parse().ok()?);
            match family {
                "renyi-" => Settings { divergence_order: number, ..Settings::new(Kind::Renyi) },
                "tsallis-" => Settings { divergence_order: number, ..Settings::new(Kind::Tsallis) },
                "linex-" => Settings { scale: number, ..regression(LossName::Linex) },
                _ => Settings { delta: number, ..regression(LossName::Huber) },
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_an_estimator() {
        for name in NAMES.into_iter().chain(DEFAULT).chain(["linex-1", "linex--0.5", "huber-2.5", "tsallis-3"]) {
            let candidate = Candidate::parse(name, 2).unwrap();
            assert_eq!(candidate.name, name);
            assert_eq!(candidate.scale == 0.5, ["tb", "log-variance"].contains(&name));
        }
        assert_eq!(Candidate::parse("half-squared", 2).unwrap().aim, Aim::ReverseKl);
        assert_eq!(Candidate::parse("snis", 2).unwrap().aim, Aim::ForwardKl);
        assert_eq!(Candidate::parse("renyi-2", 2).unwrap().aim, Aim::Own);
    }

    #[test]
    fn what_is_no_estimator_is_refused_with_the_reason() {
        let cases = [
            ("vimco", 2, "unknown name \"vimco\"; there are none, learned"),
            ("renyi-", 2, "unknown name"),
            ("renyi-1", 2, "must not be 1"),
            ("tsallis-0", 2, "must be positive"),
            ("linex-0", 2, "must be finite and not 0"),
            ("optimal-leave-one-out", 1, "needs at least 2"),
        ];
        for (name, batch, expected) in cases {
            let message = Candidate::parse(name, batch).unwrap_err().to_string();
            assert!(message.contains(expected), "{name}: {message}");
        }
    }
}
