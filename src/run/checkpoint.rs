//! Checkpoints: named tensors and a few words of text in a safetensors file.
//!
//! The header says what the file is (`format = wgflow`, `format_version`), so that a foreign or later file is refused
//! by name, and holds the configuration of the run. Reading never trusts the file: all of it is held against a checksum,
//! and every tensor is checked for its type and shape when it is taken. The same contents always give the same bytes.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::files::{self, FileError};

const FORMAT: &str = "wgflow";
/// Raised when older readers would misread the file.
const VERSION: &str = "2";

/// Why a checkpoint cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct CheckpointError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it, and what to do.
    pub reason: String,
}

/// Named tensors and texts, on their way to or from a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checkpoint {
    path: PathBuf,
    texts: BTreeMap<String, String>,
    tensors: BTreeMap<String, Tensor>,
}

#[derive(Clone, Debug, PartialEq)]
struct Tensor {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Checkpoint {
    /// The text that is the run's configuration, as TOML.
    pub const CONFIG: &str = "config";
    /// The text that says how many lines of the metrics log belong to the checkpoint.
    pub const LOG_LINES: &str = "log_lines";
    /// The text that is the number of iterations that the run had, while it is being given another one: the checkpoint has
    /// that, and config.toml may not have it yet.
    pub const LENGTH_BEFORE: &str = "length_before";
    /// The text that is the CRC-32 of everything else, in hexadecimal digits.
    const CHECKSUM: &str = "checksum";

    /// Adds a text to the header.
    pub fn put_text(&mut self, name: &str, text: impl ToString) {
        self.texts.insert(name.into(), text.to_string());
    }

    /// Adds numbers as an F32 tensor; they must be representable, as parameters always are.
    pub fn put_f32(&mut self, name: &str, shape: &[usize], values: &[f64]) {
        let bytes = values.iter().flat_map(|&value| (value as f32).to_le_bytes()).collect();
        self.put(name, Dtype::F32, shape, bytes);
    }

    /// Adds a list of numbers as an F64 tensor.
    pub fn put_f64(&mut self, name: &str, values: &[f64]) {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.put(name, Dtype::F64, &[values.len()], bytes);
    }

    /// Adds bytes as a U8 tensor.
    pub fn put_bytes(&mut self, name: &str, bytes: &[u8]) {
        self.put(name, Dtype::U8, &[bytes.len()], bytes.to_vec());
    }

    fn put(&mut self, name: &str, dtype: Dtype, shape: &[usize], bytes: Vec<u8>) {
        self.tensors.insert(name.into(), Tensor { dtype, shape: shape.to_vec(), bytes });
    }

    /// A text of the header, parsed.
    pub fn text<T: std::str::FromStr>(&self, name: &str) -> Result<T, CheckpointError> {
        let text = self.texts.get(name).ok_or_else(|| self.error(format!("its header has no `{name}`")))?;
        text.parse().map_err(|_| self.error(format!("its header has {name} = {text:?}, which does not parse")))
    }

    /// An F32 tensor of this shape.
    pub fn f32(&self, name: &str, shape: &[usize]) -> Result<Vec<f64>, CheckpointError> {
        let bytes = self.tensor(name, Dtype::F32, shape)?.chunks_exact(4);
        Ok(bytes.map(|word| f64::from(f32::from_le_bytes([word[0], word[1], word[2], word[3]]))).collect())
    }

