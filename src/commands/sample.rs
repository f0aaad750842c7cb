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
    /// Writes only the best N (without a number 1) of the objects drawn: those of largest log R, each once, with log R and the
    /// target's energy or cut in a .csv
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "1",
        value_parser = clap::value_parser!(u32).range(1..=1 << 24))]
    best: Option<u32>,
    /// File to write, its ending .npy (uint8 [n, sites]) or .csv
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let format = Format::of(&arguments.out).map_err(|error| ConfigError::new(error.to_string()))?;
    let out = paths::writable(&arguments.out)?;
    paths::run(&arguments.run.run)?;
    let mut session = Session::open(&arguments.run.run, |sizes| sizes.samples = arguments.count as usize)?;
    if arguments.best.is_some() && !session.trainer().target().has_reward() {
        return Err(
            ConfigError::new("--best: the target has data and no R, so no object is better than another").into()
        );
    }
    let seed = Seed::Fresh(arguments.seed);
    let (_, objects) = evaluation::forward(session.trainer(), arguments.count as usize, seed, &Stop::default())?;
    let (sites, seed, shown) = (objects.sites(), arguments.seed, arguments.out.display());
    let target = session.trainer().target();
    let Some(count) = arguments.best else {
        samples::write(&out, format, &objects, target.labels())?;
        output::tell(&format!("wrote {} objects of {sites} sites to {shown}, seed {seed}", arguments.count));
        return Ok(());
    };
    let best = evaluation::best_of(target, &objects, count as usize)?;
    samples::write_best(&out, format, &best, sites, target.labels())?;
    let found = best.first().map_or("none is allowed".into(), |first| match first.told() {
        Some((name, value)) => format!("log R {:.6}, {name} {value}", first.log_reward),
        None => format!("log R {:.6}", first.log_reward),
    });
    let (written, drawn) = (best.len(), arguments.count);
    output::tell(&format!("wrote the best {written} of {drawn} objects to {shown}, seed {seed}; the best: {found}"));
    Ok(())
}
