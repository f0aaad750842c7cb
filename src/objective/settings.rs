//! The experiment file's table `[objective]`.

use serde::{Deserialize, Serialize};

use super::{Alpha, ControlVariate, Estimator, Loss, Objective};

/// Keys of the table `[objective]`. A key that the objective has no use for is an error, not ignored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// What is minimised. `reverse_kl` if not given.
    #[serde(default)]
    pub kind: Kind,
    /// Control variate of `reverse_kl` and of the reverse part of `alpha_kl`.
    #[serde(default)]
    pub control_variate: ControlVariate,
    /// Weight of the term on backward samples: a number in [0, 1], "paper" (1 in the first half of the run, then
    /// linearly down to 0) or points [fraction of the run, alpha]. Required by `alpha_kl` and `alpha_tb`; 0 if not
    /// given for `regression` and `log_variance`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alpha: Option<Alpha>,
    /// Loss of `regression`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<LossName>,
    /// Where the Huber loss turns from a parabola into a line; positive. 1 if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delta: Option<f64>,
    /// The a of Linex(a), not 0. 1 (forward KL's) if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<f64>,
    /// The a of `renyi` and `tsallis`, positive and not 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub divergence_order: Option<f64>,
}

impl Default for Settings {
    /// Reverse KL with the leave-one-out control variate.
    fn default() -> Self {
        Self { control_variate: ControlVariate::LeaveOneOut, ..Self::new(Kind::ReverseKl) }
    }
}

/// What is minimised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// KL(P_F || pi P_B) on forward samples.
    #[default]
    ReverseKl,
    /// KL(pi P_B || P_F) on samples of the target or data.
    ForwardKl,
    /// KL(pi P_B || P_F) on forward samples, by self-normalised importance sampling.
    SnisForwardKl,
    /// (1 - alpha) `reverse_kl` + alpha `forward_kl`.
    AlphaKl,
    /// Mean squared residual of zeta - log w on forward samples.
    TrajectoryBalance,
    /// (1 - alpha) trajectory balance on forward samples + alpha trajectory balance on backward samples.
    AlphaTb,
    /// Variance of log w.
    LogVariance,
    /// Mean of another loss of the residual zeta - log w.
    Regression,
    /// Renyi divergence of P_F from pi P_B on forward samples.
    Renyi,
    /// Tsallis divergence of P_F from pi P_B on forward samples.
    Tsallis,
}

/// Names of the regression losses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossName {
    Squared,
    HalfSquared,
    Huber,
    Linex,
    ShiftedCosh,
}

