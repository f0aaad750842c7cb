//! `wgflow exact`: log Z, marginals and samples of a model from a file, by elimination.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::{output, paths};
use crate::config::ConfigError;
use crate::memory;
use crate::models::elimination::{Eliminated, Plan, TooWide};
use crate::models::{self, FactorGraph, Format};
use crate::process::Objects;
use crate::random::{Draw, Stream};
use crate::run::{files, samples};

/// Variables whose marginals are shown to people, and values of each.
const SHOWN: (usize, usize) = (40, 4);

/// Log Z, marginals and samples of a model from a file, exactly
///
/// Variables are summed out one after the other. What that takes grows exponentially with the induced width of the model's graph,
/// and is refused, with the width and the memory, where it is more than may be taken.
#[derive(clap::Args)]
pub struct Arguments {
    /// A model: a factor graph, spin glass, max-cut, QUBO or Potts model
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The file's format (without it, told by suffix and content): uai, uai_log, spin_glass, spin_glass_server, max_cut, qubo,
    /// dimod_coo, dimod_json, bqpjson, adabmdca, ccmpred, scipy_sparse
    #[arg(long, value_name = "F")]
    format: Option<Format>,
    /// Values that some variables have: an .evid file, variables and values counted from 0
    #[arg(long, value_name = "FILE")]
    evidence: Option<PathBuf>,
    /// Multiplies every log factor, -E for a model with energies
    #[arg(long, value_name = "B", default_value_t = 1.0)]
    beta: f64,
    /// Memory that tables may take (without it, half of what is free)
    #[arg(long, value_name = "M", value_parser = clap::value_parser!(u64).range(1..=1 << 30))]
    memory_mib: Option<u64>,
    /// Where to write log10 Z as the UAI competitions want it: a line `PR`, and the number
    #[arg(long, value_name = "FILE")]
    pr: Option<PathBuf>,
    /// Where to write the marginals as the UAI competitions want them: a line `MAR`, and one with the number of variables and, for
    /// each, its number of values and their probabilities
    #[arg(long, value_name = "FILE")]
    mar: Option<PathBuf>,
    /// Number of independent exact samples to write
    #[arg(short = 'n', value_name = "N", requires = "out", value_parser = clap::value_parser!(u32).range(1..=1 << 24))]
    count: Option<u32>,
    /// Where to write them, its ending .npy (uint8 [n, variables], values counted from 0) or .csv (the file's own labels)
    #[arg(long, value_name = "FILE", requires = "count")]
    out: Option<PathBuf>,
    /// Chooses the random numbers of the samples
    #[arg(long, value_name = "S", default_value_t = 1, value_parser = super::seeds())]
    seed: u64,
    /// Writes one JSON object to standard output, and nothing else there
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let out = match &arguments.out {
        Some(out) => {
            let format = samples::Format::of(out).map_err(|error| ConfigError::new(error.to_string()))?;
            Some((paths::writable(out)?, format))
        }
        None => None,
    };
    let [pr, mar] = [&arguments.pr, &arguments.mar].map(|path| path.as_deref().map(paths::writable).transpose());
    let (pr, mar) = (pr?, mar?);
    check_apart([("--out", out.as_ref().map(|(out, _)| out)), ("--pr", pr.as_ref()), ("--mar", mar.as_ref())])?;
    let graph = model(arguments)?;
    let budget = match arguments.memory_mib {
        Some(mib) => mib << 20,
        None => memory::available().map_or(1 << 30, |free| free / 2),
    };
    let plan = Plan::of(&graph);
    let beyond = |error: TooWide| {
        let how = if error.whole { ": --memory-mib gives it more" } else { "" };
        ConfigError::new(format!("{error}{how}"))
    };
    // Without room to keep every table there is still log Z, which keeps few of them.
    let fits = plan.bytes_of_samples() <= budget as f64;
    let mut answer = Answer { width: plan.width(), bytes: plan.bytes_of_log_z(), log_z: 0.0, marginals: None };
    if fits || out.is_some() || mar.is_some() {
        answer.bytes = plan.bytes_of_samples();
        let eliminated = plan.eliminate(graph.clone(), budget).map_err(beyond)?;
        (answer.log_z, answer.marginals) = (eliminated.log_z(), eliminated.marginals());
        if let (Some((out, format)), Some(count)) = (&out, arguments.count) {
            let objects = draw(&eliminated, arguments, count)?;
            samples::write(out, *format, &objects, Some(graph.labels()))?;
        }
    } else {
        answer.log_z = plan.log_z(&graph, budget).map_err(beyond)?;
    }
    if let Some(mar) = &mar {
        let none = || ConfigError::new("every object is forbidden: there are no marginals for --mar");
        files::write(mar, mar_text(answer.marginals.as_ref().ok_or_else(none)?).as_bytes())?;
    }
    if let Some(pr) = &pr {
        files::write(pr, format!("PR\n{}\n", answer.log10_z()).as_bytes())?;
    }
    if arguments.json {
        let mut object = answer.to_json(&graph);
        object["file"] = output::shown(&arguments.file).into();
        object["beta"] = arguments.beta.into();
        output::give(&format!("{object}\n"))?;
    } else {
        output::give(&answer.to_text(&graph))?;
        if let (Some((out, _)), Some(count)) = (&out, arguments.count) {
            output::tell(&format!("wrote {count} exact samples to {}, seed {}", out.display(), arguments.seed));
        }
        pr.iter().for_each(|pr| output::tell(&format!("wrote log10 Z to {}", pr.display())));
        mar.iter().for_each(|mar| output::tell(&format!("wrote the marginals to {}", mar.display())));
    }
    Ok(())
}

