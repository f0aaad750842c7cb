//! Objectives: log-weights of a batch in, one coefficient a trajectory out. Pure f64 arithmetic of O(B).
//!
//! Whatever is minimised, the gradient estimate is sum_i c_i grad log P_F(tau_i), plus a derivative by the scalar zeta,
//! the learned log Z, where there is one. So an engine needs to know nothing but c, and an objective nothing but log w:
//!
//! ```
//! use wgflow::objective::{Kind, Settings};
//! use wgflow::schedule::Progress;
//!
//! let objective = Settings::new(Kind::TrajectoryBalance).objective(2)?;
//! for term in objective.terms(Progress { iteration: 0, total: 1000 }) {
//!     // term.source says where trajectories come from; an engine rolls them out and gives their log-weights ...
//!     let coefficients = term.coefficients(&[1.0, 3.0], 2.5);
//!     // ... and makes of `policy` the gradient of the policy's parameters.
//!     assert_eq!(coefficients.policy, [1.5, -0.5]);
//!     assert_eq!(coefficients.zeta, Some(1.0));
//! }
//! # Ok::<(), String>(())
//! ```
//!
//! An objective is one estimator on trajectories sampled from P_F, one on trajectories sampled from the target and the
//! backward policy, or (1 - alpha) times the first plus alpha times the second. The source of the method is Zimmermann,
//! Lindsten, van de Meent, Naesseth, "A Variational Perspective on Generative Flow Networks" (arXiv:2210.07992).
//!
//! The backward policy is uniform, so its log-probabilities carry no gradient and no coefficients are made for them.

mod alpha;
mod control_variate;
mod estimator;
mod log_z_start;
mod loss;
mod optimal;
mod settings;
mod weights;

pub use alpha::{Alpha, Schedule};
pub use control_variate::ControlVariate;
pub use estimator::{Coefficients, Estimator, tsallis};
pub use log_z_start::{LogZStart, NamedStart, first_zeta};
pub use loss::Loss;
pub use optimal::{Extent, Form, Optimal, batch_form, leave_one_out};
pub use settings::{Kind, LossName, Settings};

use crate::schedule::Progress;

/// Where a batch of trajectories comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Sampled from P_F.
    Forward,
    /// Objects of the target (samples or data), with trajectories sampled from P_B.
    Backward,
}

/// What is minimised over a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Objective {
    forward: Option<Estimator>,
    backward: Option<Estimator>,
    /// Weight of the backward estimator.
    alpha: Alpha,
}

/// What one iteration makes of one batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Term {
    /// Where the batch comes from.
    pub source: Source,
    /// In (0, 1]; the weights of an iteration's terms add up to 1.
    pub weight: f64,
    pub estimator: Estimator,
}

impl Objective {
    /// The terms of one iteration, one or two: those whose weight is not 0. Their gradients and losses add up.
    pub fn terms(&self, progress: Progress) -> Vec<Term> {
        let alpha = self.alpha.at(progress);
        let forward = self.forward.map(|estimator| Term { source: Source::Forward, weight: 1.0 - alpha, estimator });
        let backward = self.backward.map(|estimator| Term { source: Source::Backward, weight: alpha, estimator });
        [forward, backward].into_iter().flatten().filter(|term| term.weight > 0.0).collect()
    }

    /// Whether any iteration may need batches of this source.
    pub fn needs(&self, source: Source) -> bool {
        match source {
            Source::Forward => self.forward.is_some() && !self.alpha.is_always(1.0),
            Source::Backward => self.backward.is_some() && !self.alpha.is_always(0.0),
        }
    }

    /// Whether the gradient depends on log R. That of forward KL on backward samples does not.
    pub fn needs_reward(&self) -> bool {
        self.needs(Source::Forward) || self.backward.is_some_and(|estimator| estimator != Estimator::ForwardKl)
    }

    /// Whether log Z is learned along, as zeta.
    pub fn learns_zeta(&self) -> bool {
        self.forward.iter().chain(&self.backward).any(Estimator::learns_zeta)
    }

    /// What the forward term's control variate needs from the engine besides log-weights.
    pub fn optimal(&self) -> Option<Optimal> {
        self.forward.and_then(|estimator| estimator.optimal())
    }
}

impl Term {
    /// The coefficients of this term, weight included, from log w of each trajectory.
    ///
    /// If [`Term::optimal`] asks for more, they lack the control variate.
    pub fn coefficients(&self, log_weights: &[f64], zeta: f64) -> Coefficients {
        self.estimator.coefficients(self.weight, log_weights, zeta)
    }

    /// Whether log Z is learned along, as zeta.
    pub fn learns_zeta(&self) -> bool {
        self.estimator.learns_zeta()
    }

    /// What the coefficients still lack: a control variate made of the single trajectories' gradients.
    pub fn optimal(&self) -> Option<Optimal> {
        self.estimator.optimal()
    }
}
