//! What happens in Python while Rust works without its lock: exceptions of functions called back, and Ctrl-C.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use wgflow::stop::{Reason, Stop};

use crate::errors;

/// Time between two looks at signals: short for people, long beside the time that Python's lock takes.
const PATIENCE: Duration = Duration::from_millis(50);

/// The first exception that came up, and when signals were last looked at.
pub struct Watch {
    raised: Mutex<Option<PyErr>>,
    looked: Mutex<Instant>,
}

impl Watch {
    pub fn new() -> Arc<Self> {
        Arc::new(Self { raised: Mutex::new(None), looked: Mutex::new(Instant::now()) })
    }

    /// Notes an exception, which ends the work.
    pub fn keep(&self, error: PyErr) {
        self.raised.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    pub fn has_raised(&self) -> bool {
        self.raised.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn take(&self) -> Option<PyErr> {
        self.raised.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Does what needs no Python, without its lock. `work` should end soon when its [`Stop`] is raised. An exception
    /// that came up meanwhile comes through as it is, whatever `work` made of it.
    pub fn over<T: Send>(
        self: &Arc<Self>,
        py: Python<'_>,
        work: impl FnOnce(&Stop) -> anyhow::Result<T> + Send,
    ) -> PyResult<T> {
        let watch = self.clone();
        let stop = Stop::watching(move || watch.look());
        let found = py.detach(|| work(&stop));
        match self.take() {
            Some(error) => Err(error),
            None => found.map_err(errors::of),
        }
    }

    /// A reason to stop, where there is one. Only Python's main thread sees signals.
    fn look(&self) -> Option<Reason> {
        if !self.has_raised() {
            let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
            if looked.elapsed() < PATIENCE {
                return None;
            }
            Python::attach(|py| py.check_signals()).unwrap_or_else(|error| self.keep(error));
            *looked = Instant::now();
        }
        self.has_raised().then_some(Reason::Interrupt)
    }
}
