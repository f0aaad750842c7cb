//! Objectives: log-probabilities of a batch in, coefficients out. Pure f64 arithmetic of O(B).
//!
//! Whatever is minimised, the gradient estimate is sum_i c_i grad log P_F(tau_i), plus a derivative by the scalar zeta,
//! the learned log Z, where there is one. So an engine needs to know nothing but c, and an objective nothing but log w:
//!
//! ```
//! use wgflow::engine::{Batch, Coefficients};
//! use wgflow::objective::{Kind, Settings};
//! use wgflow::schedule::Progress;
//!
//! let objective = Settings::new(Kind::TrajectoryBalance).objective(2)?;
//! for term in objective.terms(Progress { iteration: 0, total: 1000 }) {
//!     // term.source says where trajectories come from; an engine rolls them out and gives their log-weights ...
//!     let batch = Batch::of_log_weights(&[1.0, 3.0]);
//!     let contribution = term.contribution(&batch, 2.5);
//!     // ... and makes of `policy` the gradient of the policy's parameters.
//!     assert_eq!(contribution.policy, Coefficients::Trajectories(vec![1.5, -0.5]));
//!     assert_eq!(contribution.zeta, Some(1.0));
//! }
//! # Ok::<(), wgflow::objective::OutOfRange>(())
//! ```
//!
//! An objective is one estimator on trajectories sampled from P_F, one on trajectories sampled from the target and the
//! backward policy, or (1 - alpha) times the first plus alpha times the second. The source of the method is Zimmermann,
//! Lindsten, van de Meent, Naesseth, "A Variational Perspective on Generative Flow Networks" (arXiv:2210.07992).
//!
//! Where the policy says P_B or the flow through states as well, there are coefficients for those too: b and f beside c.

mod alpha;
mod anneal;
mod backward;
mod balance;
mod closed_form;
mod contribution;
mod control_variate;
mod estimator;
mod exploration;
mod flow_matching;
mod log_z_start;
mod loss;
mod optimal;
mod own;
mod replay;
mod settings;
mod weights;

pub use crate::out_of_range::OutOfRange;
pub use alpha::{Alpha, Schedule};
pub use anneal::{Anneal, Shape};
pub use backward::BackwardTraining;
pub use balance::{Balance, Flows, Stretches};
pub use contribution::Contribution;
pub use control_variate::ControlVariate;
pub use estimator::{Estimator, tsallis};
pub use exploration::Exploration;
pub use flow_matching::FlowMatching;
pub use log_z_start::{LogZStart, NamedStart, first_zeta};
pub use loss::Loss;
pub use optimal::{Extent, Form, Optimal, batch_form, leave_one_out};
pub use own::{Own, OwnEstimator};
pub use replay::{Replay, Sampling};
pub use settings::{Kind, LossName, Settings};

use crate::engine::{Batch, Coefficients, StepCoefficients};
use crate::process::Flow;
use crate::schedule::Progress;

/// Where a batch of trajectories comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Sampled from P_F.
    Forward,
    /// Objects of the target (samples or data), with trajectories sampled from P_B.
    Backward,
    /// Objects that forward trajectories ended in before ([`Replay`]), with trajectories sampled from P_B.
    Replay,
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
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    /// Where the batch comes from.
    pub source: Source,
    /// In (0, 1]; the weights of an iteration's terms add up to 1.
    pub weight: f64,
    /// What coefficients the batch's trajectories get.
    pub estimator: Estimator,
}

impl Objective {
    /// One estimator, on trajectories of one source, which is forward or backward: what is replayed was forward first
    /// ([`Term::replaying`]).
    ///
    /// # Panics
    /// For [`Source::Replay`].
    pub fn of(source: Source, estimator: Estimator) -> Self {
        match source {
            Source::Forward => Self { forward: Some(estimator), backward: None, alpha: Alpha::Fixed(0.0) },
            Source::Backward => Self { forward: None, backward: Some(estimator), alpha: Alpha::Fixed(1.0) },
            Source::Replay => panic!("an objective begins with forward or backward trajectories"),
        }
    }

    /// Two estimators, the backward one with weight alpha and the forward one with 1 - alpha.
    pub fn mixed(forward: Estimator, backward: Estimator, alpha: Alpha) -> Self {
        Self { forward: Some(forward), backward: Some(backward), alpha }
    }

