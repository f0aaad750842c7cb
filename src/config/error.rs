//! What is wrong with a configuration, said for people.

use serde::de::DeserializeOwned;
use toml::Table;

/// Bad usage or configuration: the process ends with code 2.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

impl ConfigError {
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    /// The same error, said to be in `place` (a file, a preset).
    pub fn within(self, place: &str) -> Self {
        Self(format!("{place}: {}", self.0))
    }
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
        ConfigError::new(format!("{key}: {}", error.inner().to_string().trim_end()))
    })
}

/// Refuses a value outside its range, naming key, value and range.
pub fn require(holds: bool, key: &str, found: impl std::fmt::Debug, allowed: &str) -> Result<(), ConfigError> {
    if holds { Ok(()) } else { Err(ConfigError::new(format!("{key} = {found:?}: must be {allowed}"))) }
}
