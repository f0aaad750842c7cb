//! A trainer's state as named tensors and texts, whatever becomes of them.
//!
//! Taking never trusts what is there: every tensor is checked for its type and shape.

use std::collections::BTreeMap;
use std::path::PathBuf;

use safetensors::tensor::Dtype;

use crate::targets::InputFiles;

/// Why a checkpoint cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct CheckpointError {
    /// The file that it was read from; empty where it never was in one.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: String,
}

/// Named tensors and texts: a trainer's state, on its way to or from a file (`run::checkpoint`).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checkpoint {
    pub(crate) path: PathBuf,
    pub(crate) texts: BTreeMap<String, String>,
    pub(crate) tensors: BTreeMap<String, Tensor>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tensor {
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    pub bytes: Vec<u8>,
}

impl Checkpoint {
    /// The text that is the run's configuration, as TOML.
    pub const CONFIG: &str = "config";
    /// The text that says how many lines of the metrics log belong to the checkpoint.
    pub const LOG_LINES: &str = "log_lines";
    /// The text that is the number of iterations that the run had, while it is being given another one: the checkpoint has
    /// that, and config.toml may not have it yet.
    pub const LENGTH_BEFORE: &str = "length_before";
    /// Prefix of the tensors that are files of the target; the keys that name them follow.
    const FILE: &str = "file.";

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

    /// Adds files of a target.
    pub fn put_files(&mut self, files: &InputFiles) {
        files.iter().for_each(|(key, content)| self.put_bytes(&format!("{}{key}", Self::FILE), content));
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

    /// The files of a target that it keeps.
    pub fn files(&self) -> Result<InputFiles, CheckpointError> {
        let keys = self.tensors.keys().filter_map(|name| name.strip_prefix(Self::FILE).map(|key| (name, key)));
        let files = keys.map(|(name, key)| Ok((key.to_owned(), self.bytes(name)?.into())));
        files.collect::<Result<Vec<_>, _>>().map(InputFiles::new)
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
}
