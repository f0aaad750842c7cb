//! Spin glasses, E = -sum c s_i s_j: a positive c favours equal spins.
//!
//! `.sg` and `.gsg`: comment lines that begin with `#`, `n m`, and m lines `i j c`, variables counted from 1. The spin-glass server's
//! files have lines `type:`, `size:` (n) and `name:` in place of `n m`.

use super::error::Fault;
use super::graph::FactorGraph;
use super::labels::Variables;
use super::pairwise::{Domain, Pairwise, Repeated};
use super::text::{Words, fields, lines, most_variables, number, whole};

pub(super) fn read(text: &str) -> Result<FactorGraph, Fault> {
    let mut words = Words::new(text, |line| line.trim_start().starts_with('#'));
    let variables = words.whole("n, the number of spins,", 1..=most_variables(text))?;
    let pairs = words.whole("m, the number of couplings,", 0..=text.len())?;
    let mut model = Pairwise::new(Domain::Spin, Repeated::Refused, 1.0);
    for _ in 0..pairs {
        let first = words.whole("i, a spin,", 1..=variables)?;
        let second = words.whole("j, a spin,", 1..=variables)?;
        let coupling = words.number("c, a coupling,")?;
        model.add_pair(words.line(), first - 1, second - 1, coupling)?;
    }
    words.end()?;
    model.graph(variables, Variables::From(1))
}

pub(super) fn read_server(text: &str) -> Result<FactorGraph, Fault> {
    let mut model = Pairwise::new(Domain::Spin, Repeated::Refused, 1.0);
    let mut size = None;
    for (line, content) in lines(text).filter(|(_, content)| !content.starts_with('#')) {
        if let Some((key, value)) = content.split_once(':') {
            if key.trim() == "size" {
                let found = whole(line, value.trim(), "size, the number of spins,", 1..=most_variables(text))?;
                if size.replace(found).is_some() {
                    return Err(Fault::at(line, "`size:` is given twice"));
                }
            }
            continue;
        }
        let variables =
            size.ok_or_else(|| Fault::at(line, "`size:`, the number of spins, must come before couplings"))?;
        let [first, second, coupling] = fields(line, content, "i j J")?;
        let first = whole(line, first, "i, a spin,", 1..=variables)?;
        let second = whole(line, second, "j, a spin,", 1..=variables)?;
        model.add_pair(line, first - 1, second - 1, number(line, coupling, "J, a coupling,")?)?;
    }
    let variables = size.ok_or_else(|| Fault::new("it has no line `size:` with the number of spins"))?;
    model.graph(variables, Variables::From(1))
}
