//! Who watches a training from Python: the caller's callback, and Python's warnings.

use std::ffi::CString;

use pyo3::exceptions::PyUserWarning;
use pyo3::prelude::*;
use serde_json::Value;
use wgflow::evaluation::Evaluation;
use wgflow::session::Observer;
use wgflow::stop::{Reason, Stop};

use crate::convert;
use crate::watch::Watch;

pub struct Callback<'a> {
    pub function: Option<Py<PyAny>>,
    pub watch: &'a Watch,
    pub stop: &'a Stop,
}

impl Callback<'_> {
    /// Calls the function with a line of the metrics log; anything true that it gives asks for a stop.
    fn tell(&self, line: &Value) {
        let Some(function) = &self.function else { return };
        let answer = Python::attach(|py| function.call1(py, (convert::json(py, line)?,))?.is_truthy(py));
        match answer {
            Ok(true) => self.stop.raise(Reason::Interrupt),
            Ok(false) => {}
            Err(error) => self.watch.keep(error),
        }
    }
}

impl Observer for Callback<'_> {
    fn logged(&mut self, _: u32, line: &Value) {
        self.tell(line);
    }

    fn evaluated(&mut self, _: u32, line: &Value, _: &Evaluation) {
        self.tell(line);
    }

    fn warned(&mut self, warning: &str) {
        let message = CString::new(warning.replace('\0', " ")).expect("zeros were replaced");
        let warn = |py: Python<'_>| PyErr::warn(py, &py.get_type::<PyUserWarning>(), &message, 1);
        Python::attach(warn).unwrap_or_else(|error| self.watch.keep(error));
    }
}
