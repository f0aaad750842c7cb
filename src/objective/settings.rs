//! The experiment file's table `[objective]`.

use crate::out_of_range::OutOfRange;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    Alpha, BackwardTraining, Balance, ControlVariate, Estimator, FlowMatching, Flows, LogZStart, Loss, Objective,
    Source, Stretches,
};

/// Keys of the table `[objective]`. A key that the objective has no use for is an error, not ignored.
///
/// A key's default depends on the other keys, never on whether the table is there: reading a table fills in whatever
/// it leaves out, so that it is written out whole (see [`Settings::completed`]).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct Settings {
    /// What is minimised. `reverse_kl` if not given.
    #[serde(default)]
    pub kind: Kind,
    /// Control variate of `reverse_kl` and of the reverse part of `alpha_kl`; `leave_one_out` if not given. `none` is
    /// what the other kinds have, with or without the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub control_variate: Option<ControlVariate>,
    /// Weight of the term on backward samples: a number in [0, 1], "paper" (1 in the first half of the run, then
    /// linearly down to 0) or points [fraction of the run, alpha]. Required by `alpha_kl` and `alpha_tb`; 0 if not
    /// given for `regression`, `log_variance` and those of flows' balance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alpha: Option<Alpha>,
    /// Loss of `regression`; of `detailed_balance`, `modified_detailed_balance` and `subtrajectory_balance`, the squared one if not given.
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
    /// The lambda of `subtrajectory_balance`, above 0. 0.9 if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lambda: Option<f64>,
    /// Whether `detailed_balance` and `subtrajectory_balance` learn log F less what the target knows of a partial object, its
    /// intermediate log-reward; false if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forward_looking: Option<bool>,
    /// How a learned backward policy is trained (`policy.backward = "learned"`): "joint", by the objective, if not given, or "tlm", by
    /// the likelihood of forward trajectories.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backward_training: Option<BackwardTraining>,
    /// The iteration from which a learned backward policy stays as it is. Never, if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backward_until: Option<u32>,
    /// Where the learned log Z starts, for objectives that learn one: "first_batch" (if not given) or a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_z_start: Option<LogZStart>,
    /// What training takes in place of any log R below it, that of objects with R = 0 (minus infinity) included; a finite
    /// number. Training takes log R as it is if not given; evaluations always do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_reward_floor: Option<f64>,
}

impl Serialize for Settings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Settings::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Settings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Settings::deserialize(deserializer).map(Settings::completed)
    }
}

impl Default for Settings {
    /// Reverse KL with the leave-one-out control variate.
    fn default() -> Self {
        Self::new(Kind::ReverseKl).completed()
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
    /// Squared residual of the flow through a step, summed over forward samples' steps; or another loss of it.
    DetailedBalance,
    /// That of all stretches of a trajectory, weighed by lambda^length.
    SubtrajectoryBalance,
    /// Detailed balance of the flows R(s) / P_F(stop | s), where every state can stop.
    ModifiedDetailedBalance,
    /// What flows into a state against what flows out, summed over the states of forward samples.
    FlowMatching,
}

/// Names of the regression losses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossName {
    /// [`Loss::Squared`].
    Squared,
    /// [`Loss::HalfSquared`].
    HalfSquared,
    /// [`Loss::Huber`].
    Huber,
    /// [`Loss::Linex`].
    Linex,
    /// [`Loss::ShiftedCosh`].
    ShiftedCosh,
}

