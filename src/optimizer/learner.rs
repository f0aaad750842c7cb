//! The half of a training that holds the policy's parameters: it gathers a gradient, and makes the next parameters of it.
//!
//! (Where a whole training stays on the engine's device, a learner holds what the device had when nothing was under way.)

use rayon::prelude::*;

use super::{Adam, Settings, clip, estimate, norm};
use crate::engine::{Coefficients, Engine, EngineError};
use crate::network::Arrangement;
use crate::objective::Optimal;
use crate::schedule::Progress;

/// Which parameters of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weights {
    /// Those that training moves.
    Trained,
    /// Their exponential average over the iterations, where one is kept (`evaluation.average`); else those that training moves.
    Averaged,
}

/// All that a learner goes on from, in the order of the policy's layout.
#[derive(Clone, Debug, PartialEq)]
pub struct LearnerState {
    /// What training moves.
    pub parameters: Vec<f64>,
    /// The optimizer's first moments.
    pub first_moment: Vec<f64>,
    /// Its second moments.
    pub second_moment: Vec<f64>,
    /// Steps taken.
    pub steps: u64,
    /// The parameters' average, where one is kept.
    pub average: Option<Vec<f64>>,
}

/// Holds the parameters of a policy, the ones that its engine computes with, and moves them down a gradient.
///
/// A step is made beside the present state and takes its place when it is accepted, so that what fails in between leaves
/// everything as it was. Where gradient and optimizer live is the implementation's own affair.
pub trait Learn: Send {
    /// Starts an iteration's gradient from zero.
    fn begin(&mut self);

    /// Adds the sum of coefficients times grad log P_F over the batch that `engine` holds, completed by the control variate
    /// `optimal`, if any.
    fn accumulate(
        &mut self,
        engine: &mut dyn Engine,
        coefficients: &Coefficients,
        optimal: Option<Optimal>,
    ) -> Result<(), EngineError>;

    /// The gradient gathered, in an order of its own.
    fn gradient(&mut self) -> &mut [f64];

    /// Euclidean norm of the gradient gathered, before any clipping; not finite if any derivative is not.
    fn gradient_norm(&mut self) -> f64;

    /// Makes the next parameters, and gives them to `engine`.
    fn propose(&mut self, engine: &mut dyn Engine, progress: Progress) -> Result<(), EngineError>;

    /// Lets what was proposed take the place of the present state.
    fn accept(&mut self);

    /// Gives the present parameters to `engine`, again or for the first time.
    fn give(&self, engine: &mut dyn Engine, weights: Weights) -> Result<(), EngineError>;

    /// The present parameters, in the order of the policy's layout.
    fn parameters(&self, weights: Weights) -> Vec<f64>;

    /// All that later steps depend on.
    fn state(&self) -> LearnerState;

    /// Takes up a state. The engine does not get it yet.
    ///
    /// # Panics
    /// If a list has not a number a parameter, or there is an average and none is kept, or the other way round.
    fn restore(&mut self, state: &LearnerState);
}

/// Adam on the host. All lists are in the engine's own order of parameters, and nothing is brought into another one from
/// one iteration to the next.
pub struct HostLearner {
    settings: Settings,
    arrangement: Arrangement,
    parameters: Vec<f64>,
    adam: Adam,
    /// Room for the state that a step makes.
    next: (Vec<f64>, Adam),
    gradient: Vec<f64>,
    /// Of the gradient, once it is known.
    norm: Option<f64>,
    average: Option<Average>,
}

/// An exponential average of parameters.
struct Average {
    /// What is kept of it at each step.
    decay: f64,
    parameters: Vec<f64>,
}

impl Average {
    /// Takes in the parameters after `steps` steps. Early steps count for more, that the average is not of the first parameters.
    fn take_in(&mut self, parameters: &[f64], steps: u64) {
        let keep = self.decay.min((1.0 + steps as f64) / (10.0 + steps as f64));
        let pairs = self.parameters.par_iter_mut().with_min_len(1 << 12).zip(parameters);
        pairs.for_each(|(average, parameter)| *average += (1.0 - keep) * (parameter - *average));
    }
}

