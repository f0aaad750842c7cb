//! A run: its directory, and its policy as the last checkpoint has it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use numpy::ndarray::{Array1, Array2, ArrayD};
use numpy::{IntoPyArray, PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use wgflow::config::{Config, ConfigError, EvaluationConfig};
use wgflow::engine::Batch;
use wgflow::evaluation::{self, EvaluationError, Seed};
use wgflow::process::{NO_ACTION, Objects, Trajectories};
use wgflow::run::claim::Claim;
use wgflow::run::directory::RunDirectory;
use wgflow::session::Session;
use wgflow::stop::Stop;
use wgflow::targets::Target;

use crate::observer::Callback;
use crate::target::{self, Function};
use crate::watch::Watch;
use crate::{check_target, convert, errors};

/// A run in its directory, and its policy as the last checkpoint has it.
///
/// One call at a time works with the policy: RuntimeError where another thread or a callback does already. What the
/// directory says (`path`, `config`, `metrics`, `summary`) can be asked for at any time. `seed` chooses random numbers,
/// 0 to 2^63 - 1: the same one gives the same samples, those of the program with `--seed`.
#[pyclass(module = "wgflow", frozen)]
pub struct Run {
    path: PathBuf,
    function: Option<Arc<Function>>,
    watch: Arc<Watch>,
    held: Mutex<Held>,
}

/// What one call at a time works with.
struct Held {
    session: Session,
    /// log P_F^T of every object, where they have been enumerated for this state.
    enumerated: Option<Vec<f64>>,
}

impl Held {
    fn new(session: Session) -> Self {
        Self { session, enumerated: None }
    }
}

impl Run {
    /// Begins a run and trains it. Nothing is written where the experiment does not fit the machine.
    pub fn begin(
        py: Python<'_>,
        name: &str,
        config: Config,
        target: Option<Py<PyAny>>,
        callback: Option<Py<PyAny>>,
        out: Option<PathBuf>,
    ) -> PyResult<Self> {
        check_target(&config, target.is_some()).map_err(errors::of)?;
        let watch = Watch::new();
        let function = target.and_then(|target| Function::new(&config, target, &watch));
        let (path, session) = watch.over(py, |stop| {
            let mut session = Session::with_target(config.clone(), shared(&function))?;
            let claim = match &out {
                Some(path) => Claim::create(path, &config)?,
                None => Claim::create_unused(name, &config)?,
            };
            session.run(&claim, stop, None, &mut Callback { function: callback, watch: &watch, stop })?;
            Ok((claim.path().to_owned(), session))
        })?;
        Ok(Self { path, function, watch, held: Mutex::new(Held::new(session)) })
    }

    /// The session, for one call at a time: it may come back from a callback into the run that it belongs to.
    fn held(&self) -> PyResult<MutexGuard<'_, Held>> {
        let busy = |_| {
            PyRuntimeError::new_err("the run is in the hands of another call, which trains, samples or evaluates it")
        };
        self.held.try_lock().map_err(busy)
    }

    /// Does with it what needs no Python.
    fn with_held<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut Held, &Stop) -> anyhow::Result<T> + Send,
    ) -> PyResult<T> {
        let mut held = self.held()?;
        let held = &mut *held;
        self.watch.over(py, |stop| work(held, stop))
    }

    fn config_now(&self) -> PyResult<Config> {
        Ok(RunDirectory::open(&self.path, &[]).map_err(errors::of)?.1)
    }
}

fn shared(function: &Option<Arc<Function>>) -> Option<Arc<dyn Target>> {
    function.clone().map(|function| function as Arc<dyn Target>)
}

#[pymethods]
impl Run {
    /// The run in this directory; one with a target of kind "own" needs its function again.
    ///
    /// Raises ValueError for a directory without a run, a damaged checkpoint, or one of another configuration.
    #[staticmethod]
    #[pyo3(signature = (path, *, target=None))]
    fn open(py: Python<'_>, path: PathBuf, target: Option<Py<PyAny>>) -> PyResult<Self> {
        let (run, config) = RunDirectory::open(&path, &[]).map_err(errors::of)?;
        check_target(&config, target.is_some()).map_err(errors::of)?;
        let watch = Watch::new();
        let function = target.and_then(|target| Function::new(&config, target, &watch));
        let session = watch.over(py, |_| Session::take_up_with_target(&run, config, shared(&function), &[]))?;
        Ok(Self { path, function, watch, held: Mutex::new(Held::new(session)) })
    }

