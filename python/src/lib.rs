//! The Python package `wgflow`: runs in directories as the program makes them, with targets and callbacks in Python.
//!
//! Docstrings here are those that Python shows; the types stand in `package/wgflow/_wgflow.pyi`.

mod convert;
mod errors;
mod observer;
mod run;
mod target;
mod watch;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use pyo3::prelude::*;
use pyo3::types::PyDict;
use wgflow::config::{Config, ConfigError, Inputs};
use wgflow::presets;

use crate::run::Run;

/// The compiled half of the package `wgflow`.
#[pymodule]
mod _wgflow {
    #[pymodule_export]
    use super::{Run, command, config, train};

    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}

/// What an experiment is given as.
enum Experiment<'py> {
    Table(Bound<'py, PyDict>),
    File(PathBuf),
    Preset(String),
}

impl<'py> Experiment<'py> {
    /// A dict is an experiment itself; a text is the path of a file if it looks like one, else the name of a preset.
    fn of(given: &Bound<'py, PyAny>) -> PyResult<Self> {
        if let Ok(table) = given.cast::<PyDict>() {
            return Ok(Self::Table(table.clone()));
        }
        Ok(match given.extract::<String>() {
            Ok(text) if !text.ends_with(".toml") && Path::new(&text).components().count() == 1 => Self::Preset(text),
            _ => Self::File(given.extract()?),
        })
    }

    /// The experiment, and a name for its run.
    fn read(&self) -> PyResult<(String, Config)> {
        let (name, config) = match self {
            Self::Table(table) => ("python".into(), Config::parse(&convert::table(table)?.to_string(), &[])),
            Self::File(path) => {
                let stem = path.file_stem().map_or("run".into(), |stem| stem.to_string_lossy().into_owned());
                (stem, Config::read(path, &[]))
            }
            Self::Preset(name) => (name.clone(), presets::config(name, &[])),
        };
        Ok((name, config.map_err(errors::of)?))
    }
}

/// Trains a policy to the end, leaves a run directory, and gives the run.
///
/// `config` is a dict with the tables and keys of an experiment file, the path of such a file (a text that ends in
/// `.toml` or has a directory is one), or the name of a preset.
///
/// `target` is log R as a function, for an experiment with `target = {"kind": "own", "sites": ..., "values": ...}`. It
/// is called once a batch, in the thread that trains, with objects int64 [batch, sites], values from 0, and returns
/// log R, float64 [batch], minus infinity where R = 0, which must depend on nothing but the objects.
/// `callback` is called with every line of the metrics log (every `training.log_every` iterations, and after
/// evaluations on the way), and stops the training by returning anything true. The directory is `out`, or else the
/// first unused of `runs/NAME-1`, `runs/NAME-2`, ..., NAME being that of the preset or file, or `python`.
///
/// Python's lock is released meanwhile, so other threads run. Ctrl-C saves and raises KeyboardInterrupt; an exception
/// of `target` or `callback` ends the training as well, and comes through unchanged. `Run.open(...).resume()` goes on.
///
/// Raises ValueError for what is wrong with the experiment, naming the key, OSError for files that cannot be written,
/// RuntimeError where training fails: it diverged, or log R is NaN or plus infinity.
#[pyfunction]
#[pyo3(signature = (config, *, target=None, callback=None, out=None))]
fn train(
    py: Python<'_>,
    config: &Bound<'_, PyAny>,
    target: Option<Py<PyAny>>,
    callback: Option<Py<PyAny>>,
    out: Option<PathBuf>,
) -> PyResult<Run> {
    let (name, config) = Experiment::of(config)?.read()?;
    Run::begin(py, &name, config, target, callback, out)
}

/// The experiment of a preset, a file or a dict with every default written out, as a dict to be changed and trained.
///
/// Raises ValueError for what is wrong with it, naming the key.
#[pyfunction]
fn config<'py>(py: Python<'py>, source: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let (_, config) = Experiment::of(source)?.read()?;
    convert::experiment(py, &config)
}

/// Runs the program `wgflow` with these arguments, the first of them its name, and gives its exit code.
#[pyfunction]
fn command(py: Python<'_>, arguments: Vec<OsString>) -> u8 {
    py.detach(|| wgflow::commands::main(arguments))
}

/// Refuses a function where the experiment has a target of its own, and a target without a function where it has none.
fn check_target(config: &Config, has_function: bool) -> Result<(), ConfigError> {
    use wgflow::config::TargetConfig::Own;
    match (&config.target, has_function) {
        (Own(_), true) => Ok(()),
        (Own(_), false) => config.target.build(&Inputs::Files).map(drop),
        (_, false) => Ok(()),
        (_, true) => Err(ConfigError::new(
            "target: a function was given, and the experiment has a target of its own: in place of it set \
             target = {\"kind\": \"own\", \"sites\": ..., \"values\": ...}, or leave the function out",
        )),
    }
}
