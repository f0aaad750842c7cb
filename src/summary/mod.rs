//! What a finished run leaves behind for people and programs: `summary.json`, pictures, `report.html`.

mod page;

use serde::Serialize;
use serde_json::Value;

use crate::config::Config;
use crate::evaluation::{Best, Evaluated, Evaluation, Marginals, ModesFound, Tempered, TestSet, Top, Verdict};
use crate::metrics::exact::Comparison;
use crate::report::PictureError;
use crate::run::claim::Claim;
use crate::run::error::RunError;
use crate::run::times::Times;
use crate::targets::{Mixing, Target};
use crate::trainer::Trainer;

/// The contents of `summary.json`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Summary {
    #[serde(flatten)]
    pub evaluation: Evaluation,
    /// ELBO of the first batch, before any step of training.
    pub elbo_before_training: Option<f64>,
    /// The learned log Z, where the objective learns one.
    pub zeta: Option<f64>,
    /// Modes that forward trajectories of training have ended in, where the target knows its modes.
    pub modes_found_in_training: Option<usize>,
    pub iterations: u32,
    /// Steps skipped for want of a finite gradient.
    pub skipped: u32,
    /// Over all processes that trained the run, evaluations and saving left out; none if no iteration was timed.
    pub iterations_per_second: Option<f64>,
    pub trajectories_per_second: Option<f64>,
    /// Spent on training, on evaluations and on saving, over all these processes.
    pub seconds: f64,
    pub evaluation_seconds: f64,
    pub saving_seconds: f64,
    pub parameters: usize,
    pub engine: String,
    pub adapter: String,
    /// The sizes of a GPU's kernels, and what they are for; no `tiling` where they are those that suit its kind.
    pub kernels: Option<Value>,
    pub seed: u64,
    pub version: &'static str,
}

/// The keys of `summary.json` that may hold a number; `a.b` is the key b of the object a.
pub fn number_keys() -> Vec<String> {
    fn collect(prefix: &str, value: &Value, keys: &mut Vec<String>) {
        for (key, value) in value.as_object().into_iter().flatten() {
            let key = format!("{prefix}{key}");
            match value {
                Value::Object(_) => collect(&format!("{key}."), value, keys),
                Value::Number(_) | Value::Null => keys.push(key),
                _ => {}
            }
        }
    }
    // Every object and text that there may be, so that what is null can only be a number.
    let (exact, text) = (Some(Comparison::default()), Some(String::new()));
    let verdict = Some(Verdict::default());
    let (marginals, best) = (Some(Marginals::default()), Some(Best::default()));
    let (test_set, top, modes) = (Some(TestSet::default()), Some(Top::default()), Some(ModesFound::default()));
    let tempered = Some(Tempered { log_weight: 0.0, standard_error: 0.0 });
    let evaluation = Evaluation {
        exact,
        verdict,
        marginals,
        best,
        tempered,
        test_set,
        top,
        modes,
        target_sampler: Some(Mixing::default()),
        log_z_exact_missing: text.clone(),
        eubo_missing: text,
        ..Evaluation::default()
    };
    let full = serde_json::to_value(Summary { evaluation, kernels: Some(Value::from("")), ..Summary::default() });
    let mut keys = Vec::new();
    collect("", &full.expect("a summary holds numbers and texts"), &mut keys);
    keys
}

/// A number of a summary or an evaluation by its key, `a.b` being the key b of the object a.
pub fn number(object: &Value, key: &str) -> Option<f64> {
    key.split('.').fold(object, |place, key| &place[key]).as_f64()
}

/// Why a summary could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SummaryError {
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Picture(#[from] PictureError),
}

/// Writes the picture of what the policy samples, where the target has one: while a run is trained, a newer one takes its place
/// after every evaluation.
pub fn show_samples(run: &Claim, target: &dyn Target, evaluated: &Evaluated) -> Result<(), SummaryError> {
    if let Some(picture) = page::samples(target, evaluated)? {
        run.write(&format!("{}.png", picture.name), &picture.figure.png)?;
    }
    Ok(())
}

/// Writes summary, pictures and report of a finished run. `metrics` are the lines of its log.
pub fn write(
    run: &Claim,
    config: &Config,
    trainer: &mut Trainer,
    evaluated: &Evaluated,
    metrics: &[Value],
    times: Times,
) -> Result<Summary, SummaryError> {
    let rate = times.rate();
    let summary = Summary {
        evaluation: evaluated.evaluation.clone(),
        elbo_before_training: metrics
            .first()
            .filter(|line| line["iteration"] == 0)
            .and_then(|line| line["elbo"].as_f64()),
        zeta: trainer.zeta(),
        modes_found_in_training: trainer.modes_found(),
        iterations: trainer.iteration(),
        skipped: trainer.skipped(),
        iterations_per_second: rate,
        trajectories_per_second: rate.map(|rate| rate * trainer.settings().training.batch as f64),
        seconds: times.training_seconds,
        evaluation_seconds: times.evaluation_seconds,
        saving_seconds: times.saving_seconds,
        parameters: trainer.parameters().len(),
        engine: trainer.engine().name(),
        adapter: trainer.engine().adapter(),
        kernels: trainer.kernels().and_then(|kernels| serde_json::from_str(kernels).ok()),
        seed: trainer.settings().seed,
        version: env!("CARGO_PKG_VERSION"),
    };
    let pictures = page::pictures(&summary, trainer.target(), evaluated, metrics)?;
    for picture in &pictures {
        run.write(&format!("{}.png", picture.name), &picture.figure.png)?;
    }
    run.write("report.html", page::render(&summary, config, trainer.target().labels(), &pictures).as_bytes())?;
    // Last, so that a run with a summary is a finished one.
    let text = serde_json::to_string_pretty(&summary).expect("a summary holds numbers and texts");
    run.write("summary.json", format!("{text}\n").as_bytes())?;
    Ok(summary)
}

impl Summary {
    /// The summary as lines for a terminal.
    pub fn for_people(&self) -> String {
        let mut text = self.evaluation.to_string();
        if let Some(before) = self.elbo_before_training {
            text += &format!("\n  before training      ELBO {before:.4}");
        }
        if let (Some(iterations), Some(trajectories)) = (self.iterations_per_second, self.trajectories_per_second) {
            text += &format!("\n  speed                {iterations:.1} iterations/s, {trajectories:.0} trajectories/s");
        }
        if let (Some(found), Some(modes)) = (self.modes_found_in_training, self.evaluation.modes) {
            text += &format!("\n  modes in training    {found} of {}", modes.of);
        }
        if self.skipped > 0 {
            text += &format!("\n  skipped steps        {} (no finite gradient)", self.skipped);
        }
        text
    }
}
