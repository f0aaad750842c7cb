//! `wgflow evaluate`: a run's policy against what is known of the target, with fresh samples.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::{RunArgument, output, paths};
use crate::config::{ConfigError, EvaluationConfig};
use crate::evaluation::{self, Enumerated, Evaluated, EvaluationError, Seed};
use crate::run::samples;
use crate::session::Session;
use crate::stop::Stop;
use crate::targets::Target;
use crate::trainer::Trainer;

#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    run: RunArgument,
    /// Number of forward samples (without it, evaluation.samples of the run)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=1 << 24))]
    samples: Option<u32>,
    /// Number of data points that the likelihood is a mean over (without it, evaluation.nll_points of the run)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=1 << 20))]
    nll_points: Option<u32>,
    /// Chooses the random numbers: another number gives independent samples, the same one the same; none gives those of the
    /// run's own evaluations
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = super::seeds())]
    seed: u64,
    /// Compares with the target object by object: up to 18 sites of two values (16 take some 90 seconds on 2 cores), or ten million
    /// states of a hypergrid
    #[arg(long)]
    exact: bool,
    /// Writes the marginals of every site to this .csv: of the policy's samples, of the same with importance weights, and exact ones
    /// where they are known (at most 2^20 lines; with --json, how far the worst is off in standard errors)
    #[arg(long, value_name = "FILE")]
    marginals: Option<PathBuf>,
    /// Writes one JSON object to standard output, and nothing else there
    #[arg(long)]
    json: bool,
}

/// Lines of a file of marginals.
const MOST_SHARES: usize = 1 << 20;

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let marginals = arguments.marginals.as_deref().map(paths::writable).transpose()?;
    paths::run(&arguments.run.run)?;
    let size = |sizes: &mut EvaluationConfig| {
        sizes.samples = arguments.samples.map_or(sizes.samples, |count| count as usize);
        sizes.nll_points = arguments.nll_points.map_or(sizes.nll_points, |count| count as usize);
    };
    let mut session = Session::open(&arguments.run.run, size)?;
    let engine = session.engine().to_string();
    let trainer = session.trainer();
    let mut sizes = trainer.settings().evaluation.clone();
    size(&mut sizes);
    if arguments.exact {
        let refused = |message| ConfigError::new(format!("--exact: {message}"));
        evaluation::allows_enumeration(trainer).map_err(refused)?;
    }
    let seed = Seed::Fresh(arguments.seed);
    let evaluated = evaluation::evaluate_sized(trainer, &sizes, seed, &Stop::default())?;
    let worst = marginals.map(|file| write_marginals(&file, trainer.target(), &evaluated)).transpose()?.flatten();
    let mut evaluation = evaluated.evaluation;
    if arguments.exact && evaluation.exact.is_none() {
        evaluation.exact = Some(enumerate(trainer, !arguments.json)?.comparison);
    }
    let iteration = trainer.iteration();
    if arguments.json {
        let mut object = serde_json::to_value(&evaluation)?;
        object["iteration"] = iteration.into();
        object["engine"] = engine.into();
        object["evaluation_seed"] = arguments.seed.into();
        if let Some([policy, weighted]) = worst {
            object["worst_marginal_in_standard_errors"] = json!({ "policy": policy, "weighted": weighted });
        }
        output::give(&format!("{object}\n"))?;
    } else {
        let (seed, found) = (arguments.seed, &evaluation);
        let head = format!("engine: {engine}\niterations: {iteration}\nseed of this evaluation: {seed}");
        let off = worst.map_or(String::new(), |[policy, weighted]| {
            format!("  marginals            off by {policy:.1} standard errors at most, weighted by {weighted:.1}\n")
        });
        output::give(&format!("{head}\n{found}\n{off}"))?;
    }
    Ok(())
}

/// Writes the marginals; how far the worst of them are off, where the exact ones are known.
fn write_marginals(file: &Path, target: &dyn Target, evaluated: &Evaluated) -> anyhow::Result<Option<[f64; 2]>> {
    let Evaluated { evaluation, gflownet, log_weights, .. } = evaluated;
    let shares = evaluation::shares(target, gflownet, log_weights, MOST_SHARES);
    samples::write_shares(file, &shares, target.labels())?;
    let (written, sites) = (shares.len() / target.values(), target.sites());
    if written < sites {
        output::complain(&format!("{} has the first {written} of {sites} sites, as many as it may", file.display()));
    }
    Ok(evaluation::worst(&shares, [evaluation.samples as f64, evaluation.ess]))
}

/// The exact comparison, with a line on standard error for every tenth of the work.
fn enumerate(trainer: &mut Trainer, aloud: bool) -> Result<Enumerated, EvaluationError> {
    let mut tenths = 0;
    evaluation::enumerate(trainer, |fraction| {
        while aloud && fraction * 10.0 >= f64::from(tenths + 1) {
            tenths += 1;
            output::complain(&format!("exact probabilities: {}%", 10 * tenths));
        }
        Ok(())
    })
}
