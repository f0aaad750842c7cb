//! The command line: one file a command, each thin.
//!
//! Exit codes: 0 done, 2 bad usage or configuration, 1 anything else.

mod adapters;
mod bench;
mod compare;
mod evaluate;
mod presets;
mod progress;
mod sample;
mod train;
mod variance;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use clap::{CommandFactory, Parser, Subcommand};

use crate::config::ConfigError;
use crate::engine::EngineError;
use crate::run::checkpoint::CheckpointError;
use crate::run::directory::RunError;
use crate::trainer::{RestoreError, TrainError};

/// Trains Generative Flow Networks on any GPU, and reports against exact answers.
///
/// Without a command: trains the preset `ising-quick`.
#[derive(Parser)]
#[command(name = "wgflow", version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Trains a policy and leaves a run directory
    Train(train::Arguments),
    /// Evaluates a run's policy with fresh samples
    Evaluate(evaluate::Arguments),
    /// Writes samples of a run's policy to a .npy or .csv file
    Sample(sample::Arguments),
    /// Measures the throughput of an engine
    Bench(bench::Arguments),
    /// Trains a suite of runs and compares them in a table
    Compare(compare::Arguments),
    /// Compares gradient estimators on a frozen policy: variance, bias, time
    Variance(variance::Arguments),
    /// Lists the GPU adapters of this machine
    Adapters(adapters::Arguments),
    /// Lists the built-in experiments and suites, or shows one
    Presets(presets::Arguments),
}

/// Parses the process's arguments, runs the command, and says how it ended.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match arguments.command.unwrap_or_else(|| Command::Train(train::Arguments::default())) {
        Command::Train(arguments) => train::run(arguments),
        Command::Evaluate(arguments) => evaluate::run(&arguments),
        Command::Sample(arguments) => sample::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Compare(arguments) => compare::run(&arguments),
        Command::Variance(arguments) => variance::run(&arguments),
        Command::Adapters(arguments) => adapters::run(&arguments),
        Command::Presets(arguments) => presets::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(if is_bad_usage(&error) { 2 } else { 1 })
        }
    }
}

/// Whether what was asked for is wrong, not how it went: code 2.
fn is_bad_usage(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.is::<ConfigError>()
            || cause.is::<CheckpointError>()
            || matches!(cause.downcast_ref(), Some(EngineError::Limit(_) | EngineError::NoAdapter(_)))
            || cause.downcast_ref().is_some_and(RunError::is_bad_usage)
            || matches!(cause.downcast_ref(), Some(RestoreError::Checkpoint(_)))
            || matches!(
                cause.downcast_ref(),
                Some(TrainError::Config(_) | TrainError::Engine(EngineError::Limit(_) | EngineError::NoAdapter(_)))
            )
    })
}

/// A flag that Ctrl-C (or SIGTERM) raises; the second signal ends the process at once.
fn stop_on_signal() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = stop.clone();
    // A handler of our own must not make the process immortal.
    let on_signal = move || {
        if flag.swap(true, Ordering::SeqCst) {
            std::process::exit(1);
        }
    };
    ctrlc::set_handler(on_signal).context("cannot install the handler of Ctrl-C")?;
    Ok(stop)
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