/// Refuses files to be written that are the same.
fn check_apart(files: [(&str, Option<&PathBuf>); 3]) -> Result<(), ConfigError> {
    for (index, (first, path)) in files.iter().enumerate().filter(|(_, (_, path))| path.is_some()) {
        if let Some((second, _)) = files[index + 1..].iter().find(|(_, other)| other == path) {
            return Err(ConfigError::new(format!("{first} and {second} name the same file: give each its own")));
        }
    }
    Ok(())
}

/// The model in the file, given the evidence.
fn model(arguments: &Arguments) -> anyhow::Result<FactorGraph> {
    paths::readable(&arguments.file)?;
    let graph = models::read(&arguments.file, arguments.format, arguments.beta)?;
    let Some(evidence) = &arguments.evidence else { return Ok(graph) };
    paths::readable(evidence)?;
    Ok(graph.given(&models::read_evidence(evidence, &graph)?))
}

fn draw(eliminated: &Eliminated, arguments: &Arguments, count: u32) -> Result<Objects, ConfigError> {
    let none = || ConfigError::new("every object is forbidden: there is nothing to sample");
    let draw = Draw::new(arguments.seed, 0, Stream::TargetSampler);
    eliminated.sample(&draw, count as usize).ok_or_else(none)
}

/// Marginals in the form of the UAI competition of 2014, every digit of them.
fn mar_text(marginals: &[Vec<f64>]) -> String {
    let numbers = |probabilities: &Vec<f64>| {
        let digits: String = probabilities.iter().map(|probability| format!(" {probability}")).collect();
        format!(" {}{digits}", probabilities.len())
    };
    format!("MAR\n{}{}\n", marginals.len(), marginals.iter().map(numbers).collect::<String>())
}

/// What was found.
struct Answer {
    width: usize,
    /// Of tables.
    bytes: f64,
    log_z: f64,
    marginals: Option<Vec<Vec<f64>>>,
}

impl Answer {
    fn log10_z(&self) -> f64 {
        self.log_z / std::f64::consts::LN_10
    }

    /// Numbers that are minus infinity are null.
    fn to_json(&self, graph: &FactorGraph) -> Value {
        let labels = graph.labels();
        let marginal = |(variable, probabilities): (usize, &Vec<f64>)| {
            let values = probabilities.iter().enumerate();
            let values: Map<String, Value> = values.map(|(v, p)| (labels.value(v).into(), (*p).into())).collect();
            json!({"variable": labels.variable(variable), "probabilities": values})
        };
        let marginals = self.marginals.as_ref();
        json!({
            "variables": graph.variables(),
            "factors": graph.factors().len(),
            "induced_width": self.width,
            "table_bytes": self.bytes,
            "log_z": self.log_z,
            "log10_z": self.log10_z(),
            "marginals": marginals.map(|all| all.iter().enumerate().map(marginal).collect::<Vec<_>>()),
        })
    }

    fn to_text(&self, graph: &FactorGraph) -> String {
        let mut lines = vec![
            format!("  variables            {}, {} factors", graph.variables(), graph.factors().len()),
            format!("  induced width        {}, {} of tables", self.width, memory::text(self.bytes as u64)),
        ];
        if self.log_z == f64::NEG_INFINITY {
            lines.push("  log Z                minus infinity: every object is forbidden".into());
        } else {
            lines.push(format!("  log Z                {:.10}", self.log_z));
            lines.push(format!("  log10 Z              {:.10}", self.log10_z()));
        }
        match &self.marginals {
            Some(marginals) => lines.extend(marginal_lines(graph, marginals)),
            None if self.log_z.is_finite() => lines.push("  marginals            need more memory than log Z".into()),
            None => {}
        }
        lines.join("\n") + "\n"
    }
}

/// A line a variable, its most probable values first.
fn marginal_lines(graph: &FactorGraph, marginals: &[Vec<f64>]) -> Vec<String> {
    let labels = graph.labels();
    let line = |(variable, probabilities): (usize, &Vec<f64>)| {
        let mut values: Vec<usize> = (0..probabilities.len()).collect();
        values.sort_by(|&one, &other| probabilities[other].total_cmp(&probabilities[one]));
        let shown = values.iter().take(SHOWN.1).map(|&v| format!("{} {:.6}", labels.value(v), probabilities[v]));
        let more = if values.len() > SHOWN.1 { ", ..." } else { "" };
        format!("  {:20} {}{more}", labels.variable(variable), shown.collect::<Vec<_>>().join(", "))
    };
    let mut lines = vec!["  probabilities of the values of each variable:".to_owned()];
    lines.extend(marginals.iter().enumerate().take(SHOWN.0).map(line));
    if marginals.len() > SHOWN.0 {
        lines.push(format!("  and {} more variables: --json has all", marginals.len() - SHOWN.0));
    }
    lines
}
