//! Between Python's dicts and lists, TOML and JSON.

use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyList, PyString, PyTuple};
use serde_json::Value;
use toml::Table;
use wgflow::config::Config;

/// A dict of an experiment as a table of TOML. None stands for a key that is not there.
pub fn table(dict: &Bound<'_, PyDict>) -> PyResult<Table> {
    table_at("", dict)
}

fn table_at(place: &str, dict: &Bound<'_, PyDict>) -> PyResult<Table> {
    let mut table = Table::new();
    for (key, value) in dict {
        let Ok(name) = key.extract::<String>() else {
            return Err(PyValueError::new_err(format!("config: the key {key} is no text")));
        };
        if !value.is_none() {
            let place = if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
            table.insert(name, toml_value(&place, &value)?);
        }
    }
    Ok(table)
}

/// Integers and floats of NumPy are taken for Python's.
fn toml_value(place: &str, value: &Bound<'_, PyAny>) -> PyResult<toml::Value> {
    if let Ok(dict) = value.cast::<PyDict>() {
        return Ok(toml::Value::Table(table_at(place, dict)?));
    }
    if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
        let values = value.try_iter()?.map(|value| toml_value(place, &value?));
        return Ok(toml::Value::Array(values.collect::<PyResult<_>>()?));
    }
    if value.is_instance_of::<PyBool>() {
        return Ok(toml::Value::Boolean(value.extract()?));
    }
    if value.is_instance_of::<PyString>() {
        return Ok(toml::Value::String(value.extract()?));
    }
    // A path object stands for its text.
    if let Ok(path) = value.call_method0("__fspath__").and_then(|path| path.extract()) {
        return Ok(toml::Value::String(path));
    }
    if !value.is_instance_of::<PyFloat>()
        && let Ok(integer) = value.extract::<i64>()
    {
        return Ok(toml::Value::Integer(integer));
    }
    if let Ok(float) = value.extract::<f64>() {
        return Ok(toml::Value::Float(float));
    }
    let kind = value.get_type();
    Err(PyValueError::new_err(format!(
        "{place}: {value} ({kind}): a number, a text, True, False, a list or a dict is needed, integers \
         from -2^63 to 2^63 - 1"
    )))
}

/// An experiment as a dict, every default written out.
pub fn experiment<'py>(py: Python<'py>, config: &Config) -> PyResult<Bound<'py, PyAny>> {
    let table = serde_json::to_value(config.to_table()).expect("a table of plain values has a JSON form");
    json(py, &table)
}

/// JSON as Python has it: null is None.
pub fn json<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    match value {
        Value::Null => py.None().into_bound_py_any(py),
        Value::Bool(truth) => truth.into_bound_py_any(py),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => integer.into_bound_py_any(py),
            None => number.as_f64().into_bound_py_any(py),
        },
        Value::String(text) => text.into_bound_py_any(py),
        Value::Array(values) => {
            let values = values.iter().map(|value| json(py, value));
            PyList::new(py, values.collect::<PyResult<Vec<_>>>()?)?.into_bound_py_any(py)
        }
        Value::Object(object) => {
            let dict = PyDict::new(py);
            object.iter().try_for_each(|(key, value)| dict.set_item(key, json(py, value)?))?;
            dict.into_bound_py_any(py)
        }
    }
}
