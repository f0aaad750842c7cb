//! Where the trajectories of an iteration come from.

use super::replay::Buffer;
use super::reverser::Reverser;
use crate::engine::{EngineError, Rollout};
use crate::objective::Source;
use crate::process::{Objects, Process, Trajectories};
use crate::random::{Draw, Stream};
use crate::targets::Sampler;

/// What a source of batches may look at.
pub struct Turn<'a> {
    /// Whose trajectories are wanted.
    pub process: &'a dyn Process,
    /// Makes objects (samples of the target, or data), where the training has such a sampler.
    pub sampler: Option<&'a mut dyn Sampler>,
    /// Objects made before, where any are kept.
    pub replay: Option<&'a Buffer>,
    /// What samples a learned P_B, and the policy's parameters.
    pub(super) reverser: Option<(&'a mut Reverser, &'a [f64])>,
    /// The run's.
    pub seed: u64,
    /// From 0.
    pub iteration: u32,
    /// Trajectories that are wanted.
    pub count: usize,
}

impl Turn<'_> {
    /// This iteration's random numbers of a stream.
    pub fn draw(&self, stream: Stream) -> Draw {
        Draw::new(self.seed, self.iteration, stream)
    }

    /// One trajectory to each object under P_B.
    ///
    /// # Errors
    /// What the engine says that samples a learned one.
    pub fn backward(&mut self, objects: &Objects, draw: &Draw) -> Result<Trajectories, EngineError> {
        match &mut self.reverser {
            None => Ok(self.process.backward(objects, draw)),
            Some((reverser, parameters)) => reverser.backward(objects, draw, parameters),
        }
    }

    /// The next objects of the sampler.
    ///
    /// # Errors
    /// `Limit` if there is no sampler, or it gives what are no objects of the process.
    pub fn objects(&mut self, stream: Stream) -> Result<Objects, EngineError> {
        let draw = self.draw(stream);
        let Some(sampler) = self.sampler.as_mut() else {
            let message = "objects are needed, and the target has neither data nor a sampler";
            return Err(EngineError::Limit(message.into()));
        };
        let objects = sampler.sample(&draw);
        let (sites, values) = (self.process.sites(), self.process.values());
        let fits = objects.sites() == sites && objects.values().iter().all(|&value| usize::from(value) < values);
        if fits && objects.count() > 0 {
            return Ok(objects);
        }
        let (count, found) = (objects.count(), objects.sites());
        Err(EngineError::Limit(format!(
            "the target's sampler or data gave {count} objects of {found} sites: some are needed, of {sites} sites with \
             values below {values}"
        )))
    }
}

/// A source of batches. What it makes is a function of its state and the turn's random numbers.
pub trait BatchSource: Send {
    /// The random numbers of the batch, and the trajectories to be replayed; without any, as many as are wanted are sampled
    /// from P_F.
    fn next(&mut self, turn: &mut Turn) -> Result<(Draw, Option<Trajectories>), EngineError>;
}

/// Sampled from P_F.
pub struct Forward;

impl BatchSource for Forward {
    fn next(&mut self, turn: &mut Turn) -> Result<(Draw, Option<Trajectories>), EngineError> {
        Ok((turn.draw(Stream::Training), None))
    }
}

/// Sampled from P_B, from objects of the target.
pub struct Backward;

impl BatchSource for Backward {
    fn next(&mut self, turn: &mut Turn) -> Result<(Draw, Option<Trajectories>), EngineError> {
        let draw = turn.draw(Stream::Backward);
        let objects = turn.objects(Stream::TargetSampler)?;
        Ok((draw, Some(turn.backward(&objects, &draw)?)))
    }
}

/// Sampled from P_B, from objects that forward trajectories ended in before.
pub struct Replayed;

impl BatchSource for Replayed {
    fn next(&mut self, turn: &mut Turn) -> Result<(Draw, Option<Trajectories>), EngineError> {
        let draw = turn.draw(Stream::ReplayBackward);
        let Some(buffer) = turn.replay.filter(|buffer| buffer.count() > 0) else {
            return Err(EngineError::Limit("there are no objects to replay".into()));
        };
        let objects = buffer.draw(&turn.draw(Stream::Replay), turn.count);
        Ok((draw, Some(turn.backward(&objects, &draw)?)))
    }
}

/// The built-in source of this name.
pub fn source(of: Source) -> Box<dyn BatchSource> {
    match of {
        Source::Forward => Box::new(Forward),
        Source::Backward => Box::new(Backward),
        Source::Replay => Box::new(Replayed),
    }
}

/// The request that asks an engine for what a source made.
pub fn request(draw: Draw, given: Option<&Trajectories>, count: usize) -> Rollout<'_> {
    match given {
        None => Rollout::sample(draw, count),
        Some(trajectories) => Rollout::replay(draw, trajectories),
    }
}
