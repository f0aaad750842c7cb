//! Carrying out a suite: every run in its own directory, several at a time, each in its own pool of threads.
//!
//! A run's results depend on its configuration alone, so neither the number of jobs nor the order matters. Finished
//! runs are kept; unfinished ones go on from their checkpoint.

use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use rayon::ThreadPoolBuilder;
use serde_json::Value;

use super::jobs::cores;
use super::queue::Queue;
use super::{Run, Suite};
use crate::config::{ConfigError, Inputs};
use crate::engine::EngineError;
use crate::evaluation::EvaluationError;
use crate::run::claim::{Claim, Shelf};
use crate::run::directory::RunDirectory;
use crate::run::error::RunError;
use crate::session::{self, Outcome, Session};
use crate::stop::{Reason, Stop};
use crate::trainer::TrainError;

/// Said where the machine has no room for another job.
const NO_THREADS: &str =
    "cannot start threads: raise the limits on memory and processes (ulimit -v, -u), or have fewer --jobs";

/// How long a killed process may take to let go of the directory of its run.
const LETTING_GO: Duration = Duration::from_secs(5);

/// How far a run is.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// Not begun, or to be continued from its checkpoint.
    Unfinished,
    /// With the contents of its `summary.json`.
    Finished(Value),
    /// Training diverged, or log R was none; says how.
    Failed(String),
}

/// What is told while runs are carried out, from any thread.
pub trait Observer: Sync {
    /// `count` more iterations of some run are behind.
    fn advanced(&self, count: u32) {
        let _ = count;
    }

    /// Something is amiss with a run that people should know of, though it goes on.
    fn warned(&self, run: &Run, warning: &str) {
        let _ = (run, warning);
    }

    /// A run has come to its end.
    fn ended(&self, run: &Run, state: &State) {
        let _ = (run, state);
    }
}

/// What is known of each run, and its directory checked: one that holds another configuration is refused, and so is a run
/// that has not begun and whose input files cannot be read.
pub fn survey(suite: &Suite, out: &Path) -> Result<Vec<State>, RunError> {
    let state = |run: &Run| {
        let directory = RunDirectory::at(&out.join(&run.name));
        if !directory.holds(&run.config)? {
            let within = |error: ConfigError| error.within(&format!("run {}", run.name));
            run.config.target.build(&Inputs::Files).map_err(within)?;
            return Ok(State::Unfinished);
        }
        let summary = directory.summary(run.config.settings.training.iterations)?;
        Ok(summary.map_or(State::Unfinished, State::Finished))
    };
    suite.runs.iter().map(state).collect()
}

/// Carries out the runs that the queue hands out, `jobs` at a time, until it has no more or `stop` is raised, and brings their
/// `states` up to date. Runs interrupted by that are saved and stay unfinished.
///
/// # Errors
/// The first error other than a run's divergence ends all: running ones are saved, as if `stop` had been raised.
pub fn carry_out(
    suite: &Suite,
    out: &Shelf,
    queue: &dyn Queue,
    jobs: usize,
    stop: &Stop,
    observer: &dyn Observer,
    states: &mut [State],
) -> anyhow::Result<()> {
    let threads = (cores() / jobs.max(1)).max(1);
    let (sender, receiver) = mpsc::channel();
    let work = |sender: mpsc::Sender<anyhow::Result<(usize, State)>>| {
        while stop.reason().is_none() {
            let done = match queue.next() {
                Ok(None) => return,
                Ok(Some(index)) => {
                    let run = &suite.runs[index];
                    let state =
                        one(run, out, threads, stop, observer).or_else(|error| left(run, queue, observer, error));
                    let state = state.and_then(|state| Ok(queue.ended(index, &state).map(|()| (index, state))?));
                    state.with_context(|| format!("run {}", run.name))
                }
                Err(error) => Err(error.into()),
            };
            if done.is_err() {
                stop.raise(Reason::Interrupt);
            }
            // The receiver outlives every worker; without it there would be nobody to tell.
            let _ = sender.send(done);
        }
    };
    thread::scope(|scope| {
        let mut error = None;
        for _ in 0..jobs.max(1) {
            let sender = sender.clone();
            if let Err(cause) = thread::Builder::new().spawn_scoped(scope, || work(sender)) {
                stop.raise(Reason::Interrupt);
                error = Some(anyhow::Error::new(cause).context(NO_THREADS));
                break;
            }
        }
        drop(sender);
        for done in receiver {
            match done {
                Ok((index, state)) => states[index] = state,
                Err(cause) => error = error.or(Some(cause)),
            }
        }
        error.map_or(Ok(()), Err)
    })
}