    /// Goes on with the training from the last checkpoint, to the same bits as an uninterrupted run; a finished one
    /// stays as it is. Otherwise as `train`.
    #[pyo3(signature = (*, callback=None))]
    fn resume(&self, py: Python<'_>, callback: Option<Py<PyAny>>) -> PyResult<()> {
        self.with_held(py, |held, stop| {
            let (claim, config) = Claim::take(&self.path, &[])?;
            *held = Held::new(Session::take_up_with_target(&claim, config, shared(&self.function), &[])?);
            let mut observer = Callback { function: callback, watch: &self.watch, stop };
            held.session.run(&claim, stop, None, &mut observer).map(drop)
        })
    }

    /// `n` objects drawn from the policy: int64 [n, sites], values from 0.
    #[pyo3(signature = (n, *, seed=1))]
    fn sample<'py>(&self, py: Python<'py>, n: usize, seed: u64) -> PyResult<Bound<'py, PyAny>> {
        let (_, objects) = self.with_held(py, |held, stop| {
            check_count(n)?;
            Ok(evaluation::forward(held.session.trainer(), n, Seed::Fresh(seed), stop)?)
        })?;
        Ok(target::array(&objects).into_pyarray(py).into_any())
    }

    /// `n` forward trajectories, a dict of arrays; the objects are those of `sample`.
    ///
    /// - `actions`, int64 [n, max_steps]: of each step, -1 after the end. In site filling action // values is the site,
    ///   action % values its value.
    /// - `objects`, int64 [n, sites]: what they end in.
    /// - `log_forward`, float64 [n]: log P_F in nats, the choices of sites in an order of the process's own among them.
    /// - `log_backward`, float64 [n]: log P_B in nats.
    /// - `log_reward`, float64 [n]: log R.
    ///
    /// Under `policy.symmetry = "flip"` half of the objects are the mirror images of what the actions make.
    #[pyo3(signature = (n, *, seed=1))]
    fn trajectories<'py>(&self, py: Python<'py>, n: usize, seed: u64) -> PyResult<Bound<'py, PyDict>> {
        let (batch, objects, actions) =
            self.with_held(py, |held, stop| rolled_out(&mut held.session, n, seed, stop))?;
        let found = PyDict::new(py);
        found.set_item("actions", actions.into_pyarray(py))?;
        found.set_item("objects", target::array(&objects).into_pyarray(py))?;
        found.set_item("log_forward", batch.log_forward.into_pyarray(py))?;
        found.set_item("log_backward", batch.log_backward.into_pyarray(py))?;
        found.set_item("log_reward", batch.log_reward.into_pyarray(py))?;
        Ok(found)
    }

    /// The policy against what is known of the target, with fresh samples (`evaluation.samples` without a number):
    /// the keys of `wgflow evaluate --json`, such as `log_z_estimate`, `log_z_exact`, `elbo`, `ess_fraction`,
    /// `verdict`. What the target does not allow is None.
    #[pyo3(signature = (*, samples=None, seed=1))]
    fn evaluate<'py>(&self, py: Python<'py>, samples: Option<usize>, seed: u64) -> PyResult<Bound<'py, PyAny>> {
        let told = self.with_held(py, |held, stop| {
            let engine = held.session.engine().to_string();
            let trainer = held.session.trainer();
            let mut sizes = trainer.settings().evaluation.clone();
            sizes.samples = samples.unwrap_or(sizes.samples);
            check_count(sizes.samples)?;
            let evaluated = evaluation::evaluate_sized(trainer, &sizes, Seed::Fresh(seed), stop)?;
            let mut told = serde_json::to_value(&evaluated.evaluation)?;
            told["iteration"] = trainer.iteration().into();
            told["engine"] = engine.into();
            told["evaluation_seed"] = seed.into();
            Ok(told)
        })?;
        convert::json(py, &told)
    }

    /// log P_F^T(x), in nats: the log-probability that the policy ends in each object, integers [n, sites] to
    /// float64 [n].
    ///
    /// Exact in the fixed order, where an object has one trajectory. Exact too, without `trajectories`, where the
    /// policy's whole distribution is enumerated in a second or two: for up to 12 sites of two values in the uniform
    /// order, and for processes of up to 200,000 states (learned order, hypergrid). Otherwise estimated by log (1/M)
    /// sum_m P_F(tau_m) / P_B(tau_m | x) over M = `trajectories` backward trajectories of each object
    /// (`evaluation.nll_trajectories` if not given), whose mean falls short of the exact one by about half the relative
    /// variance of the ratios over M.
    #[pyo3(signature = (objects, *, trajectories=None, seed=1))]
    fn log_prob<'py>(
        &self,
        py: Python<'py>,
        objects: &Bound<'py, PyAny>,
        trajectories: Option<usize>,
        seed: u64,
    ) -> PyResult<Bound<'py, PyAny>> {
        let [sites, values] = {
            let mut held = self.held()?;
            let process = held.session.trainer().process();
            [process.sites(), process.values()]
        };
        let objects = given(objects, sites, values)?;
        let found = self.with_held(py, |held, stop| log_probabilities(held, &objects, trajectories, seed, stop))?;
        Ok(found.into_pyarray(py).into_any())
    }

    /// The run's directory.
    #[getter]
    fn path(&self) -> PathBuf {
        self.path.clone()
    }

    /// The experiment, every default written out.
    #[getter]
    fn config<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::experiment(py, &self.config_now()?)
    }

    /// The lines of metrics.jsonl so far: `iteration`, `loss`, `elbo`, `log_z`, ..., or `evaluation`.
    #[getter]
    fn metrics<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let (lines, _) = RunDirectory::at(&self.path).metrics().map_err(errors::of)?;
        PyList::new(py, lines.iter().map(|line| convert::json(py, line)).collect::<PyResult<Vec<_>>>()?)
    }

    /// summary.json of a run that is finished; None before.
    #[getter]
    fn summary<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let iterations = self.config_now()?.settings.training.iterations;
        let summary = RunDirectory::at(&self.path).summary(iterations).map_err(errors::of)?;
        summary.map(|summary| convert::json(py, &summary)).transpose()
    }

    /// Iterations done.
    #[getter]
    fn iteration(&self) -> PyResult<u32> {
        Ok(self.held()?.session.trainer().iteration())
    }

    /// Which engine computes, and why.
    #[getter]
    fn engine(&self) -> PyResult<String> {
        Ok(self.held()?.session.engine().to_string())
    }

    /// The policy's tensors, float32, by their names in checkpoint.safetensors, those of PyTorch's nn.Sequential:
    /// `policy.0.weight` [out, in], `policy.0.bias` [out], `policy.2.weight`, ... Where `evaluation.average` is set,
    /// the averages that samples are drawn with, and not the trained ones that the checkpoint has under these names.
    #[getter]
    fn policy<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let mut held = self.held()?;
        let trainer = held.session.trainer();
        let (tensors, parameters) = (PyDict::new(py), trainer.evaluated_parameters());
        for (name, shape, place) in trainer.layout().tensors("policy") {
            let numbers = parameters[place].iter().map(|&number| number as f32).collect();
            let tensor =
                ArrayD::from_shape_vec(shape, numbers).expect("a tensor has as many numbers as its shape says");
            tensors.set_item(name, tensor.into_pyarray(py))?;
        }
        Ok(tensors)
    }

    fn __repr__(&self) -> String {
        format!("wgflow.Run({:?})", self.path)
    }
}

