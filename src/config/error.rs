//! What is wrong with a configuration, said for people.

use serde::de::DeserializeOwned;
use toml::Table;

use crate::out_of_range::OutOfRange;
use crate::targets::TargetError;

/// Bad usage or configuration: the process ends with code 2.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

impl ConfigError {
    /// An error of this text, which names the key, what was found and what is allowed.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    /// The same error, said to be in `place` (a file, a preset).
    pub fn within(self, place: &str) -> Self {
        Self(format!("{place}: {}", self.0))
    }
}

impl From<OutOfRange> for ConfigError {
    fn from(error: OutOfRange) -> Self {
        Self(error.to_string())
    }
}

impl From<TargetError> for ConfigError {
    fn from(error: TargetError) -> Self {
        Self(error.to_string())
    }
}

/// Characters of a text that is quoted whole.
const WIDEST: usize = 200;

/// What people wrote, for a message: its beginning and its end where it is so long that it would hide what is said of it.
pub(crate) fn quoted(text: impl std::fmt::Display) -> String {
    let text = text.to_string();
    let count = text.chars().count();
    if count <= WIDEST {
        return text;
    }
    let part = |from: usize, to: usize| text.chars().skip(from).take(to - from).collect::<String>();
    let kept = WIDEST / 2 - 10;
    format!("{} [{} characters] {}", part(0, kept), count - 2 * kept, part(count - kept, count))
}

/// Parses a TOML file. An error shows the line that it is in, unless that is wider than any screen.
pub(crate) fn parse(text: &str) -> Result<Table, ConfigError> {
    text.parse().map_err(|error: toml::de::Error| {
        let shown = error.to_string();
        let place = shown.lines().next().unwrap_or_default();
        let wide = shown.lines().any(|line| line.chars().count() > WIDEST);
        let told = if wide { format!("{}: {}", quoted(place), quoted(error.message())) } else { shown.clone() };
        ConfigError::new(format!("not valid TOML: {told}"))
    })
}

/// Deserialises a table whose own key path is `prefix`, so that errors name whole keys.
pub fn deserialise<T: DeserializeOwned>(table: Table, prefix: &str) -> Result<T, ConfigError> {
    serde_path_to_error::deserialize(table).map_err(|error| {
        let path = error.path().to_string();
        let key = match (prefix, path.as_str()) {
            ("", path) => path.to_string(),
            (prefix, ".") => prefix.to_string(),
            (prefix, path) => format!("{prefix}.{path}"),
        };
        ConfigError::new(format!("{}: {}", quoted(key), quoted(error.inner().to_string().trim_end())))
    })
}

/// Refuses a value outside its range, naming key, value and range.
pub fn require(holds: bool, key: &str, found: impl std::fmt::Debug, allowed: &str) -> Result<(), ConfigError> {
    if holds {
        Ok(())
    } else {
        Err(ConfigError::new(format!("{key} = {}: must be {allowed}", quoted(format!("{found:?}")))))
    }
}
