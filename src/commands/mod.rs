//! The command line: one file a command, each thin.
//!
//! Exit codes: 0 done, 2 bad usage or configuration, 75 stopped by SIGUSR1 and to be started again, 1 anything else.

#[cfg(feature = "gpu")]
mod adapters;
mod bench;
mod compare;
mod evaluate;
mod exact;
mod output;
mod paths;
mod presets;
mod progress;
mod ranks;
mod sample;
mod signals;
mod train;
#[cfg(feature = "gpu")]
mod tune;
mod variance;
mod watch;

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::Context;
use clap::{CommandFactory, Parser, Subcommand};

use crate::config::ConfigError;
use crate::engine::EngineError;
use crate::evaluation::EvaluationError;
use crate::models::ModelError;
use crate::run::checkpoint::CheckpointError;
use crate::run::error::RunError;
use crate::stop::Reason;
use crate::trainer::{RestoreError, TrainError};

const DONE: u8 = 0;
const FAILED: u8 = 1;
const BAD_USAGE: u8 = 2;
/// The exit code that tells a script to start the same work again: EX_TEMPFAIL of BSD's sysexits.h.
const RESUBMIT: u8 = 75;

const EXIT_CODES: &str = "\
Exit codes:
  0   done; also where the reader of the output had enough of it (`| head`)
  1   anything that 2 and 75 are not: failed, diverged, or interrupted by SIGINT, SIGTERM or SIGHUP, and saved
  2   bad usage or configuration
  75  stopped by SIGUSR1 (a scheduler's warning), and saved: start it again with --resume, or `compare` as before";

/// Trains Generative Flow Networks on any GPU, and reports against exact answers.
///
/// Without a command: trains the preset `ising-quick`.
#[derive(Parser)]
#[command(name = "wgflow", version, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Trains a policy and leaves a run directory; on several processes with `mpirun -n R` (docs/parallel.md)
    Train(train::Arguments),
    /// Evaluates a run's policy with fresh samples
    Evaluate(evaluate::Arguments),
    /// Writes samples of a run's policy to a .npy or .csv file
    Sample(sample::Arguments),
    Exact(exact::Arguments),
    /// Measures the throughput of an engine
    Bench(bench::Arguments),
    /// Trains a suite of runs and compares them in a table
    Compare(compare::Arguments),
    /// Compares gradient estimators on a frozen policy: variance, bias, time
    Variance(variance::Arguments),
    Watch(watch::Arguments),
    /// Lists the GPU adapters of this machine
    #[cfg(feature = "gpu")]
    Adapters(adapters::Arguments),
    /// Chooses the sizes of GPU kernels by timing them, for later runs (docs/tuning.md)
    #[cfg(feature = "gpu")]
    Tune(tune::Arguments),
    /// Lists the built-in experiments and suites, or shows one
    Presets(presets::Arguments),
}

/// Parses arguments, the first of them the program's name, runs the command, and gives the exit code that says how it ended.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    own_up_to_panics();
    signals::outlive_file_limits();
    #[cfg(feature = "gpu")]
    crate::tuning::listen(output::complain);
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(answer) => return say(&answer),
    };
    if let Err(error) = start_threads() {
        return fail(error);
    }
    let result = match arguments.command.unwrap_or_else(|| Command::Train(train::Arguments::default())) {
        Command::Train(arguments) => train::run(arguments),
        Command::Evaluate(arguments) => evaluate::run(&arguments),
        Command::Sample(arguments) => sample::run(&arguments),
        Command::Exact(arguments) => exact::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Compare(arguments) => compare::run(&arguments),
        Command::Variance(arguments) => variance::run(&arguments),
        Command::Watch(arguments) => watch::run(&arguments),
        #[cfg(feature = "gpu")]
        Command::Adapters(arguments) => adapters::run(&arguments),
        #[cfg(feature = "gpu")]
        Command::Tune(arguments) => tune::run(&arguments),
        Command::Presets(arguments) => presets::run(&arguments),
    };
    result.map_or_else(fail, |()| DONE)
}

/// Starts the threads that all work is shared by, which would panic where it fails later.
fn start_threads() -> anyhow::Result<()> {
    let started = rayon::ThreadPoolBuilder::new().build_global();
    started.context(
        "cannot start threads: raise the limits on memory and processes (ulimit -v, -u), or set RAYON_NUM_THREADS=1",
    )
}

/// Says what went wrong, if anything has to be said, and gives the exit code for it.
fn fail(error: anyhow::Error) -> u8 {
    if error.downcast_ref().is_some_and(output::Lost::unread) {
        return DONE;
    }
    output::complain(&format!("error: {error:#}"));
    match error.downcast_ref() {
        Some(Interrupted { reason: Reason::Resubmit, .. }) => RESUBMIT,
        _ if is_bad_usage(&error) => BAD_USAGE,
        _ => FAILED,
    }
}

/// Answers arguments that ask for help or for the version, or that are wrong.
fn say(answer: &clap::Error) -> u8 {
    let said = answer.print();
    match output::written(said) {
        _ if answer.use_stderr() => BAD_USAGE,
        said => said.map_or_else(|lost| fail(lost.into()), |()| DONE),
    }
}

/// Has a panic say, after what it says anyway, whose fault it is.
fn own_up_to_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        usual(panic);
        output::complain(
            "this is a fault in wgflow: please report the lines above. Checkpoints written so far are whole",
        );
    }));
}

/// Whether what was asked for is wrong, not how it went: code 2.
pub fn is_bad_usage(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.is::<ConfigError>()
            || cause.is::<ModelError>()
            || cause.is::<CheckpointError>()
            || matches!(cause.downcast_ref(), Some(EngineError::Limit(_) | EngineError::NoAdapter(_)))
            || cause.downcast_ref().is_some_and(RunError::is_bad_usage)
            || matches!(cause.downcast_ref(), Some(RestoreError::Checkpoint(_)))
            || matches!(
                cause.downcast_ref(),
                Some(EvaluationError::Engine(EngineError::Limit(_) | EngineError::NoAdapter(_)))
            )
            || matches!(
                cause.downcast_ref(),
                Some(TrainError::Config(_) | TrainError::Engine(EngineError::Limit(_) | EngineError::NoAdapter(_)))
            )
    })
}

/// Work that was asked to stop before its end, all of it saved; says how to go on.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
struct Interrupted {
    reason: Reason,
    message: String,
}

impl Interrupted {
    /// `what` was interrupted, and how it goes on.
    fn new(reason: Reason, what: &str, how: &str) -> Self {
        let why = match reason {
            Reason::Interrupt => "interrupted",
            Reason::Resubmit => "stopped by SIGUSR1",
        };
        Self { reason, message: format!("{why}{what}: saved; {how}") }
    }
}

/// A seed on the command line: what an experiment file can hold as well.
fn seed(text: &str) -> Result<u64, String> {
    let seed = text.parse().ok().filter(|seed| *seed <= i64::MAX as u64);
    seed.ok_or_else(|| "must be 0 to 2^63 - 1".into())
}

/// Generates the shape of the whole command line, for tests and completions.
pub fn command_line() -> clap::Command {
    Arguments::command()
}

/// The seeds there are: those of an experiment file, 0 to 2^63 - 1.
fn seeds() -> clap::builder::RangedU64ValueParser {
    clap::value_parser!(u64).range(0..=i64::MAX as u64)
}

/// Where a run is.
#[derive(clap::Args)]
struct RunArgument {
    /// A run directory
    #[arg(value_name = "DIR")]
    run: PathBuf,
}