/// Numbers of samples that an evaluation can have.
fn check_count(count: usize) -> Result<(), ConfigError> {
    match count {
        1..=0x0100_0000 => Ok(()),
        _ => Err(ConfigError::new(format!("{count} samples: must be 1 to 2^24"))),
    }
}

/// Forward trajectories in parts, with the actions of each, [n, max_steps], -1 after its end.
fn rolled_out(
    session: &mut Session,
    count: usize,
    seed: u64,
    stop: &Stop,
) -> anyhow::Result<(Batch, Objects, Array2<i64>)> {
    check_count(count)?;
    let trainer = session.trainer();
    let seed = Seed::Fresh(seed).of(trainer.settings().seed);
    let (sites, steps) = (trainer.process().sites(), trainer.process().max_steps());
    let (mut batch, mut objects, mut actions) = (Batch::default(), Objects::new(sites, Vec::new()), Vec::new());
    while objects.count() < count {
        stop.check()?;
        let first = objects.count();
        let (part, reached) = trainer.evaluate_forward(seed, first, EvaluationConfig::CHUNK.min(count - first))?;
        let taken: Trajectories = trainer.engine().trajectories()?;
        actions.extend(taken.actions().iter().map(|&action| if action == NO_ACTION { -1 } else { i64::from(action) }));
        batch.extend(part);
        objects.extend(&reached);
    }
    Ok((batch, objects, Array2::from_shape_vec((count, steps), actions)?))
}