    /// Why a batch of one cannot be used, where it cannot.
    pub fn refuses_one(&self) -> Option<&'static str> {
        self.forward.iter().chain(&self.backward).filter_map(Estimator::refuses_one).next()
    }

    /// Why its forward trajectories must be those of the policy itself, where they must.
    pub fn refuses_off_policy(&self) -> Option<&'static str> {
        match &self.forward {
            None => Some("it has no forward trajectories"),
            Some(estimator) => estimator.refuses_off_policy(),
        }
    }

    /// The terms of one iteration, one or two: those whose weight is not 0. Their gradients and losses add up.
    pub fn terms(&self, progress: Progress) -> Vec<Term> {
        let alpha = self.alpha.at(progress);
        let forward = self.forward.clone();
        let forward = forward.map(|estimator| Term { source: Source::Forward, weight: 1.0 - alpha, estimator });
        let backward = self.backward.clone();
        let backward = backward.map(|estimator| Term { source: Source::Backward, weight: alpha, estimator });
        [forward, backward].into_iter().flatten().filter(|term| term.weight > 0.0).collect()
    }

    /// Whether any iteration may need batches of this source.
    pub fn needs(&self, source: Source) -> bool {
        match source {
            Source::Forward => self.forward.is_some() && !self.alpha.is_always(1.0),
            Source::Backward => self.backward.is_some() && !self.alpha.is_always(0.0),
            Source::Replay => false,
        }
    }

    /// Whether the gradient depends on log R. That of forward KL on backward samples does not.
    pub fn needs_reward(&self) -> bool {
        let own = |estimator: &Option<Estimator>| estimator.as_ref().is_some_and(Estimator::needs_reward);
        (self.needs(Source::Forward) && own(&self.forward)) || own(&self.backward)
    }

    /// Whether log Z is learned along, as zeta.
    pub fn learns_zeta(&self) -> bool {
        self.forward.iter().chain(&self.backward).any(Estimator::learns_zeta)
    }

    /// What the policy has to say of the flow through a state.
    pub fn needs_flow(&self) -> Flow {
        let mut needed = self.forward.iter().chain(&self.backward).map(Estimator::needs_flow);
        needed.find(|flow| *flow != Flow::Unsaid).unwrap_or_default()
    }

    /// Whether it matches flows, for which the process has to know the parents of a state.
    pub fn matches_flows(&self) -> bool {
        self.forward.iter().chain(&self.backward).any(|estimator| estimator.flow_matching().is_some())
    }

    /// Whether it looks at what the target knows of partial objects.
    pub fn looks_forward(&self) -> bool {
        let estimators = self.forward.iter().chain(&self.backward);
        estimators.into_iter().any(|estimator| estimator.needs_log_rewards() && estimator.needs_flow() == Flow::Output)
    }

    /// What the forward term's control variate needs from the engine besides log-weights.
    pub fn optimal(&self) -> Option<Optimal> {
        self.forward.as_ref().and_then(Estimator::optimal)
    }
}

impl Term {
    /// The same on two batches, of which replayed trajectories make up the share `fraction`: a forward term's own, and one on
    /// those.
    pub fn replaying(self, fraction: f64) -> [Self; 2] {
        let replayed = Self { source: Source::Replay, weight: self.weight * fraction, ..self.clone() };
        [Self { weight: self.weight * (1.0 - fraction), ..self }, replayed]
    }

    /// What this term makes of a batch, weight included.
    ///
    /// If [`Term::optimal`] asks for more, the coefficients lack the control variate.
    pub fn contribution(&self, batch: &Batch, zeta: f64) -> Contribution {
        self.estimator.contribution(self.weight, batch, zeta)
    }

    /// The same where P_B is learned along, in the way that `training` says (not at all, if there is none): coefficients of steps.
    ///
    /// # Panics
    /// If [`Term::optimal`] asks for more.
    pub fn joint_contribution(
        &self,
        batch: &Batch,
        zeta: f64,
        max_steps: usize,
        training: Option<BackwardTraining>,
    ) -> Contribution {
        assert!(self.optimal().is_none(), "control variates of least variance are for log P_F alone");
        let mut contribution = self.contribution(batch, zeta);
        let spread = |numbers: &[f64]| numbers.iter().flat_map(|&c| std::iter::repeat_n(c, max_steps)).collect();
        let mut steps = match contribution.policy {
            Coefficients::Steps(steps) => steps,
            Coefficients::Trajectories(c) => {
                let backward = spread(&self.estimator.backward(self.weight, batch, zeta));
                StepCoefficients { forward: spread(&c), backward, flow: Vec::new() }
            }
        };
        match training {
            Some(BackwardTraining::Joint) => {}
            Some(BackwardTraining::Tlm) if self.source == Source::Forward => {
                steps.backward = vec![-self.weight / batch.count() as f64; batch.count() * max_steps];
            }
            _ => steps.backward = Vec::new(),
        }
        contribution.policy = Coefficients::Steps(steps);
        contribution
    }

    /// Whether log Z is learned along, as zeta.
    pub fn learns_zeta(&self) -> bool {
        self.estimator.learns_zeta()
    }

    /// Whether it looks at single steps of its batch.
    pub fn needs_steps(&self) -> bool {
        self.estimator.needs_steps()
    }

    /// What the coefficients still lack: a control variate made of the single trajectories' gradients.
    pub fn optimal(&self) -> Option<Optimal> {
        self.estimator.optimal()
    }
}