impl Settings {
    /// This objective with nothing else set.
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            control_variate: ControlVariate::None,
            alpha: None,
            loss: None,
            delta: None,
            scale: None,
            divergence_order: None,
        }
    }

    /// The objective, for batches of `batch` trajectories.
    ///
    /// # Errors
    /// Names the key, what it was, and what is allowed.
    pub fn objective(&self, batch: usize) -> Result<Objective, String> {
        let alpha = self.alpha()?;
        let objective = match self.kind {
            Kind::ReverseKl => forward(Estimator::ReverseKl(self.control_variate)),
            Kind::ForwardKl => {
                Objective { forward: None, backward: Some(Estimator::ForwardKl), alpha: Alpha::Fixed(1.0) }
            }
            Kind::SnisForwardKl => forward(Estimator::SnisForwardKl),
            Kind::AlphaKl => Objective {
                forward: Some(Estimator::ReverseKl(self.control_variate)),
                backward: Some(Estimator::ForwardKl),
                alpha,
            },
            Kind::TrajectoryBalance => forward(Estimator::Regression(Loss::Squared)),
            Kind::AlphaTb => both(Estimator::Regression(Loss::Squared), alpha),
            Kind::LogVariance => both(Estimator::LogVariance, alpha),
            Kind::Regression => both(Estimator::Regression(self.loss()?), alpha),
            Kind::Renyi => forward(Estimator::Renyi { order: self.order()? }),
            Kind::Tsallis => forward(Estimator::Tsallis { order: self.order()? }),
        };
        self.refuse_what_has_no_use()?;
        let estimators = objective.forward.iter().chain(&objective.backward);
        match estimators.filter_map(Estimator::refuses_one).next() {
            Some(reason) if batch == 1 => {
                Err(format!("training.batch = 1: {} needs at least 2, {reason}", self.culprit()))
            }
            _ => Ok(objective),
        }
    }

    fn alpha(&self) -> Result<Alpha, String> {
        match (&self.alpha, self.kind) {
            (Some(alpha), _) => match alpha.check() {
                Ok(()) => Ok(alpha.clone()),
                Err(allowed) => Err(format!("objective.alpha = {}: {allowed}", shown(alpha))),
            },
            (None, Kind::AlphaKl | Kind::AlphaTb) => Err(format!(
                "objective.alpha is missing: objective.kind = {} needs a number in [0, 1], \"paper\" or points",
                shown(&self.kind)
            )),
            (None, _) => Ok(Alpha::Fixed(0.0)),
        }
    }

    fn loss(&self) -> Result<Loss, String> {
        let name = self.loss.ok_or(
            "objective.loss is missing: objective.kind = \"regression\" needs \
             \"squared\", \"half_squared\", \"huber\", \"linex\" or \"shifted_cosh\"",
        )?;
        Ok(match name {
            LossName::Squared => Loss::Squared,
            LossName::HalfSquared => Loss::HalfSquared,
            LossName::Huber => {
                let threshold = self.delta.unwrap_or(1.0);
                if !(threshold.is_finite() && threshold > 0.0) {
                    return Err(format!("objective.delta = {threshold}: must be positive and finite"));
                }
                Loss::Huber { threshold }
            }
            LossName::Linex => {
                let scale = self.scale.unwrap_or(1.0);
                if !(scale.is_finite() && scale != 0.0) {
                    return Err(format!(
                        "objective.scale = {scale}: must be finite and not 0, where Linex(a) has no value"
                    ));
                }
                Loss::Linex { scale }
            }
            LossName::ShiftedCosh => Loss::ShiftedCosh,
        })
    }

    fn order(&self) -> Result<f64, String> {
        let name = shown(&self.kind);
        match self.divergence_order {
            None => Err(format!(
                "objective.divergence_order is missing: objective.kind = {name} needs it, positive and not 1"
            )),
            Some(order) if order == 1.0 => Err(format!(
                "objective.divergence_order = {order}: must not be 1, where {name} is reverse KL: \
                 use objective.kind = \"reverse_kl\""
            )),
            Some(order) if !(order.is_finite() && order > 0.0) => {
                Err(format!("objective.divergence_order = {order}: must be positive and finite, and not 1"))
            }
            Some(order) => Ok(order),
        }
    }

    fn refuse_what_has_no_use(&self) -> Result<(), String> {
        let control_variate = (self.control_variate != ControlVariate::None).then(|| shown(&self.control_variate));
        let has_alpha = matches!(self.kind, Kind::AlphaKl | Kind::AlphaTb | Kind::Regression | Kind::LogVariance);
        let is_regression = self.kind == Kind::Regression;
        let has_order = matches!(self.kind, Kind::Renyi | Kind::Tsallis);
        let keys = [
            ("control_variate", control_variate, self.has_control_variate(), "kind = \"reverse_kl\" or \"alpha_kl\""),
            (
                "alpha",
                self.alpha.as_ref().map(shown),
                has_alpha,
                "kind = \"alpha_kl\", \"alpha_tb\", \"regression\" or \"log_variance\"",
            ),
            ("loss", self.loss.as_ref().map(shown), is_regression, "kind = \"regression\""),
            ("delta", self.delta.as_ref().map(shown), self.loss == Some(LossName::Huber), "loss = \"huber\""),
            ("scale", self.scale.as_ref().map(shown), self.loss == Some(LossName::Linex), "loss = \"linex\""),
            (
                "divergence_order",
                self.divergence_order.as_ref().map(shown),
                has_order,
                "kind = \"renyi\" or \"tsallis\"",
            ),
        ];
        for (key, found, has_use, users) in keys {
            if let (Some(found), false) = (found, has_use) {
                let kind = shown(&self.kind);
                return Err(format!(
                    "objective.{key} = {found}: only goes with objective.{users}; here objective.kind = {kind}"
                ));
            }
        }
        Ok(())
    }

    fn has_control_variate(&self) -> bool {
        matches!(self.kind, Kind::ReverseKl | Kind::AlphaKl)
    }

    /// The key that says how the gradient is estimated.
    fn culprit(&self) -> String {
        if self.has_control_variate() {
            format!("objective.control_variate = {}", shown(&self.control_variate))
        } else {
            format!("objective.kind = {}", shown(&self.kind))
        }
    }
}

fn forward(estimator: Estimator) -> Objective {
    Objective { forward: Some(estimator), backward: None, alpha: Alpha::Fixed(0.0) }
}

fn both(estimator: Estimator, alpha: Alpha) -> Objective {
    Objective { forward: Some(estimator), backward: Some(estimator), alpha }
}

