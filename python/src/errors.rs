//! Errors of the library as Python's exceptions, in its words.

use pyo3::PyErr;
use pyo3::exceptions::{PyOSError, PyRuntimeError, PyValueError};
use wgflow::run::error::RunError;
use wgflow::run::files::FileError;

/// `ValueError` for what was asked for wrongly, `OSError` for files that cannot be read or written, `RuntimeError` for
/// the rest.
pub fn of(error: impl Into<anyhow::Error>) -> PyErr {
    let error = error.into();
    let message = format!("{error:#}");
    if wgflow::commands::is_bad_usage(&error) {
        return PyValueError::new_err(message);
    }
    let is_of_files = |cause: &(dyn std::error::Error + 'static)| {
        cause.is::<FileError>() || matches!(cause.downcast_ref(), Some(RunError::File(_) | RunError::Io { .. }))
    };
    if error.chain().any(is_of_files) { PyOSError::new_err(message) } else { PyRuntimeError::new_err(message) }
}
