//! Suites: a grid over configuration keys, times seeds, each run an ordinary run directory, and a table of them all.
//!
//! A suite file becomes a list of checked [`Run`]s before anything is carried out ([`Suite::read`]); [`work`] carries
//! them out, as many at a time as pays ([`jobs`]), all of them or those that other processes leave ([`queue`], [`shard`]); a
//! [`Comparison`] makes a table of their summaries.

mod comparison;
mod file;
mod grid;
pub mod jobs;
pub mod page;
pub mod queue;
pub mod shard;
pub mod statistics;
pub mod work;

pub use comparison::{Comparison, Entry, Row, legend};
pub use file::{Direction, Metric};

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;

use toml::{Table, Value};

use self::file::{File, Variant};
use self::grid::Axis;
use crate::config::{self, Config, ConfigError, EngineKind};
use crate::{presets, summary};

/// Bytes that the name of a directory can have.
const LONGEST_NAME: usize = 255;

/// Runs to be compared, all of them checked.
#[derive(Clone, Debug)]
pub struct Suite {
    pub name: String,
    /// Headings of what varies: key paths of the grid, then "variant" where there are variants.
    pub columns: Vec<String>,
    /// Number of leading columns that make a group: combinations equal in them are compared with each other.
    pub group: usize,
    pub metrics: Vec<Metric>,
    /// What the charts show over the iterations.
    pub curve: String,
    pub combinations: Vec<Combination>,
    pub runs: Vec<Run>,
    /// The suite file.
    pub source: String,
}

/// One setting of everything that varies but the seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Combination {
    /// Fit for a file name.
    pub name: String,
    /// What it sets, one text a column.
    pub labels: Vec<String>,
}

/// A combination with a seed.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Name of its directory.
    pub name: String,
    /// Which of the suite's combinations it belongs to.
    pub combination: usize,
    pub seed: i64,
    pub config: Config,
}

impl Suite {
    /// Reads a suite file; paths in it are relative to its directory.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = config::read(path)?;
        let directory = path.parent().unwrap_or(Path::new(""));
        Self::parse(&text, directory).map_err(|error| error.within(&path.display().to_string()))
    }

    /// The built-in suite of this name.
    pub fn preset(name: &str) -> Result<Self, ConfigError> {
        Self::parse(presets::suite(name)?, Path::new("")).map_err(|error| error.within(&format!("preset {name}")))
    }

    /// Parses a suite and checks the configuration of every run. Paths are relative to `directory`.
    pub fn parse(text: &str, directory: &Path) -> Result<Self, ConfigError> {
        let table = config::parse(text)?;
        let file: File = config::deserialise(table, "")?;
        let plain = file.name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        if !plain || !(1..=LONGEST_NAME).contains(&file.name.len()) || file.name.starts_with('.') {
            let allowed =
                "must be 1 to 255 letters, digits, `-`, `_` and `.`, not starting with `.`: it names a directory";
            return Err(ConfigError::new(format!("name = {:?}: {allowed}", config::quoted(&file.name))));
        }
        let known = summary::number_keys();
        file.metrics.iter().try_for_each(|metric| metric.check(&known))?;
        file::check_curve(&file.curve, &known)?;
        let seeds = file::seeds(&file.seeds)?;
        let mut axes = grid::axes(&file.grid)?;
        let group = grid::lead(&mut axes, file.group.as_deref())?;
        check_variants(&file.variants, &axes)?;
        let base = base(&file, directory)?;

        let mut columns: Vec<String> = axes.iter().map(|axis| axis.key.clone()).collect();
        columns.extend((!file.variants.is_empty()).then(|| "variant".to_string()));
        let (mut combinations, mut runs) = (Vec::new(), Vec::new());
        for values in grid::product(&axes) {
            let mut table = base.clone();
            for (axis, value) in axes.iter().zip(&values) {
                config::insert(&mut table, &axis.key, (*value).clone())?;
            }
            let variants = file.variants.iter().map(Some);
            for variant in variants.chain(file.variants.is_empty().then_some(None)) {
                let combination = Combination::new(&axes, &values, variant);
                let mut table = table.clone();
                if let Some(variant) = variant {
                    grid::overlay(&mut table, &variant.set)?;
                }
                for &seed in &seeds {
                    table.insert("seed".into(), Value::Integer(seed));
                    config::anchor(&mut table, directory)?;
                    let name = run_name(&combination.name, seed)?;
                    let config = Config::from_table(table.clone());
                    let config = config.map_err(|error| error.within(&format!("run {name}")))?;
                    runs.push(Run { name, combination: combinations.len(), seed, config });
                }
                combinations.push(combination);
            }
        }
        let names: BTreeSet<&str> = runs.iter().map(|run| run.name.as_str()).collect();
        if names.len() < runs.len() {
            return Err(ConfigError::new("two combinations have the same name; give variants names that differ"));
        }
        let File { name, metrics, curve, .. } = file;
        Ok(Self { name, columns, group, metrics, curve, combinations, runs, source: text.into() })
    }

    /// The groups, as ranges of combinations: those equal in a group's columns lie together, for these vary slowest.
    pub fn groups(&self) -> Vec<Range<usize>> {
        let mut start = 0;
        let equal = |a: &Combination, b: &Combination| a.labels[..self.group] == b.labels[..self.group];
        let range = |part: &[Combination]| {
            start += part.len();
            start - part.len()..start
        };
        self.combinations.chunk_by(equal).map(range).collect()
    }

    /// Has all runs use this engine, whatever the suite says.
    pub fn set_engine(&mut self, kind: EngineKind) {
        self.runs.iter_mut().for_each(|run| run.config.settings.engine.kind = kind);
    }
}

