//! Files that a target was made of, kept so that a run outlives them.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Bytes of all files of a target that a checkpoint keeps. It is written every few seconds: larger ones have to stay
/// where they are.
const MOST_BYTES: usize = 64 << 20;

/// The contents of a target's files, by the keys of the configuration that name them, such as `target.file`. Copies are
/// cheap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InputFiles(BTreeMap<String, Arc<[u8]>>);

impl InputFiles {
    /// These files; none of them where they have more than 64 MiB together.
    pub fn new(files: impl IntoIterator<Item = (String, Arc<[u8]>)>) -> Self {
        let files: BTreeMap<_, _> = files.into_iter().collect();
        let bytes: usize = files.values().map(|content| content.len()).sum();
        if bytes <= MOST_BYTES { Self(files) } else { Self::default() }
    }

    /// What was in the file that a key names.
    pub fn get(&self, key: &str) -> Option<&Arc<[u8]>> {
        self.0.get(key)
    }

    /// Keys and contents, in the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(key, content)| (key.as_str(), &content[..]))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_kept_as_long_as_they_are_small() {
        let of = |sizes: [usize; 2]| {
            let keys = ["target.evidence", "target.file"];
            InputFiles::new(keys.into_iter().zip(sizes).map(|(key, size)| (key.to_owned(), vec![7; size].into())))
        };
        let kept = of([1, MOST_BYTES - 1]);
        assert_eq!((kept.get("target.evidence").unwrap()[..].to_vec(), kept.iter().count()), (vec![7], 2));
        assert!(kept.get("file").is_none() && !kept.is_empty());
        assert!(of([1, MOST_BYTES]).is_empty());
    }
}
