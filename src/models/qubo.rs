//! qbsolv's `.qubo`: comment lines that begin with `c`, `p qubo 0 max nN nC`, nN lines `i i w` and nC lines `i j w` with i < j,
//! variables counted from 0. E = sum w x_i x_j over x = 0 or 1, to be minimised; `max` is the number of variables.

use super::error::Fault;
use super::graph::FactorGraph;
use super::labels::Variables;
use super::pairwise::{Domain, Pairwise, Repeated};
use super::text::{fields, lines, most_variables, number, shown, whole};

pub(super) fn read(text: &str) -> Result<FactorGraph, Fault> {
    let is_comment = |content: &str| content.split_whitespace().next() == Some("c") || content.starts_with('#');
    let mut lines = lines(text).filter(|(_, content)| !is_comment(content));
    const HEAD: &str = "p qubo 0 max nN nC";
    let (line, head) =
        lines.next().ok_or_else(|| Fault::new(format!("it is empty, and should begin with `{HEAD}`")))?;
    let [p, qubo, topology, variables, single, pairs] = fields(line, head, HEAD)?;
    if (p, qubo) != ("p", "qubo") {
        return Err(Fault::at(line, format!("expected `{HEAD}`, found {}", shown(head))));
    }
    if topology != "0" && topology != "unconstrained" {
        return Err(Fault::at(line, format!("the topology is {}: only 0 is read", shown(topology))));
    }
    let variables = whole(line, variables, "max, the number of variables,", 1..=most_variables(text))?;
    let mut left = [
        whole(line, single, "nN, the number of weights of single variables,", 0..=text.len())?,
        whole(line, pairs, "nC, the number of pairs,", 0..=text.len())?,
    ];
    let mut model = Pairwise::new(Domain::Binary, Repeated::Refused, -1.0);
    for (line, content) in lines {
        let [first, second, weight] = fields(line, content, "i j w")?;
        let first = whole(line, first, "i, a variable,", 0..=variables - 1)?;
        let second = whole(line, second, "j, a variable,", 0..=variables - 1)?;
        let weight = number(line, weight, "w, a weight,")?;
        let kind = usize::from(first != second);
        let none =
            || Fault::at(line, format!("there are more lines `{}` than the head says", ["i i w", "i j w"][kind]));
        left[kind] = left[kind].checked_sub(1).ok_or_else(none)?;
        match kind {
            0 => model.add_linear(line, first, weight)?,
            _ if first > second => return Err(Fault::at(line, "a pair `i j w` must have i < j")),
            _ => model.add_pair(line, first, second, weight)?,
        }
    }
    if left != [0, 0] {
        let message = format!("the file ends with {} lines `i i w` and {} lines `i j w` missing", left[0], left[1]);
        return Err(Fault::at(text.lines().count().max(1), message));
    }
    model.graph(variables, Variables::From(0))
}
