//! A target whose log R is a Python function over a batch of objects.

use std::sync::{Arc, OnceLock};

use numpy::ndarray::Array2;
use numpy::{IntoPyArray, PyReadonlyArray1, PyUntypedArrayMethods};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use wgflow::config::{Config, TargetConfig};
use wgflow::process::Objects;
use wgflow::targets::{Target, TargetError, enumeration};

use crate::watch::Watch;

/// Objects up to which log Z is found by asking for all of them: at most four calls.
const FEW: usize = 1 << 16;

/// The function, called once a batch with an int64 array [batch, sites].
pub struct Function {
    sites: usize,
    values: usize,
    function: Py<PyAny>,
    watch: Arc<Watch>,
    log_z: OnceLock<Result<f64, TargetError>>,
}

impl Function {
    /// For an experiment with a target of kind "own", which has the sizes.
    pub fn new(config: &Config, function: Py<PyAny>, watch: &Arc<Watch>) -> Option<Arc<Self>> {
        let TargetConfig::Own(own) = &config.target else { return None };
        let (sites, values, watch) = (own.sites, own.values, watch.clone());
        Some(Arc::new(Self { sites, values, function, watch, log_z: OnceLock::new() }))
    }

    fn call(&self, py: Python<'_>, objects: &Objects, log_reward: &mut [f64]) -> PyResult<()> {
        let given = array(objects).into_pyarray(py);
        let found = self.function.bind(py).call1((given,))?;
        let found = match found.extract::<PyReadonlyArray1<f64>>() {
            Ok(found) => found,
            Err(_) => as_numbers(&found)?,
        };
        if found.len() != log_reward.len() {
            let (found, expected) = (found.len(), log_reward.len());
            return Err(PyValueError::new_err(format!(
                "target: the function gave {found} log-rewards for a batch of {expected} objects: one an \
                 object is needed"
            )));
        }
        log_reward.iter_mut().zip(found.as_array()).for_each(|(to, &value)| *to = value);
        Ok(())
    }
}

/// As rows of int64, NumPy's own integers: arithmetic on bytes would wrap around unnoticed.
pub fn array(objects: &Objects) -> Array2<i64> {
    let values = objects.values().iter().map(|&value| i64::from(value)).collect();
    Array2::from_shape_vec((objects.count(), objects.sites()), values).expect("objects are whole rows")
}

/// What else NumPy takes for a list of numbers: float32, integers, a list, a tensor on the host.
fn as_numbers<'py>(found: &Bound<'py, PyAny>) -> PyResult<PyReadonlyArray1<'py, f64>> {
    let py = found.py();
    let numpy = py.import("numpy")?;
    let options = PyDict::new(py);
    options.set_item("dtype", numpy.getattr("float64")?)?;
    let array = numpy.call_method("asarray", (found,), Some(&options))?;
    array.extract().map_err(|_| {
        let shape = array.getattr("shape").map_or("unknown".into(), |shape| shape.to_string());
        PyValueError::new_err(format!(
            "target: the function gave an array of shape {shape}: a list of log-rewards, [batch], is needed"
        ))
    })
}

impl Target for Function {
    fn sites(&self) -> usize {
        self.sites
    }

    fn values(&self) -> usize {
        self.values
    }

    /// What stays NaN ends the work that asked; after an exception nothing is called any more.
    fn log_reward(&self, objects: &Objects, log_reward: &mut [f64]) {
        log_reward.fill(f64::NAN);
        if !self.watch.has_raised() && !log_reward.is_empty() {
            Python::attach(|py| self.call(py, objects, log_reward)).unwrap_or_else(|error| self.watch.keep(error));
        }
    }

    fn at_once(&self) -> bool {
        true
    }

    fn log_z(&self) -> Result<f64, TargetError> {
        let compute = || match enumeration::objects(self) {
            Ok(count) if count <= FEW => enumeration::log_z(self),
            _ => Err(TargetError::unknown(format!(
                "log Z of a function is known for up to {FEW} objects, by asking it for all of them"
            ))),
        };
        self.log_z.get_or_init(compute).clone()
    }
}
