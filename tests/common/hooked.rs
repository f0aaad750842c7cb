//! An engine that tells of what it is asked for before it does it, and can be made to fail.

use wgflow::engine::{Batch, Coefficients, Differentiate, Engine, EngineError, Moments, Roll, Rollout};
use wgflow::network::Arrangement;
use wgflow::process::{Objects, Trajectories};

/// What an engine is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Load,
    Rollout,
    Gradient,
    RewardGradient,
    SquareNorms,
    Moments,
    LeaveOneOut,
}

/// What becomes of a call.
pub enum Answer {
    Engine,
    Fails,
    /// All numbers of a reward's gradient are NaN.
    NotFinite,
}

pub struct Hooked<E> {
    pub engine: E,
    pub hook: Box<dyn Fn(Call) -> Answer + Send>,
    /// Leaves statistics to the definitions that the trait comes with.
    pub by_definition: bool,
}

impl<E: Engine> Hooked<E> {
    pub fn by_definition(engine: E) -> Self {
        Self { engine, hook: Box::new(|_| Answer::Engine), by_definition: true }
    }

    pub fn new(engine: E, hook: impl Fn(Call) -> Answer + Send + 'static) -> Self {
        Self { engine, hook: Box::new(hook), by_definition: false }
    }

    fn ask(&self, call: Call) -> Result<bool, EngineError> {
        match (self.hook)(call) {
            Answer::Engine => Ok(true),
            Answer::Fails => Err(EngineError::Device(format!("{call:?} failed"))),
            Answer::NotFinite => Ok(false),
        }
    }
}

impl<E: Engine> Roll for Hooked<E> {
    fn name(&self) -> String {
        self.engine.name()
    }

    fn adapter(&self) -> String {
        self.engine.adapter()
    }

    fn rollout(&mut self, request: &Rollout) -> Result<Batch, EngineError> {
        self.ask(Call::Rollout)?;
        self.engine.rollout(request)
    }

    fn trajectories(&mut self) -> Result<Trajectories, EngineError> {
        self.engine.trajectories()
    }

    fn objects(&mut self) -> Result<Objects, EngineError> {
        self.engine.objects()
    }

    fn log_reward(&mut self, objects: &Objects) -> Result<Vec<f64>, EngineError> {
        self.engine.log_reward(objects)
    }

    fn reward_gradient(&mut self, objects: &Objects, coefficients: &[f64]) -> Result<Vec<f64>, EngineError> {
        let finite = self.ask(Call::RewardGradient)?;
        let gradient = self.engine.reward_gradient(objects, coefficients)?;
        Ok(if finite { gradient } else { vec![f64::NAN; gradient.len()] })
    }
}

/// An engine of which nothing is known but how it accumulates.
struct Plain<'a, E>(&'a mut Hooked<E>);

impl<E: Engine> Differentiate for Plain<'_, E> {
    fn arrangement(&self) -> &Arrangement {
        self.0.engine.arrangement()
    }

    fn load(&mut self, arranged: &[f64]) -> Result<(), EngineError> {
        self.0.engine.load(arranged)
    }

    fn held(&self) -> usize {
        self.0.engine.held()
    }

    fn accumulate(&mut self, coefficients: &Coefficients, total: &mut [f64]) -> Result<(), EngineError> {
        self.0.engine.accumulate(coefficients, total)
    }
}

impl<E: Engine> Differentiate for Hooked<E> {
    fn arrangement(&self) -> &Arrangement {
        self.engine.arrangement()
    }

    fn load(&mut self, arranged: &[f64]) -> Result<(), EngineError> {
        self.ask(Call::Load)?;
        self.engine.load(arranged)
    }

    fn held(&self) -> usize {
        self.engine.held()
    }

    fn accumulate(&mut self, coefficients: &Coefficients, total: &mut [f64]) -> Result<(), EngineError> {
        self.ask(Call::Gradient)?;
        self.engine.accumulate(coefficients, total)
    }

    fn square_norms(&mut self) -> Result<Vec<f64>, EngineError> {
        self.ask(Call::SquareNorms)?;
        if self.by_definition { Plain(self).square_norms() } else { self.engine.square_norms() }
    }

    fn moments(&mut self, coefficients: &[f64]) -> Result<Moments, EngineError> {
        self.ask(Call::Moments)?;
        if self.by_definition { Plain(self).moments(coefficients) } else { self.engine.moments(coefficients) }
    }

    fn leave_one_out_gradient(&mut self, coefficients: &[f64], moments: &Moments) -> Result<Vec<f64>, EngineError> {
        self.ask(Call::LeaveOneOut)?;
        if self.by_definition {
            Plain(self).leave_one_out_gradient(coefficients, moments)
        } else {
            self.engine.leave_one_out_gradient(coefficients, moments)
        }
    }
}
