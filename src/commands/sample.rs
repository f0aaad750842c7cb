//! `wgflow sample`: objects drawn from a run's policy, in a file.

use std::path::PathBuf;

use super::{RunArgument, output, paths};
use crate::config::ConfigError;
use crate::evaluation::{self, Seed};
use crate::run::samples::{self, Format};
use crate::session::Session;
use crate::stop::Stop;

#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    run: RunArgument,
    /// Number of objects
    #[arg(short = 'n', value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1 << 24))]
    count: u32,
    /// Chooses the random numbers: another number gives independent objects, the same one those that `evaluate` begins with;
    /// none gives those of the run's own evaluations
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = super::seeds())]
    seed: u64,
    /// File to write, its ending .npy (uint8 [n, sites]) or .csv
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let format = Format::of(&arguments.out).map_err(|error| ConfigError::new(error.to_string()))?;
    let out = paths::writable(&arguments.out)?;
    paths::run(&arguments.run.run)?;
    let mut session = Session::open(&arguments.run.run, |sizes| sizes.samples = arguments.count as usize)?;
    let seed = Seed::Fresh(arguments.seed);
    let (_, objects) = evaluation::forward(session.trainer(), arguments.count as usize, seed, &Stop::default())?;
    samples::write(&out, format, &objects, session.trainer().target().labels())?;
    let (sites, seed, out) = (objects.sites(), arguments.seed, arguments.out.display());
    output::tell(&format!("wrote {} objects of {sites} sites to {out}, seed {seed}", arguments.count));
    Ok(())
}