/// Exact where an object has one trajectory, or where the policy's distribution is quickly enumerated and no number of
/// trajectories is asked for; otherwise estimated.
fn log_probabilities(
    held: &mut Held,
    objects: &Objects,
    trajectories: Option<usize>,
    seed: u64,
    stop: &Stop,
) -> anyhow::Result<Array1<f64>> {
    let trainer = held.session.trainer();
    if let Some(0) = trajectories {
        return Err(ConfigError::new("trajectories = 0: must be at least 1").into());
    }
    let single = evaluation::has_one_trajectory_each(trainer);
    if !single && trajectories.is_none() && evaluation::enumerates_quickly(trainer) {
        if held.enumerated.is_none() {
            held.enumerated = Some(evaluation::enumerate(trainer, |_| stop.check())?.log_probabilities);
        }
        let (values, all) = (trainer.process().values(), held.enumerated.as_deref().unwrap_or_default());
        // The first site is the lowest digit.
        let number = |row: &[u8]| row.iter().rev().fold(0, |number, &value| number * values + usize::from(value));
        return Ok(objects.rows().map(|row| all[number(row)]).collect());
    }
    let each = if single { 1 } else { trajectories.unwrap_or(trainer.settings().evaluation.nll_trajectories) };
    let at_once = (EvaluationConfig::CHUNK / each).max(1);
    let seed = Seed::Fresh(seed).of(trainer.settings().seed);
    let found: Result<Vec<f64>, EvaluationError> =
        evaluation::log_probabilities(trainer, objects, each, at_once, seed, stop);
    Ok(found?.into())
}

/// Objects from whatever array of integers, [n, sites], each at least 0 and below `values`.
fn given(array: &Bound<'_, PyAny>, sites: usize, values: usize) -> PyResult<Objects> {
    let numpy = array.py().import("numpy")?;
    let array = numpy.call_method1("asarray", (array,))?;
    let kind: String = array.getattr("dtype")?.getattr("kind")?.extract()?;
    if !["i", "u", "b"].contains(&kind.as_str()) {
        let message =
            format!("objects: an array of integers [n, {sites}] is needed, not of {}", array.getattr("dtype")?);
        return Err(PyTypeError::new_err(message));
    }
    let array = array.call_method1("astype", ("int64",))?;
    let shape = array.getattr("shape")?.to_string();
    let array = array.extract::<PyReadonlyArray2<i64>>().ok().filter(|array| array.shape()[1] == sites);
    let array = array.ok_or_else(|| {
        PyValueError::new_err(format!("objects: an array of shape {shape} was given, and [n, {sites}] is needed"))
    })?;
    let byte = |&value: &i64| u8::try_from(value).ok().filter(|&byte| usize::from(byte) < values).ok_or(value);
    let bytes = array.as_array().iter().map(byte).collect::<Result<Vec<u8>, i64>>();
    let bytes = bytes.map_err(|value| {
        PyValueError::new_err(format!("objects: there is a value {value}, and values are 0 to {}", values - 1))
    })?;
    Ok(Objects::new(sites, bytes))
}