    /// An F64 tensor of this length.
    pub fn f64(&self, name: &str, count: usize) -> Result<Vec<f64>, CheckpointError> {
        let bytes = self.tensor(name, Dtype::F64, &[count])?.chunks_exact(8);
        Ok(bytes.map(|b| f64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]])).collect())
    }

    /// A U8 tensor of any length.
    pub fn bytes(&self, name: &str) -> Result<&[u8], CheckpointError> {
        let length = self.tensors.get(name).map_or(0, |tensor| tensor.bytes.len());
        self.tensor(name, Dtype::U8, &[length])
    }

    fn tensor(&self, name: &str, dtype: Dtype, shape: &[usize]) -> Result<&[u8], CheckpointError> {
        match self.tensors.get(name) {
            None => Err(self.error(format!("it has no tensor `{name}`: it belongs to another configuration"))),
            Some(tensor) if (tensor.dtype, tensor.shape.as_slice()) != (dtype, shape) => Err(self.error(format!(
                "tensor `{name}` is {:?} {:?}, but the configuration needs {dtype:?} {shape:?}",
                tensor.dtype, tensor.shape
            ))),
            Some(tensor) => Ok(&tensor.bytes),
        }
    }

    /// An error about the file this was read from.
    pub fn error(&self, reason: impl Into<String>) -> CheckpointError {
        CheckpointError { path: self.path.clone(), reason: reason.into() }
    }

    /// Writes the file whole or not at all.
    pub fn write(&self, path: &Path) -> Result<(), FileError> {
        let views = self.tensors.iter().map(|(name, tensor)| {
            let view = TensorView::new(tensor.dtype, tensor.shape.clone(), &tensor.bytes);
            (name, view.expect("tensors are put in with as many bytes as their shape says"))
        });
        let format = [("format", FORMAT), ("format_version", VERSION), (Self::CHECKSUM, &self.checksum())];
        let mut header: HashMap<String, String> = self.texts.clone().into_iter().collect();
        header.extend(format.map(|(key, text)| (key.into(), text.into())));
        let mut bytes = safetensors::serialize(views, Some(header)).expect("a file in memory takes any tensors");
        sort_header(&mut bytes);
        files::write(path, &bytes)
    }

    /// Reads a file that [`Checkpoint::write`] wrote.
    pub fn read(path: &Path) -> Result<Self, CheckpointError> {
        let mut checkpoint = Self { path: path.to_owned(), ..Self::default() };
        let bytes = std::fs::read(path).map_err(|error| checkpoint.error(format!("cannot be read: {error}")))?;
        let damaged = |error| checkpoint.error(format!("not a whole safetensors file ({error}): truncated or foreign"));
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(damaged)?;
        let file = SafeTensors::deserialize(&bytes).map_err(damaged)?;
        let texts: BTreeMap<_, _> = header.metadata().clone().unwrap_or_default().into_iter().collect();
        match (texts.get("format").map(String::as_str), texts.get("format_version").map(String::as_str)) {
            (Some(FORMAT), Some(VERSION)) => {}
            (Some(FORMAT), version) => {
                let found = version.unwrap_or("none");
                let reason = format!("a wgflow checkpoint of format version {found}; this program reads {VERSION}");
                return Err(checkpoint.error(reason));
            }
            _ => return Err(checkpoint.error("a safetensors file, but not a checkpoint of wgflow")),
        }
        let tensors = file.iter().map(|(name, view)| {
            let tensor = Tensor { dtype: view.dtype(), shape: view.shape().to_vec(), bytes: view.data().to_vec() };
            (name.to_string(), tensor)
        });
        checkpoint.tensors = tensors.collect();
        checkpoint.texts = texts;
        let (found, expected) = (checkpoint.checksum(), checkpoint.text::<String>(Self::CHECKSUM)?);
        if found != expected {
            return Err(checkpoint.error(format!(
                "damaged: its contents have the checksum {found}, and its header says {expected}. Go back to a copy of it, or \
                 begin anew in another directory"
            )));
        }
        Ok(checkpoint)
    }

    /// Of all texts but those that say what the file is, and of all tensors, in the order of their names.
    fn checksum(&self) -> String {
        let mut hasher = crc32fast::Hasher::new();
        let own = ["format", "format_version", Self::CHECKSUM];
        for (name, text) in self.texts.iter().filter(|(name, _)| !own.contains(&name.as_str())) {
            // The lengths keep what belongs to a name apart from what belongs to its text.
            hasher.update(format!("{} {} {name}{text}", name.len(), text.len()).as_bytes());
        }
        for (name, Tensor { dtype, shape, bytes }) in &self.tensors {
            hasher.update(format!("{name} {dtype:?} {shape:?}").as_bytes());
            hasher.update(bytes);
        }
        format!("{:08x}", hasher.finalize())
    }
}

/// Sorts the keys of a safetensors file's header, whose texts are otherwise in an order that changes from one process to
/// the next. The header keeps its length: 8 bytes that say so, the JSON, spaces.
fn sort_header(file: &mut [u8]) {
    let (length, rest) = file.split_first_chunk_mut::<8>().expect("a file begins with the length of its header");
    let header = &mut rest[..u64::from_le_bytes(*length) as usize];
    let entries: BTreeMap<String, BTreeMap<String, serde_json::Value>> =
        serde_json::from_slice(header).expect("a header is an object of objects");
    let sorted = serde_json::to_vec(&entries).expect("what was JSON has a JSON form");
    let (text, padding) = header.split_at_mut(sorted.len());
    text.copy_from_slice(&sorted);
    padding.fill(b' ');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_contents_are_the_same_bytes_and_read_back() {
        let directory = tempfile::tempdir().unwrap();
        let mut checkpoint = Checkpoint::default();
        for number in 0..40 {
            checkpoint.put_text(&format!("text {number}"), format!("\"{number}\"\nü"));
        }
        checkpoint.put_f32("b", &[2, 1], &[0.5, -1.0]);
        checkpoint.put_f64("a", &[1.0 / 3.0]);
        checkpoint.put_bytes("c", b"chains");
        // Each write has a hash map of its own, seeded anew.
        let paths: Vec<PathBuf> = (0..4).map(|number| directory.path().join(number.to_string())).collect();
        paths.iter().for_each(|path| checkpoint.write(path).unwrap());
        let files: Vec<Vec<u8>> = paths.iter().map(|path| std::fs::read(path).unwrap()).collect();
        assert!(files[1..].iter().all(|file| *file == files[0]));
        let read = Checkpoint::read(&paths[0]).unwrap();
        assert_eq!(read.tensors, checkpoint.tensors);
        assert_eq!(read.text::<String>("text 7").unwrap(), "\"7\"\nü");
        assert_eq!(read.f64("a", 1).unwrap(), [1.0 / 3.0]);
    }

    #[test]
    fn a_bit_that_turned_over_is_noticed_wherever_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("checkpoint");
        let mut checkpoint = Checkpoint::default();
        checkpoint.put_text("iteration", 7);
        checkpoint.put_text(Checkpoint::CONFIG, "seed = 3");
        checkpoint.put_f32("policy.0.weight", &[2, 3], &[0.5, -1.0, 2.0, 0.0, 1.0, 3.0]);
        checkpoint.put_bytes("chains", b"0110");
        checkpoint.write(&path).unwrap();
        let whole = std::fs::read(&path).unwrap();
        let padding = whole.iter().rposition(|&byte| byte == b'}').unwrap() + 1;
        let mut tried = 0;
        for bit in 0..8 * whole.len() {
            // A blank after the header's text says nothing, and a tensor's bytes begin where the padding ends.
            if (padding..padding.next_multiple_of(8)).contains(&(bit / 8)) {
                continue;
            }
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, damaged).unwrap();
            let read = Checkpoint::read(&path);
            assert!(read.is_err_and(|error| error.path == path), "bit {bit} of {}", 8 * whole.len());
            tried += 1;
        }
        assert!(tried > 8 * whole.len() - 64);
    }
}
