//! The half of a training that holds the policy's parameters: it gathers a gradient, and makes the next parameters of it.

use super::{Adam, Settings, clip, estimate, norm};
use crate::engine::{Coefficients, Engine, EngineError};
use crate::network::Arrangement;
use crate::objective::Optimal;
use crate::schedule::Progress;

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

    /// The gradient gathered, in an order of its own: for sums over replicas of a training.
    fn gradient(&mut self) -> &mut [f64];

    /// Euclidean norm of the gradient gathered, before any clipping; not finite if any derivative is not.
    fn gradient_norm(&mut self) -> f64;

    /// Makes the next parameters, and gives them to `engine`.
    fn propose(&mut self, engine: &mut dyn Engine, progress: Progress) -> Result<(), EngineError>;

    /// Lets what was proposed take the place of the present state.
    fn accept(&mut self);

    /// Gives the present parameters to `engine`, again or for the first time.
    fn give(&self, engine: &mut dyn Engine) -> Result<(), EngineError>;

    /// The present parameters, in the order of the policy's layout.
    fn parameters(&self) -> Vec<f64>;

    /// The optimizer's state: first and second moments in the order of the layout, and steps taken.
    fn moments(&self) -> (Vec<f64>, Vec<f64>, u64);

    /// Takes up parameters and an optimizer's state, all in the order of the layout. The engine does not get them yet.
    ///
    /// # Panics
    /// If a list has not a number a parameter.
    fn restore(&mut self, parameters: &[f64], moments: (&[f64], &[f64], u64));
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
    }

    fn give(&self, engine: &mut dyn Engine) -> Result<(), EngineError> {
        engine.load(&self.parameters)
    }

    fn parameters(&self) -> Vec<f64> {
        self.arrangement.restore(&self.parameters)
    }

    fn moments(&self) -> (Vec<f64>, Vec<f64>, u64) {
        let restored = |list: &Vec<f64>| self.arrangement.restore(list);
        (restored(&self.adam.first_moment), restored(&self.adam.second_moment), self.adam.steps)
    }

    fn restore(&mut self, parameters: &[f64], (first, second, steps): (&[f64], &[f64], u64)) {
        self.parameters = self.arrangement.arrange(parameters);
        self.adam.first_moment = self.arrangement.arrange(first);
        self.adam.second_moment = self.arrangement.arrange(second);
        self.adam.steps = steps;
    }
}
