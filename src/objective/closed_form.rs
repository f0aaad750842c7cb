//! The estimators whose coefficients are a closed form of the log-weights of a batch, for those who compute them elsewhere.

use super::{ControlVariate, Estimator, Loss};
use crate::engine::resident::Formula;

impl Estimator {
    /// How log-weights become coefficients, as a formula that a device knows; or why there is none.
    pub(crate) fn formula(&self) -> Result<Formula, &'static str> {
        Ok(match *self {
            Self::ReverseKl(control_variate) => match control_variate {
                ControlVariate::None => Formula::Plain,
                ControlVariate::Learned => Formula::Learned,
                ControlVariate::LeaveOneOut => Formula::LeaveOneOut,
                ControlVariate::LeaveOneOutLogZ => Formula::LeaveOneOutLogZ,
                _ => return Err("control variates of least variance take the gradients of single trajectories"),
            },
            Self::SnisForwardKl => Formula::SelfNormalised,
            Self::Renyi { order } => Formula::Renyi(order),
            Self::Tsallis { order } => Formula::Tsallis(order),
            Self::LogVariance => Formula::LogVariance,
            Self::Regression(loss) => match loss {
                Loss::Squared => Formula::Squared,
                Loss::HalfSquared => Formula::HalfSquared,
                Loss::Huber { threshold } => Formula::Huber(threshold),
                Loss::Linex { scale } => Formula::Linex(scale),
                Loss::ShiftedCosh => Formula::ShiftedCosh,
            },
            Self::ForwardKl => return Err("it has no forward trajectories"),
            Self::Balance(_) | Self::FlowMatching(_) => return Err("it looks at single steps"),
            Self::Own(_) => return Err("it is one's own, and told on the host"),
        })
    }
}
