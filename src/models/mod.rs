//! Discrete models from files: factor graphs, spin glasses, max-cut, QUBO and Potts models, as one [`FactorGraph`].
//!
//! [`read`] takes a file in any of the [`Format`]s, [`parse_bytes`] its content, [`parse`] its text; [`Evidence`] fixes the values of some variables. What is
//! wrong with a file is a [`ModelError`], which names the file and the line. Files are not trusted: no count in one makes room
//! for more than the file itself could fill.
//!
//! [`elimination`] tells log Z, marginals and samples of a model exactly, where its graph is narrow enough.

mod bqpjson;
mod dimod;
pub mod elimination;
mod error;
mod evidence;
mod format;
mod graph;
mod labels;
mod max_cut;
mod npz;
mod pairwise;
mod potts;
mod qubo;
mod scipy;
mod spin_glass;
#[cfg(test)]
pub(crate) mod tests;
mod text;
mod uai;

pub(crate) use error::Fault;
pub use error::ModelError;
pub use evidence::{Evidence, parse_evidence, read_evidence};
pub use format::Format;
pub(crate) use graph::size;
pub use graph::{Factor, FactorGraph, MOST_ENTRIES};
pub use labels::{Labels, Values, Variables};
pub(crate) use text::{lines, number, shown};

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Bytes that a model's file can have.
const LARGEST_FILE: u64 = 1 << 30;

/// The model in a file, all of its log factors times `beta`.
///
/// Without a format, the file's suffix and content say which it is.
///
/// # Errors
/// If the file cannot be read or is larger than 1 GiB; as [`parse_bytes`].
pub fn read(path: &Path, format: Option<Format>, beta: f64) -> Result<FactorGraph, ModelError> {
    parse_bytes(&path.display().to_string(), &bytes_of(path)?, format, beta)
}

/// The model in the content of a file; `name` is what it is called in messages, and its suffix counts as a file's does.
///
/// # Errors
/// If it is no text in UTF-8, as all formats but [`Format::ScipySparse`] are; as [`parse`].
pub fn parse_bytes(name: &str, bytes: &[u8], format: Option<Format>, beta: f64) -> Result<FactorGraph, ModelError> {
    let is_binary = format.map_or_else(|| Format::is_binary(name, bytes), |format| format == Format::ScipySparse);
    if !is_binary {
        return parse(name, text_of(name, bytes)?, format, beta);
    }
    check_beta(beta).and_then(|()| scipy::read(bytes)?.times(beta)).map_err(|fault| fault.within(name))
}

/// The model in a text, as [`parse_bytes`].
///
/// # Errors
/// With the line: what is not of the format, numbers that are not finite, indices and counts out of range, what is given
/// twice and must not be, and whatever follows the end. If `beta` is not positive and finite; if the format is no text.
pub fn parse(name: &str, text: &str, format: Option<Format>, beta: f64) -> Result<FactorGraph, ModelError> {
    let within = |fault: Fault| fault.within(name);
    check_beta(beta).map_err(within)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let format = match format {
        Some(format) => format,
        None => Format::of(name, text).map_err(within)?,
    };
    let graph = match format {
        Format::Uai => uai::read(text, uai::Entries::Factors),
        Format::UaiLog => uai::read(text, uai::Entries::Logarithms),
        Format::SpinGlass => spin_glass::read(text),
        Format::SpinGlassServer => spin_glass::read_server(text),
        Format::MaxCut => max_cut::read(text),
        Format::Qubo => qubo::read(text),
        Format::DimodCoo => dimod::read_coo(text),
        Format::DimodJson => dimod::read_json(text),
        Format::Bqpjson => bqpjson::read(text),
        Format::Adabmdca => potts::read_adabmdca(text),
        Format::Ccmpred => potts::read_ccmpred(text),
        Format::ScipySparse => Err(Fault::new("scipy_sparse is no text: such a model must be a file of its own")),
    };
    graph.and_then(|graph| graph.times(beta)).map_err(within)
}

fn check_beta(beta: f64) -> Result<(), Fault> {
    let message = || format!("beta is {beta}: it must be positive and finite");
    if beta > 0.0 && beta.is_finite() { Ok(()) } else { Err(Fault::new(message())) }
}

/// The content of a file, which may be a pipe, and one that does not end.
pub(crate) fn bytes_of(path: &Path) -> Result<Vec<u8>, ModelError> {
    let within = |fault: Fault| fault.within(&path.display().to_string());
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LARGEST_FILE + 1).read_to_end(&mut bytes));
    read.map_err(|error| within(Fault::new(format!("it cannot be read: {error}"))))?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(within(Fault::new("it is larger than 1 GiB, which no model here may be")));
    }
    Ok(bytes)
}

/// A file's content as text, `name` being its name.
pub(crate) fn text_of<'a>(name: &str, bytes: &'a [u8]) -> Result<&'a str, ModelError> {
    std::str::from_utf8(bytes).map_err(|error| {
        let line = 1 + bytes[..error.valid_up_to()].iter().filter(|&&byte| byte == b'\n').count();
        Fault::at(line, "it is no text in UTF-8, as this format is").within(name)
    })
}
