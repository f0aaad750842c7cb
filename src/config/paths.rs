//! Paths in a configuration, made to hold from anywhere: a run is resumed from another directory than it was begun in.

use std::path::{Path, absolute};

use toml::{Table, Value};

use super::ConfigError;

/// The keys that name input files.
const INPUTS: [&str; 3] = ["target.energy", "target.file", "target.evidence"];

/// Makes the paths of input files absolute, those that are relative being relative to `directory`.
///
/// # Errors
/// If the whole path is not UTF-8: a TOML file could not keep it.
pub(crate) fn anchor(table: &mut Table, directory: &Path) -> Result<(), ConfigError> {
    for key in INPUTS {
        let Some(Value::String(path)) = find(table, key) else { continue };
        let joined = directory.join(&path);
        let whole = absolute(&joined)
            .map_err(|error| ConfigError::new(format!("{key} = {path:?}: not a path of a file: {error}")))?;
        *path = whole.into_os_string().into_string().map_err(|whole| {
            let shown = whole.display();
            ConfigError::new(format!("{key}: {shown} is not UTF-8, so no TOML file can keep it: give it another place"))
        })?;
    }
    Ok(())
}

/// The value of the key "key.path", if it is there.
fn find<'a>(table: &'a mut Table, path: &str) -> Option<&'a mut Value> {
    match path.split_once('.') {
        None => table.get_mut(path),
        Some((first, rest)) => table.get_mut(first).and_then(Value::as_table_mut).and_then(|table| find(table, rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_paths_are_relative_to_the_directory_given() {
        let mut table: Table = "target = { energy = 'e.safetensors', bits = 8 }".parse().unwrap();
        anchor(&mut table, Path::new("/somewhere")).unwrap();
        let expected: Table = "target = { energy = '/somewhere/e.safetensors', bits = 8 }".parse().unwrap();
        assert_eq!(table, expected);
        anchor(&mut table, Path::new("/elsewhere")).unwrap();
        assert_eq!(table, expected, "an absolute path stays");
        let mut table: Table = "seed = 1".parse().unwrap();
        anchor(&mut table, Path::new("/somewhere")).unwrap();
        assert_eq!(table, "seed = 1".parse().unwrap());
    }
}
