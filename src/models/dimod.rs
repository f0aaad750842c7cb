//! What dimod writes: a coordinate list, and JSON (schema 3). E is as written, over spins or over 0 and 1; what is given twice adds
//! up, as in dimod.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::error::Fault;
use super::graph::FactorGraph;
use super::labels::Variables;
use super::pairwise::{Domain, Pairwise, Repeated};
use super::text::{fields, lines, number, shown, whole};

/// A line `# vartype=SPIN` or `# vartype=BINARY`, and lines `u v bias`, where u = v is a linear one. Variables are whole numbers, and
/// those there are that the file speaks of.
pub(super) fn read_coo(text: &str) -> Result<FactorGraph, Fault> {
    let mut domain = None;
    let mut entries = Vec::new();
    for (line, content) in lines(text) {
        if let Some(comment) = content.strip_prefix('#') {
            if let Some((_, kind)) = comment.split_once("vartype=") {
                domain = Some(vartype(kind.trim()).map_err(|message| Fault::at(line, message))?);
            }
            continue;
        }
        let [first, second, bias] = fields(line, content, "u v bias")?;
        let first = whole(line, first, "u, a variable,", 0..=u32::MAX as usize)?;
        let second = whole(line, second, "v, a variable,", 0..=u32::MAX as usize)?;
        entries.push((line, first, second, number(line, bias, "a bias")?));
    }
    let domain = domain.ok_or_else(|| {
        Fault::new(
            "nothing says what its variables are: write `# vartype=SPIN` or `# vartype=BINARY` as its first line",
        )
    })?;
    let mut names: Vec<usize> = entries.iter().flat_map(|&(_, first, second, _)| [first, second]).collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return Err(Fault::new("it has no variables"));
    }
    let place = |name: usize| names.binary_search(&name).expect("each is among them");
    let mut model = Pairwise::new(domain, Repeated::Added, -1.0);
    for (line, first, second, bias) in entries {
        if first == second {
            model.add_linear(line, place(first), bias)?;
        } else {
            model.add_pair(line, place(first), place(second), bias)?;
        }
    }
    let variables = names.len();
    model.graph(variables, Variables::Named(names.iter().map(usize::to_string).collect()))
}

#[derive(Deserialize)]
struct Json {
    variable_labels: Vec<Value>,
    variable_type: String,
    #[serde(default)]
    offset: f64,
    linear_biases: Vec<f64>,
    quadratic_head: Vec<usize>,
    quadratic_tail: Vec<usize>,
    quadratic_biases: Vec<f64>,
}

/// Schema 3, with `use_bytes` false.
pub(super) fn read_json(text: &str) -> Result<FactorGraph, Fault> {
    let json: Json = serde_json::from_str(text)?;
    let variables = json.variable_labels.len();
    if variables == 0 {
        return Err(Fault::new("variable_labels is empty"));
    }
    let same = |name: &str, found: usize, expected: usize| {
        let message = || format!("{name} has {found} entries, where {expected} are needed");
        if found == expected { Ok(()) } else { Err(Fault::new(message())) }
    };
    same("linear_biases", json.linear_biases.len(), variables)?;
    let pairs = json.quadratic_biases.len();
    same("quadratic_head", json.quadratic_head.len(), pairs)?;
    same("quadratic_tail", json.quadratic_tail.len(), pairs)?;
    let domain = vartype(&json.variable_type).map_err(Fault::new)?;
    let mut model = Pairwise::new(domain, Repeated::Added, -1.0);
    model.add_offset(json.offset);
    for (variable, &bias) in json.linear_biases.iter().enumerate() {
        model.add_linear(0, variable, bias)?;
    }
    let ends = json.quadratic_head.iter().zip(&json.quadratic_tail);
    for (index, ((&head, &tail), &bias)) in ends.zip(&json.quadratic_biases).enumerate() {
        if head.max(tail) >= variables {
            let message = format!("pair {index} is of variables {head} and {tail}: they must be below {variables}");
            return Err(Fault::new(message));
        }
        model.add_pair(0, head, tail, bias)?;
    }
    model.graph(variables, names(&json.variable_labels)?)
}

/// Labels that are texts or anything else that JSON has, no two alike.
pub(super) fn names(labels: &[Value]) -> Result<Variables, Fault> {
    let text = |label: &Value| label.as_str().map_or_else(|| label.to_string(), str::to_owned);
    let names: Vec<String> = labels.iter().map(text).collect();
    let mut seen = BTreeMap::new();
    for (index, name) in names.iter().enumerate() {
        if let Some(other) = seen.insert(name, index) {
            return Err(Fault::new(format!("variables {other} and {index} are both called {}", shown(name))));
        }
    }
    Ok(Variables::Named(names))
}

fn vartype(name: &str) -> Result<Domain, String> {
    match name {
        "SPIN" => Ok(Domain::Spin),
        "BINARY" => Ok(Domain::Binary),
        _ => Err(format!("the variables' type is {}: it must be SPIN or BINARY", shown(name))),
    }
}