impl Settings {
    /// This objective with nothing else set.
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            control_variate: None,
            alpha: None,
            loss: None,
            delta: None,
            scale: None,
            divergence_order: None,
            lambda: None,
            forward_looking: None,
            backward_training: None,
            backward_until: None,
            log_z_start: None,
            log_reward_floor: None,
        }
    }

    /// The same objective with every key that has a default and was left out set to it. What a kind has no use for and
    /// says nothing, `control_variate = "none"`, is taken out.
    pub fn completed(mut self) -> Self {
        if self.has_control_variate() {
            self.control_variate.get_or_insert(ControlVariate::LeaveOneOut);
        } else if self.control_variate == Some(ControlVariate::None) {
            self.control_variate = None;
        }
        if matches!(self.kind, Kind::Regression | Kind::LogVariance) || self.balances_flows() {
            self.alpha.get_or_insert(Alpha::Fixed(0.0));
        }
        if self.kind == Kind::SubtrajectoryBalance {
            self.lambda.get_or_insert(0.9);
        }
        if self.says_flows() {
            self.forward_looking.get_or_insert(false);
        }
        match self.loss {
            Some(LossName::Huber) => _ = self.delta.get_or_insert(1.0),
            Some(LossName::Linex) => _ = self.scale.get_or_insert(1.0),
            _ => {}
        }
        if self.learns_zeta() {
            self.log_z_start.get_or_insert(LogZStart::default());
        }
        self
    }

    /// The objective, for batches of `batch` trajectories.
    ///
    /// # Errors
    /// Names the key, what it was, and what is allowed.
    pub fn objective(&self, batch: usize) -> Result<Objective, OutOfRange> {
        self.clone().completed().build(batch)
    }

    /// The objective of settings that are complete.
    fn build(&self, batch: usize) -> Result<Objective, OutOfRange> {
        let alpha = self.alpha()?;
        let control_variate = self.control_variate.unwrap_or_default();
        let objective = match self.kind {
            Kind::ReverseKl => forward(Estimator::ReverseKl(control_variate)),
            Kind::ForwardKl => Objective::of(Source::Backward, Estimator::ForwardKl),
            Kind::SnisForwardKl => forward(Estimator::SnisForwardKl),
            Kind::AlphaKl => Objective::mixed(Estimator::ReverseKl(control_variate), Estimator::ForwardKl, alpha),
            Kind::TrajectoryBalance => forward(Estimator::Regression(Loss::Squared)),
            Kind::AlphaTb => both(Estimator::Regression(Loss::Squared), alpha),
            Kind::LogVariance => both(Estimator::LogVariance, alpha),
            Kind::Regression => both(Estimator::Regression(self.loss()?), alpha),
            Kind::Renyi => forward(Estimator::Renyi { order: self.order()? }),
            Kind::Tsallis => forward(Estimator::Tsallis { order: self.order()? }),
            Kind::DetailedBalance => both(self.balance(Stretches::Steps)?, alpha),
            Kind::FlowMatching => {
                let loss = if self.loss.is_some() { self.loss()? } else { Loss::Squared };
                both(Estimator::FlowMatching(FlowMatching { loss }), alpha)
            }
            Kind::ModifiedDetailedBalance => both(self.balance(Stretches::Steps)?, alpha),
            Kind::SubtrajectoryBalance => both(self.balance(Stretches::All { lambda: self.lambda()? })?, alpha),
        };
        self.refuse_what_has_no_use()?;
        self.check_log_reward()?;
        match objective.refuses_one() {
            Some(reason) if batch == 1 => {
                Err(OutOfRange::new(format!("training.batch = 1: {} needs at least 2, {reason}", self.culprit())))
            }
            _ => Ok(objective),
        }
    }

    fn alpha(&self) -> Result<Alpha, OutOfRange> {
        match (&self.alpha, self.kind) {
            (Some(alpha), _) => match alpha.check() {
                Ok(()) => Ok(alpha.clone()),
                Err(allowed) => Err(OutOfRange::new(format!("objective.alpha = {}: {allowed}", shown(alpha)))),
            },
            (None, Kind::AlphaKl | Kind::AlphaTb) => Err(OutOfRange::new(format!(
                "objective.alpha is missing: objective.kind = {} needs a number in [0, 1], \"paper\" or points",
                shown(&self.kind)
            ))),
            (None, _) => Ok(Alpha::Fixed(0.0)),
        }
    }

    fn loss(&self) -> Result<Loss, OutOfRange> {
        let name = self.loss.ok_or_else(|| {
            OutOfRange::new(
                "objective.loss is missing: objective.kind = \"regression\" needs \
                 \"squared\", \"half_squared\", \"huber\", \"linex\" or \"shifted_cosh\"",
            )
        })?;
        Ok(match name {
            LossName::Squared => Loss::Squared,
            LossName::HalfSquared => Loss::HalfSquared,
            LossName::Huber => {
                let threshold = self.delta.unwrap_or(1.0);
                if !(threshold.is_finite() && threshold > 0.0) {
                    return Err(OutOfRange::new(format!("objective.delta = {threshold}: must be positive and finite")));
                }
                Loss::Huber { threshold }
            }
            LossName::Linex => {
                let scale = self.scale.unwrap_or(1.0);
                if !(scale.is_finite() && scale != 0.0) {
                    return Err(OutOfRange::new(format!(
                        "objective.scale = {scale}: must be finite and not 0, where Linex(a) has no value"
                    )));
                }
                Loss::Linex { scale }
            }
            LossName::ShiftedCosh => Loss::ShiftedCosh,
        })
    }

    fn balance(&self, stretches: Stretches) -> Result<Estimator, OutOfRange> {
        let loss = if self.loss.is_some() { self.loss()? } else { Loss::Squared };
        let flows = match (self.kind, self.forward_looking) {
            (Kind::ModifiedDetailedBalance, _) => Flows::Stopping,
            (_, Some(true)) => Flows::Forward,
            _ => Flows::Said,
        };
        Ok(Estimator::Balance(Balance { stretches, loss, flows }))
    }

    fn lambda(&self) -> Result<f64, OutOfRange> {
        let lambda = self.lambda.unwrap_or(0.9);
        if lambda.is_finite() && lambda > 0.0 {
            return Ok(lambda);
        }
        Err(OutOfRange::new(format!("objective.lambda = {lambda}: must be positive and finite")))
    }

    fn balances_flows(&self) -> bool {
        self.says_flows() || matches!(self.kind, Kind::ModifiedDetailedBalance | Kind::FlowMatching)
    }

    fn says_flows(&self) -> bool {
        matches!(self.kind, Kind::DetailedBalance | Kind::SubtrajectoryBalance)
    }

    fn order(&self) -> Result<f64, OutOfRange> {
        let name = shown(&self.kind);
        match self.divergence_order {
            None => Err(OutOfRange::new(format!(
                "objective.divergence_order is missing: objective.kind = {name} needs it, positive and not 1"
            ))),
            Some(order) if order == 1.0 => Err(OutOfRange::new(format!(
                "objective.divergence_order = {order}: must not be 1, where {name} is reverse KL: \
                 use objective.kind = \"reverse_kl\""
            ))),
            Some(order) if !(order.is_finite() && order > 0.0) => Err(OutOfRange::new(format!(
                "objective.divergence_order = {order}: must be positive and finite, and not 1"
            ))),
            Some(order) => Ok(order),
        }
    }

    /// Both are logs of a number that is neither 0 nor infinite.
    fn check_log_reward(&self) -> Result<(), OutOfRange> {
        if let Some(start @ LogZStart::Number(number)) = &self.log_z_start
            && !number.is_finite()
        {
            return Err(OutOfRange::new(format!(
                "objective.log_z_start = {}: must be \"first_batch\" or a finite number",
                shown(start)
            )));
        }
        match self.log_reward_floor {
            Some(floor) if !floor.is_finite() => Err(OutOfRange::new(format!(
                "objective.log_reward_floor = {floor}: must be a finite number (leave it out for no floor)"
            ))),
            _ => Ok(()),
        }
    }

    fn refuse_what_has_no_use(&self) -> Result<(), OutOfRange> {
        let has_alpha = matches!(self.kind, Kind::AlphaKl | Kind::AlphaTb | Kind::Regression | Kind::LogVariance)
            || self.balances_flows();
        let is_regression = self.kind == Kind::Regression || self.balances_flows();
        let has_order = matches!(self.kind, Kind::Renyi | Kind::Tsallis);
        let keys = [
            (
                "control_variate",
                self.control_variate.as_ref().map(shown),
                self.has_control_variate(),
                "kind = \"reverse_kl\" or \"alpha_kl\"",
            ),
            (
                "alpha",
                self.alpha.as_ref().map(shown),
                has_alpha,
                "kind = \"alpha_kl\", \"alpha_tb\", \"regression\", \"log_variance\", \"detailed_balance\", \
                 \"modified_detailed_balance\" or \"subtrajectory_balance\"",
            ),
            (
                "loss",
                self.loss.as_ref().map(shown),
                is_regression,
                "kind = \"regression\", \"detailed_balance\" or \"subtrajectory_balance\"",
            ),
            ("delta", self.delta.as_ref().map(shown), self.loss == Some(LossName::Huber), "loss = \"huber\""),
            ("scale", self.scale.as_ref().map(shown), self.loss == Some(LossName::Linex), "loss = \"linex\""),
            (
                "divergence_order",
                self.divergence_order.as_ref().map(shown),
                has_order,
                "kind = \"renyi\" or \"tsallis\"",
            ),
            (
                "lambda",
                self.lambda.as_ref().map(shown),
                self.kind == Kind::SubtrajectoryBalance,
                "kind = \"subtrajectory_balance\"",
            ),
            (
                "forward_looking",
                self.forward_looking.as_ref().map(shown),
                self.says_flows(),
                "kind = \"detailed_balance\" or \"subtrajectory_balance\"",
            ),
            (
                "log_z_start",
                self.log_z_start.as_ref().map(shown),
                self.learns_zeta(),
                "kind = \"trajectory_balance\", \"alpha_tb\" or \"regression\", or with control_variate = \"learned\"",
            ),
        ];
        for (key, found, has_use, users) in keys {
            if let (Some(found), false) = (found, has_use) {
                let kind = shown(&self.kind);
                return Err(OutOfRange::new(format!(
                    "objective.{key} = {found}: only goes with objective.{users}; here objective.kind = {kind}"
                )));
            }
        }
        Ok(())
    }

    fn has_control_variate(&self) -> bool {
        matches!(self.kind, Kind::ReverseKl | Kind::AlphaKl)
    }

    fn learns_zeta(&self) -> bool {
        let regresses = matches!(self.kind, Kind::TrajectoryBalance | Kind::AlphaTb | Kind::Regression);
        regresses || (self.has_control_variate() && self.control_variate == Some(ControlVariate::Learned))
    }

    /// The key that says how the gradient is estimated.
    fn culprit(&self) -> String {
        if self.has_control_variate() {
            format!("objective.control_variate = {}", shown(&self.control_variate.unwrap_or_default()))
        } else {
            format!("objective.kind = {}", shown(&self.kind))
        }
    }
}

fn forward(estimator: Estimator) -> Objective {
    Objective::of(Source::Forward, estimator)
}

fn both(estimator: Estimator, alpha: Alpha) -> Objective {
    Objective::mixed(estimator.clone(), estimator, alpha)
}

/// A value as the experiment file writes it.
fn shown(value: &impl Serialize) -> String {
    toml::Value::try_from(value).map_or_else(|error| error.to_string(), |value| value.to_string())
}

#[cfg(test)]
mod tests;
