//! What is wrong with a model's file, and where.

/// Why a file is no model: names the file and, where one is at fault, the line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}{}: {message}", line.map_or(String::new(), |line| format!(", line {line}")))]
pub struct ModelError {
    /// As it was named to the reader.
    pub file: String,
    /// From 1; none where the fault is of the file as a whole.
    pub line: Option<usize>,
    /// What was found, and what was expected.
    pub message: String,
}

/// What a reader finds wrong with a text whose name it does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    line: Option<usize>,
    message: String,
}

impl Fault {
    /// Of the text as a whole.
    pub fn new(message: impl Into<String>) -> Self {
        Self { line: None, message: message.into() }
    }

    /// Of a line, counted from 1.
    pub fn at(line: usize, message: impl Into<String>) -> Self {
        Self { line: Some(line), message: message.into() }
    }

    /// The fault of this file.
    pub fn within(self, file: &str) -> ModelError {
        ModelError { file: file.into(), line: self.line, message: self.message }
    }
}

impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        let message = error.to_string();
        // The place follows at the end, and is told in front of everything else here.
        let (what, _) = message.rsplit_once(" at line ").unwrap_or((&message, ""));
        let short: String = what.chars().take(300).collect();
        Self { line: Some(error.line()).filter(|&line| line > 0), message: short }
    }
}