impl HostLearner {
    /// With parameters in the order of the layout, for an engine that arranges them so.
    ///
    /// # Panics
    /// If there is not a number for each parameter.
    pub fn new(settings: Settings, arrangement: &Arrangement, parameters: &[f64]) -> Self {
        let parameters = arrangement.arrange(parameters);
        let adam = Adam::new(parameters.len(), settings.hyperparameters());
        Self {
            gradient: vec![0.0; parameters.len()],
            next: (parameters.clone(), adam.clone()),
            arrangement: arrangement.clone(),
            settings,
            parameters,
            adam,
            norm: None,
            average: None,
        }
    }

    /// Keeps an average of the parameters, of which each step leaves the share `decay`; or none.
    pub fn averaging(mut self, decay: impl Into<Option<f64>>) -> Self {
        self.average = decay.into().map(|decay| Average { decay, parameters: self.parameters.clone() });
        self
    }

    /// In the engine's order.
    fn arranged(&self, weights: Weights) -> &[f64] {
        match (&self.average, weights) {
            (Some(average), Weights::Averaged) => &average.parameters,
            _ => &self.parameters,
        }
    }
}

impl Learn for HostLearner {
    fn begin(&mut self) {
        // A large list at once would be written past the caches, and read back from memory right after.
        self.gradient.chunks_mut(1 << 10).for_each(|chunk| chunk.fill(0.0));
        self.norm = None;
    }

    fn accumulate(
        &mut self,
        engine: &mut dyn Engine,
        coefficients: &Coefficients,
        optimal: Option<Optimal>,
    ) -> Result<(), EngineError> {
        self.norm = None;
        estimate(engine, coefficients, optimal, &mut self.gradient)
    }

    fn gradient(&mut self) -> &mut [f64] {
        self.norm = None;
        &mut self.gradient
    }

    fn gradient_norm(&mut self) -> f64 {
        *self.norm.get_or_insert_with(|| norm(&self.gradient))
    }

    fn propose(&mut self, engine: &mut dyn Engine, progress: Progress) -> Result<(), EngineError> {
        if let Some(bound) = self.settings.clip_norm {
            let norm = self.gradient_norm();
            clip(&mut self.gradient, norm, bound);
        }
        let rate = self.settings.learning_rate * self.settings.factor(progress);
        let (next, adam) = &mut self.next;
        adam.step_from(&self.adam, &self.parameters, next, &self.gradient, rate);
        engine.load(next)
    }

    fn accept(&mut self) {
        std::mem::swap(&mut self.parameters, &mut self.next.0);
        std::mem::swap(&mut self.adam, &mut self.next.1);
        if let Some(average) = &mut self.average {
            average.take_in(&self.parameters, self.adam.steps);
        }
    }

    fn give(&self, engine: &mut dyn Engine, weights: Weights) -> Result<(), EngineError> {
        engine.load(self.arranged(weights))
    }

    fn parameters(&self, weights: Weights) -> Vec<f64> {
        self.arrangement.restore(self.arranged(weights))
    }

    fn state(&self) -> LearnerState {
        LearnerState {
            parameters: self.parameters(Weights::Trained),
            first_moment: self.arrangement.restore(&self.adam.first_moment),
            second_moment: self.arrangement.restore(&self.adam.second_moment),
            steps: self.adam.steps,
            average: self.average.as_ref().map(|_| self.parameters(Weights::Averaged)),
        }
    }

    fn restore(&mut self, state: &LearnerState) {
        self.parameters = self.arrangement.arrange(&state.parameters);
        self.adam.first_moment = self.arrangement.arrange(&state.first_moment);
        self.adam.second_moment = self.arrangement.arrange(&state.second_moment);
        self.adam.steps = state.steps;
        assert_eq!(self.average.is_some(), state.average.is_some(), "whether an average is kept");
        if let (Some(average), Some(parameters)) = (&mut self.average, &state.average) {
            average.parameters = self.arrangement.arrange(parameters);
        }
    }
}