/// Carries out one run in a pool of `threads` threads.
fn one(run: &Run, out: &Shelf, threads: usize, stop: &Stop, observer: &dyn Observer) -> anyhow::Result<State> {
    let pool = ThreadPoolBuilder::new().num_threads(threads).build().context(NO_THREADS)?;
    let path = out.path()?.join(&run.name);
    let state = pool.install(|| train(run, &path, stop, observer))?;
    if state != State::Unfinished {
        observer.ended(run, &state);
    }
    Ok(state)
}

/// Where runs are shared, one that somebody trains by itself (`train --resume`) stays with them. All else is an error.
fn left(run: &Run, queue: &dyn Queue, observer: &dyn Observer, error: anyhow::Error) -> anyhow::Result<State> {
    match error.downcast_ref() {
        Some(held @ RunError::Held { .. }) if queue.is_shared() => {
            observer.warned(run, &format!("left to others: {held}"));
            Ok(State::Unfinished)
        }
        _ => Err(error),
    }
}

/// What `take` takes, once whoever was killed has let go of it.
fn patiently<T>(take: impl Fn() -> Result<T, RunError>) -> Result<T, RunError> {
    let begun = Instant::now();
    loop {
        match take() {
            Err(RunError::Held { .. }) if begun.elapsed() < LETTING_GO => thread::sleep(Duration::from_millis(50)),
            taken => return taken,
        }
    }
}

fn train(run: &Run, path: &Path, stop: &Stop, observer: &dyn Observer) -> anyhow::Result<State> {
    let config = &run.config;
    let (mut session, directory) = if RunDirectory::at(path).holds(config)? {
        let (directory, _) = patiently(|| Claim::take(path, &[]))?;
        let session = Session::take_up(&directory, config.clone(), &[], None)?;
        let (iterations, asked) = (session.iterations(), config.settings.training.iterations);
        if iterations != asked {
            let why = format!("it was about to have training.iterations = {iterations}, not {asked}");
            let cure = format!("settle that with --resume {} --iterations N", path.display());
            return Err(ConfigError::new(format!("{why}: {cure}")).into());
        }
        (session, directory)
    } else {
        let session = Session::new(config.clone(), None)?;
        (session, patiently(|| Claim::create(path, config))?)
    };
    let mut counter = Counter { run, observer, done: 0 };
    match session.run(&directory, stop, None, &mut counter) {
        // Read back, so that a run kept from earlier and one carried out now give the same numbers.
        Ok(Outcome::Finished(_) | Outcome::AlreadyFinished(_)) => {
            let summary = directory.summary(config.settings.training.iterations)?;
            Ok(summary.map_or(State::Unfinished, State::Finished))
        }
        Ok(Outcome::Stopped { .. } | Outcome::Interrupted { .. }) => Ok(State::Unfinished),
        Err(error) if is_the_run_s_own(&error) => Ok(State::Failed(error.to_string())),
        Err(error) => Err(error),
    }
}

/// Whether it was the training or its log R that failed, which says nothing about the suite's other runs.
fn is_the_run_s_own(error: &anyhow::Error) -> bool {
    let rewards = |error: &EngineError| matches!(error, EngineError::Reward(_));
    match (error.downcast_ref(), error.downcast_ref()) {
        (Some(TrainError::Diverged { .. }), _) => true,
        (Some(TrainError::Engine(error)), _) | (_, Some(EvaluationError::Engine(error))) => rewards(error),
        _ => error.downcast_ref().is_some_and(rewards),
    }
}

/// Hands on how many iterations a session has done since it last said so, and what it warns of.
struct Counter<'a> {
    run: &'a Run,
    observer: &'a dyn Observer,
    done: u32,
}

impl session::Observer for Counter<'_> {
    fn started(&mut self, _: &RunDirectory, _: &str, iteration: u32) {
        self.advanced(iteration);
    }

    fn advanced(&mut self, done: u32) {
        self.observer.advanced(done - self.done);
        self.done = done;
    }

    fn logged(&mut self, done: u32, _: &Value) {
        self.advanced(done);
    }

    fn warned(&mut self, warning: &str) {
        self.observer.warned(self.run, warning);
    }
}
