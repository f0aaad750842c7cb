//! The text of an experiment or suite file, which may be a pipe, and one that does not end.

use std::fs::File;
use std::io::{Error, Read};
use std::path::Path;

use super::ConfigError;

/// Bytes that such a file can have: more than anybody writes by hand, and a list of a great many seeds besides.
const LARGEST: u64 = 1 << 20;

/// Reads a file of a configuration.
///
/// # Errors
/// If it cannot be read, is larger than [`LARGEST`], or is not UTF-8, naming it.
pub(crate) fn read(path: &Path) -> Result<String, ConfigError> {
    let failed = |error: Error| ConfigError::new(format!("cannot read {}: {error}", path.display()));
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes)).map_err(failed)?;
    if bytes.len() as u64 > LARGEST {
        let shown = path.display();
        return Err(ConfigError::new(format!("{shown} is larger than 1 MiB, which no experiment or suite is")));
    }
    let foreign = |_| ConfigError::new(format!("{} is no text in UTF-8, as TOML files are", path.display()));
    String::from_utf8(bytes).map_err(foreign)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_up_to_the_limit_are_read_and_what_else_there_is_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("experiment.toml");
        for (contents, expected) in [
            (vec![b'#'; LARGEST as usize], ""),
            (vec![b'#'; LARGEST as usize + 1], "larger than 1 MiB"),
            // The character that the limit cuts in two does not matter.
            ("\u{e9}".repeat(LARGEST as usize / 2 + 1).into_bytes(), "larger than 1 MiB"),
            (vec![b'#', 0xff], "UTF-8"),
        ] {
            std::fs::write(&path, &contents).unwrap();
            match read(&path) {
                Ok(text) => assert_eq!((text.into_bytes() == contents, expected), (true, "")),
                Err(error) => {
                    let message = error.to_string();
                    assert!(!expected.is_empty() && message.contains(expected), "{message}");
                    assert!(message.contains("experiment.toml"), "{message}");
                }
            }
        }
        let gone = read(&place.path().join("gone.toml")).unwrap_err().to_string();
        assert!(gone.starts_with("cannot read") && gone.contains("gone.toml"), "{gone}");
    }
}