/// A value as the experiment file writes it.
fn shown(value: &impl Serialize) -> String {
    toml::Value::try_from(value).map_or_else(|error| error.to_string(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objective::{Schedule, Source};
    use crate::schedule::Progress;

    fn settings(text: &str) -> Settings {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn every_kind_gives_its_estimators() {
        let squared = Estimator::Regression(Loss::Squared);
        let reverse = |control_variate| Some(Estimator::ReverseKl(control_variate));
        let cases = [
            ("kind = 'reverse_kl'", reverse(ControlVariate::None), None),
            (
                "kind = 'reverse_kl'\ncontrol_variate = 'optimal_per_parameter_leave_one_out'",
                reverse(ControlVariate::OptimalPerParameterLeaveOneOut),
                None,
            ),
            ("kind = 'forward_kl'", None, Some(Estimator::ForwardKl)),
            ("kind = 'snis_forward_kl'", Some(Estimator::SnisForwardKl), None),
            (
                "kind = 'alpha_kl'\nalpha = 0.25\ncontrol_variate = 'leave_one_out_log_z'",
                reverse(ControlVariate::LeaveOneOutLogZ),
                Some(Estimator::ForwardKl),
            ),
            ("kind = 'trajectory_balance'", Some(squared), None),
            ("kind = 'alpha_tb'\nalpha = 0.25", Some(squared), Some(squared)),
            ("kind = 'log_variance'\nalpha = 0.25", Some(Estimator::LogVariance), Some(Estimator::LogVariance)),
            ("kind = 'regression'\nloss = 'squared'", Some(squared), None),
            ("kind = 'renyi'\ndivergence_order = 2", Some(Estimator::Renyi { order: 2.0 }), None),
            ("kind = 'tsallis'\ndivergence_order = 0.5", Some(Estimator::Tsallis { order: 0.5 }), None),
        ];
        for (text, forward, backward) in cases {
            let settings = settings(text);
            let objective = settings.objective(2).unwrap();
            let found = |source| {
                let terms = objective.terms(Progress { iteration: 0, total: 9 });
                terms.into_iter().find(|term| term.source == source).map(|term| term.estimator)
            };
            assert_eq!(found(Source::Forward), forward, "{text}");
            assert_eq!(found(Source::Backward), backward, "{text}");
            assert_eq!(objective.needs(Source::Backward), backward.is_some(), "{text}");
            assert_eq!(objective.needs_reward(), text != "kind = 'forward_kl'", "{text}");
            let written = toml::to_string(&settings).unwrap();
            assert_eq!(self::settings(&written), settings, "{written}");
        }
    }

    #[test]
    fn losses_have_their_parameters() {
        let cases = [
            ("loss = 'half_squared'", Loss::HalfSquared),
            ("loss = 'huber'", Loss::Huber { threshold: 1.0 }),
            ("loss = 'huber'\ndelta = 2", Loss::Huber { threshold: 2.0 }),
            ("loss = 'linex'", Loss::Linex { scale: 1.0 }),
            ("loss = 'linex'\nscale = -0.5", Loss::Linex { scale: -0.5 }),
            ("loss = 'shifted_cosh'", Loss::ShiftedCosh),
        ];
        for (text, loss) in cases {
            let objective = settings(&format!("kind = 'regression'\n{text}")).objective(1).unwrap();
            assert_eq!(objective, both(Estimator::Regression(loss), Alpha::Fixed(0.0)), "{text}");
            assert!(objective.learns_zeta() && !objective.needs(Source::Backward));
        }
    }

    #[test]
    fn an_iteration_has_the_terms_whose_weight_is_not_zero() {
        let objective =
            settings("kind = 'alpha_kl'\ncontrol_variate = 'learned'\nalpha = 'paper'").objective(4).unwrap();
        let weights = |iteration| -> Vec<(Source, f64)> {
            let terms = objective.terms(Progress { iteration, total: 9 });
            terms.into_iter().map(|term| (term.source, term.weight)).collect()
        };
        assert_eq!(weights(4), [(Source::Backward, 1.0)]);
        assert_eq!(weights(5), [(Source::Forward, 0.25), (Source::Backward, 0.75)]);
        assert_eq!(weights(8), [(Source::Forward, 1.0)]);
        assert!(objective.needs(Source::Forward) && objective.needs(Source::Backward) && objective.learns_zeta());
        let fixed = settings("kind = 'alpha_kl'\nalpha = 1").objective(4).unwrap();
        assert!(!fixed.needs(Source::Forward) && fixed.needs(Source::Backward) && !fixed.learns_zeta());
        assert!(!fixed.needs_reward(), "alpha = 1 is forward KL");
        assert!(settings("kind = 'alpha_tb'\nalpha = 1").objective(4).unwrap().needs_reward());
        assert_eq!(settings("kind = 'alpha_tb'\nalpha = 'paper'").alpha, Some(Alpha::Named(Schedule::Paper)));
    }

    #[test]
    fn what_is_out_of_range_is_refused_by_name() {
        let cases = [
            ("kind = 'alpha_kl'\nalpha = 1.5", "objective.alpha = 1.5: must be in [0, 1]"),
            ("kind = 'alpha_tb'\nalpha = nan", "objective.alpha = nan: must be in [0, 1]"),
            ("kind = 'alpha_tb'", "objective.alpha is missing"),
            ("kind = 'alpha_tb'\nalpha = []", "objective.alpha = []: needs at least one point"),
            ("kind = 'alpha_tb'\nalpha = [[0, 1], [2, 0]]", "objective.alpha = [[0.0, 1.0], [2.0, 0.0]]: fractions"),
            ("kind = 'alpha_tb'\nalpha = [[0.5, 1], [0.5, 0]]", "must increase"),
            ("kind = 'trajectory_balance'\nalpha = 0.5", "objective.alpha = 0.5: only goes with"),
            (
                "kind = 'trajectory_balance'\ncontrol_variate = 'learned'",
                "objective.control_variate = \"learned\": only goes with objective.kind = \"reverse_kl\" or \"alpha_kl\"",
            ),
            ("kind = 'regression'", "objective.loss is missing"),
            ("kind = 'regression'\nloss = 'linex'\nscale = 0", "objective.scale = 0: must be finite and not 0"),
            ("kind = 'regression'\nloss = 'linex'\nscale = inf", "objective.scale = inf"),
            ("kind = 'regression'\nloss = 'huber'\ndelta = 0", "objective.delta = 0: must be positive"),
            ("kind = 'regression'\nloss = 'huber'\nscale = 1", "objective.scale = 1.0: only goes with objective.loss"),
            ("kind = 'regression'\nloss = 'linex'\ndelta = 1", "objective.delta = 1.0: only goes with objective.loss"),
            ("kind = 'reverse_kl'\nloss = 'linex'", "objective.loss = \"linex\": only goes with"),
            ("kind = 'reverse_kl'\ndivergence_order = 2", "objective.divergence_order = 2.0: only goes with"),
            ("kind = 'renyi'", "objective.divergence_order is missing"),
            ("kind = 'renyi'\ndivergence_order = 1", "objective.divergence_order = 1: must not be 1"),
            ("kind = 'tsallis'\ndivergence_order = 0", "objective.divergence_order = 0: must be positive"),
            ("kind = 'tsallis'\ndivergence_order = -0.5", "objective.divergence_order = -0.5: must be positive"),
            ("kind = 'tsallis'\ndivergence_order = nan", "objective.divergence_order = NaN: must be positive"),
        ];
        for (text, expected) in cases {
            let message = settings(text).objective(8).unwrap_err();
            assert!(message.contains(expected), "{text}: {message}");
        }
    }

    #[test]
    fn a_batch_of_one_is_refused_where_it_says_nothing() {
        let with = |name: &str| format!("kind = 'reverse_kl'\ncontrol_variate = '{name}'");
        for name in ["leave_one_out", "leave_one_out_log_z", "optimal", "optimal_per_parameter_leave_one_out"] {
            let message = settings(&with(name)).objective(1).unwrap_err();
            let expected = format!("training.batch = 1: objective.control_variate = \"{name}\" needs at least 2");
            assert!(message.starts_with(&expected), "{message}");
        }
        for text in ["kind = 'log_variance'", "kind = 'snis_forward_kl'", "kind = 'renyi'\ndivergence_order = 2"] {
            let message = settings(text).objective(1).unwrap_err();
            assert!(message.starts_with("training.batch = 1: objective.kind = "), "{message}");
            assert!(settings(text).objective(2).is_ok());
        }
        for text in [with("none"), with("learned"), "kind = 'forward_kl'".into(), "kind = 'trajectory_balance'".into()]
        {
            assert!(settings(&text).objective(1).is_ok(), "{text}");
        }
    }

    #[test]
    fn unknown_keys_and_values_are_refused() {
        let cases = [
            ("kind = 'elbo'", "unknown variant `elbo`"),
            ("kind = 'reverse_kl'\nalhpa = 1", "unknown field `alhpa`"),
            ("kind = 'alpha_kl'\nalpha = 'none'", "a number in [0, 1], \"paper\", or points"),
        ];
        for (text, expected) in cases {
            let message = toml::from_str::<Settings>(text).unwrap_err().to_string();
            assert!(message.contains(expected), "{text}: {message}");
        }
        // Without a kind it is reverse KL, which takes no alpha.
        let message = settings("alpha = 1").objective(2).unwrap_err();
        assert!(message.starts_with("objective.alpha = 1.0: only goes with"), "{message}");
        assert!(settings("control_variate = 'learned'").objective(2).is_ok());
        let message = toml::from_str::<Settings>("kind = 'alpha_kl'\nalpha = 'late'").unwrap_err().to_string();
        assert!(message.contains("a number in [0, 1], \"paper\", or points"), "{message}");
    }
}
