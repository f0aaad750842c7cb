//! `wgflow evaluate`: a run's policy against what is known of the target, with fresh samples.

use super::RunArgument;
use crate::session::Session;
use crate::{evaluation, summary};

#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    run: RunArgument,
    /// Number of forward samples (without it, evaluation.samples of the run)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=1 << 24))]
    samples: Option<u32>,
    /// Writes one JSON object to standard output, and nothing else there
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut session = Session::open(&arguments.run.run)?;
    let engine = session.engine().to_string();
    let trainer = session.trainer();
    let samples = arguments.samples.map_or(trainer.settings().evaluation.samples, |count| count as usize);
    let evaluation = evaluation::evaluate(trainer, samples)?.evaluation;
    let iteration = trainer.iteration();
    if arguments.json {
        let mut object = serde_json::to_value(&evaluation)?;
        object["iteration"] = iteration.into();
        object["engine"] = engine.into();
        println!("{object}");
    } else {
        println!("engine: {engine}\niterations: {iteration}\n{}", summary::evaluation_lines(&evaluation));
    }
    Ok(())
}
