//! Evidence: values that some variables have.
//!
//! An `.evid` file is `k variable value ..` (2014) or, in the older form (2010), `1` and then that: the number of words tells them
//! apart. Variables and values are counted from 0, whatever a model's own labels are.

use std::collections::BTreeMap;
use std::path::Path;

use super::error::{Fault, ModelError};
use super::text::Words;
use super::{FactorGraph, bytes_of, text_of};

/// Values of some variables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence(BTreeMap<usize, usize>);

impl Evidence {
    /// Variables and their values, in the order of the variables.
    pub fn values(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.0.iter().map(|(&variable, &value)| (variable, value))
    }
}

/// The evidence in a file.
///
/// # Errors
/// If the file cannot be read; as [`parse_evidence`].
pub fn read_evidence(path: &Path, graph: &FactorGraph) -> Result<Evidence, ModelError> {
    let name = path.display().to_string();
    parse_evidence(&name, text_of(&name, &bytes_of(path)?)?, graph)
}

/// The evidence in a text, which is called `name` in messages.
///
/// # Errors
/// With the line: numbers that are no variable of the graph or no value of it, a variable that is given two values, and a
/// number of words that fits neither form.
pub fn parse_evidence(name: &str, text: &str, graph: &FactorGraph) -> Result<Evidence, ModelError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    evidence(text, graph).map_err(|fault| fault.within(name))
}

fn evidence(text: &str, graph: &FactorGraph) -> Result<Evidence, Fault> {
    let mut words = Words::new(text, |line| line.starts_with('c'));
    // `k` and k pairs are an odd number of words, one more in front an even one.
    if text.lines().filter(|line| !line.starts_with('c')).flat_map(str::split_whitespace).count().is_multiple_of(2) {
        words.whole("the number of samples of evidence", 1..=1)?;
    }
    let most = graph.variables();
    let count = words.whole("the number of variables with evidence", 0..=most)?;
    let mut found = BTreeMap::new();
    for _ in 0..count {
        let variable = words.whole("a variable with evidence", 0..=most - 1)?;
        let value = words.whole("the value of a variable", 0..=graph.cardinality(variable) - 1)?;
        if found.insert(variable, value).is_some_and(|other| other != value) {
            return Err(words.fault(format!("variable {variable} is given two values")));
        }
    }
    words.end()?;
    Ok(Evidence(found))
}
