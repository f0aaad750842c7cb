//! What was chosen for an adapter and hidden widths: a JSON file each, in the user's cache folder.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::engine::AdapterDescription;
use crate::engine::gpu::Tiling;
use crate::run::files::{self, FileError};

/// What a choice is for. With anything else times may be others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Key {
    /// The adapter's name, its backend and its driver.
    pub(crate) adapter: String,
    pub(crate) backend: String,
    pub(crate) driver: String,
    /// Hidden widths of the policy.
    pub(crate) hidden: Vec<usize>,
    /// The version of wgflow, whose kernels change.
    pub(crate) wgflow: String,
}

impl Key {
    pub(crate) fn new(adapter: &AdapterDescription, hidden: &[usize]) -> Self {
        Self {
            adapter: adapter.name.clone(),
            backend: adapter.backend.into(),
            driver: adapter.driver.clone(),
            hidden: hidden.to_vec(),
            wgflow: env!("CARGO_PKG_VERSION").into(),
        }
    }

    /// Whether it is for this adapter, and these kernels.
    #[cfg(any(feature = "cli", test))]
    pub(crate) fn is_of(&self, adapter: &AdapterDescription) -> bool {
        *self == Self::new(adapter, &self.hidden)
    }

    /// The name of its file, which tells people the widths; the rest is a checksum.
    fn file(&self) -> String {
        let text = serde_json::to_string(self).expect("texts and numbers have a JSON form");
        let widths: Vec<String> = self.hidden.iter().map(ToString::to_string).collect();
        format!("{}-{:08x}.json", widths.join("-"), crc32fast::hash(text.as_bytes()))
    }
}

/// Sizes of kernels, and for what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Choice {
    pub(crate) key: Key,
    /// None for those that suit the kind of adapter.
    pub(crate) tiling: Option<Tiling>,
}

impl Choice {
    /// What is wrong with its sizes, if anything.
    pub(crate) fn fault(&self) -> Option<String> {
        self.tiling.and_then(|tiling| tiling.fault())
    }

    /// What was written for this key, if anything was.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub(crate) fn read(folder: &Path, key: &Key) -> Result<Option<Self>, String> {
        let path = folder.join(key.file());
        match Self::from_file(&path)? {
            Some(choice) if choice.key != *key => Err(format!("{} is for something else", path.display())),
            choice => Ok(choice),
        }
    }

    fn from_file(path: &Path) -> Result<Option<Self>, String> {
        let text = match std::fs::read_to_string(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            text => text.map_err(|error| format!("{} cannot be read: {error}", path.display()))?,
        };
        let choice: Self = serde_json::from_str(&text)
            .map_err(|error| format!("{} is not what `wgflow tune` writes: {error}", path.display()))?;
        match choice.fault() {
            Some(fault) => Err(format!("{}: {fault}", path.display())),
            None => Ok(Some(choice)),
        }
    }

    /// Writes it down whole or not at all; returns where.
    pub(crate) fn write(&self, folder: &Path) -> Result<PathBuf, FileError> {
        files::create_directory(folder)?;
        let path = folder.join(self.key.file());
        let text = serde_json::to_string_pretty(self).expect("texts and numbers have a JSON form");
        files::write(&path, format!("{text}\n").as_bytes())?;
        Ok(path)
    }
}

/// Where choices are kept: `wgflow/kernels` in the user's cache folder, if there is one.
pub(crate) fn folder() -> Option<PathBuf> {
    Some(dirs::cache_dir()?.join("wgflow").join("kernels"))
}

/// All choices there are that can be read, in the order of their files' names.
#[cfg(any(feature = "cli", test))]
pub(crate) fn list(folder: &Path) -> Vec<Choice> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    paths.iter().filter_map(|path| Choice::from_file(path).ok().flatten()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::AdapterKind;

    fn adapter() -> AdapterDescription {
        let (name, driver) = ("A GPU / 3".to_string(), "driver 1.2".to_string());
        AdapterDescription { name, backend: "Vulkan", kind: AdapterKind::Discrete, driver }
    }

    fn choice(hidden: &[usize]) -> Choice {
        let tiling = Tiling { large_from: 17, ..Tiling::suggested(AdapterKind::Discrete, 256) };
        Choice { key: Key::new(&adapter(), hidden), tiling: Some(tiling) }
    }

    #[test]
    fn a_choice_is_read_back_as_it_was_written_and_found_by_its_key_alone() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("not").join("there yet");
        let written = choice(&[256, 256]);
        assert_eq!(Choice::read(&folder, &written.key), Ok(None));
        assert!(list(&folder).is_empty());
        written.write(&folder).unwrap();
        assert_eq!(Choice::read(&folder, &written.key), Ok(Some(written.clone())));
        let key = || written.key.clone();
        for other in [
            Key { adapter: "another".into(), ..key() },
            Key { backend: "DX12".into(), ..key() },
            Key { driver: "driver 1.3".into(), ..key() },
            Key { hidden: vec![256], ..key() },
            Key { wgflow: "0.0.0".into(), ..key() },
        ] {
            assert_eq!(Choice::read(&folder, &other), Ok(None), "{other:?}");
        }
        let second = choice(&[8]);
        second.write(&folder).unwrap();
        assert_eq!(list(&folder), [written.clone(), second]);
        assert!(list(&folder).iter().all(|choice| choice.key.is_of(&adapter())));
        // A later one takes its place.
        let later = Choice { tiling: Some(Tiling { large_from: 3, ..written.tiling.unwrap() }), ..written };
        later.write(&folder).unwrap();
        assert_eq!(Choice::read(&folder, &later.key), Ok(Some(later)));
        assert_eq!(list(&folder).len(), 2);
    }

    #[test]
    fn a_choice_from_before_a_size_was_there_has_the_suggestion_in_its_place() {
        let place = tempfile::tempdir().unwrap();
        let (folder, written) = (place.path(), choice(&[64]));
        let path = written.write(folder).unwrap();
        let whole = std::fs::read_to_string(&path).unwrap();
        let older = whole.replace(",\n    \"fused_below\": 128", "");
        assert_ne!(older, whole);
        std::fs::write(&path, older).unwrap();
        assert_eq!(Choice::read(folder, &written.key), Ok(Some(written)));
    }

    #[test]
    fn files_that_are_no_choices_are_told_of_and_not_taken() {
        let place = tempfile::tempdir().unwrap();
        let (folder, written) = (place.path(), choice(&[64]));
        let path = written.write(folder).unwrap();
        let whole = std::fs::read_to_string(&path).unwrap();
        let broken = [
            (String::new(), "wgflow tune"),
            (whole[..whole.len() / 2].to_string(), "wgflow tune"),
            (whole.replace("\"rows\"", "\"columns\""), "columns"),
            (whole.replace("\"gradient_tile\": 128", "\"gradient_tile\": 96"), "96 units"),
            (whole.replace("driver 1.2", "driver 0"), "something else"),
        ];
        for (text, words) in broken {
            assert_ne!(text, whole, "{words}");
            std::fs::write(&path, text).unwrap();
            let reason = Choice::read(folder, &written.key).unwrap_err();
            assert!(reason.contains(words) && reason.contains(&path.display().to_string()), "{reason}");
        }
    }
}