impl Combination {
    fn new(axes: &[Axis], values: &[&Value], variant: Option<&Variant>) -> Self {
        let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_string();
        let short = |key: &str| {
            let alone = axes.iter().filter(|axis| last(&axis.key) == last(key)).count() == 1;
            if alone { last(key) } else { key.to_string() }
        };
        let mut labels: Vec<String> = values.iter().map(|value| grid::shown(value)).collect();
        let mut parts: Vec<String> =
            axes.iter().zip(&labels).map(|(axis, label)| format!("{}-{label}", short(&axis.key))).collect();
        labels.extend(variant.map(|variant| variant.name.clone()));
        parts.extend(variant.map(|variant| variant.name.clone()));
        let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
        Self { name: parts.join("_").chars().map(plain).collect(), labels }
    }
}

/// The name of a run and of its directory, which file systems allow no more than [`LONGEST_NAME`] bytes.
fn run_name(combination: &str, seed: i64) -> Result<String, ConfigError> {
    let name = if combination.is_empty() { format!("seed-{seed}") } else { format!("{combination}_seed-{seed}") };
    if name.len() > LONGEST_NAME {
        let (found, allowed) = (name.len(), format!("a directory's can have {LONGEST_NAME}"));
        let cure = "shorten the names of variants, or put what several grid keys set together into variants";
        return Err(ConfigError::new(format!("run {name}: its name has {found} bytes, {allowed}: {cure}")));
    }
    Ok(name)
}

/// Variants have distinct names and leave alone what the grid and the seeds set.
fn check_variants(variants: &[Variant], axes: &[Axis]) -> Result<(), ConfigError> {
    for (index, variant) in variants.iter().enumerate() {
        let refuse = |what: String| Err(ConfigError::new(format!("variants: {:?} {what}", variant.name)));
        if variant.name.is_empty() || variants[..index].iter().any(|other| other.name == variant.name) {
            return refuse("is there twice or empty: every variant needs its own name".into());
        }
        for (key, _) in grid::flatten(&variant.set) {
            if key == "seed" {
                return refuse("sets seed; seeds belong to the key `seeds` of the suite".into());
            }
            if axes.iter().any(|axis| axis.key == key) {
                return refuse(format!("sets {key}, which the grid sets as well"));
            }
        }
    }
    Ok(())
}

/// The keys that all runs share.
fn base(file: &File, directory: &Path) -> Result<Table, ConfigError> {
    let mut table = match &file.base {
        Some(path) if path.ends_with(".toml") => {
            let path = directory.join(path);
            let within = |error: ConfigError| error.within(&format!("base {}", path.display()));
            let text = config::read(&path).map_err(|error| error.within("base"))?;
            Config::table(&text, &[], path.parent().unwrap_or(Path::new(""))).map_err(within)?
        }
        Some(preset) => presets::table(preset).map_err(|error| error.within("base"))?,
        None if file.experiment.is_empty() => {
            return Err(ConfigError::new(
                "base is missing: a preset's name, a file, or a table [experiment] is needed",
            ));
        }
        None => Table::new(),
    };
    grid::overlay(&mut table, &file.experiment).map_err(|error| error.within("experiment"))?;
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_document_is_a_suite() {
        let document = include_str!("../../docs/compare.md");
        let example = document.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
        let suite = Suite::parse(example, Path::new("")).unwrap();
        assert_eq!((suite.combinations.len(), suite.runs.len()), (8, 24));
        let named = &suite.runs[3].name;
        assert!(document.contains(named), "{named} is not in the document");
        assert_eq!(suite.groups(), [0..4, 4..8]);
        let config = &suite.runs[23].config;
        assert_eq!((config.settings.seed, config.settings.training.batch), (3, 256));
    }

    #[test]
    fn tables_that_are_absent_and_tables_that_are_empty_are_the_same() {
        let parse = |more: &str| {
            let suite =
                Suite::parse(&format!("name = 'n'\nbase = 'ising-quick'\nseeds = 2\n{more}"), Path::new("")).unwrap();
            (suite.columns, suite.group, suite.metrics, suite.curve, suite.combinations, suite.runs)
        };
        let plain = parse("");
        let metrics = "metrics = [{ key = 'elbo', best = 'higher' }, { key = 'log_z_exact' }, \
                       { key = 'log_z_estimate', best = 'closest', to = 'log_z_exact' }]";
        assert_ne!(parse(metrics).2, plain.2, "another order of columns");
        let whole = "metrics = [{ key = 'elbo', best = 'higher' }, \
                     { key = 'log_z_estimate', best = 'closest', to = 'log_z_exact' }, { key = 'log_z_exact' }]";
        for more in ["[grid]", "[experiment]", "variants = []", "curve = 'elbo'", "group = []", whole] {
            assert_eq!(parse(more), plain, "{more}");
        }
    }

    #[test]
    fn the_group_s_columns_come_first_and_vary_slowest() {
        let text = "
            name = 'n'
            base = 'ising-quick'
            seeds = [4]
            group = ['training.batch']
            [grid]
            'optimizer.learning_rate' = [1e-3, 1e-2]
            'training.batch' = [64, 128]
        ";
        let suite = Suite::parse(text, Path::new("")).unwrap();
        assert_eq!(suite.columns, ["training.batch", "optimizer.learning_rate"]);
        let names: Vec<&str> = suite.runs.iter().map(|run| run.name.as_str()).collect();
        assert_eq!(names[0], "batch-64_learning_rate-0.001_seed-4");
        assert_eq!(names[1], "batch-64_learning_rate-0.01_seed-4");
        assert_eq!(suite.groups(), [0..2, 2..4]);
    }
}
