//! Max-cut as rudy writes it, Gset and MQLib: `n m`, and m lines `a b w`, variables counted from 1; the weight may be left out, and is
//! 1 then. log R is beta times the cut: the sum of w over pairs whose ends are on different sides.

use super::error::Fault;
use super::graph::FactorGraph;
use super::labels::Variables;
use super::pairwise::{Domain, Pairwise, Repeated};
use super::text::{fields, lines, most_variables, number, whole};

pub(super) fn read(text: &str) -> Result<FactorGraph, Fault> {
    let mut lines = lines(text).filter(|(_, content)| !content.starts_with('#'));
    let (line, head) = lines.next().ok_or_else(|| Fault::new("it is empty, and should begin with `n m`"))?;
    let [variables, pairs] = fields(line, head, "n m")?;
    let variables = whole(line, variables, "n, the number of vertices,", 1..=most_variables(text))?;
    let pairs = whole(line, pairs, "m, the number of edges,", 0..=text.len())?;
    let mut model = Pairwise::new(Domain::Cut, Repeated::Refused, 1.0);
    for _ in 0..pairs {
        let ends = || Fault::at(text.lines().count(), format!("the file ends before all of its {pairs} edges"));
        let (line, content) = lines.next().ok_or_else(ends)?;
        let weighted = content.split_whitespace().count() != 2;
        let [first, second, weight] = if weighted {
            fields(line, content, "a b w")?
        } else {
            let [first, second] = fields(line, content, "a b")?;
            [first, second, "1"]
        };
        let first = whole(line, first, "a, a vertex,", 1..=variables)?;
        let second = whole(line, second, "b, a vertex,", 1..=variables)?;
        model.add_pair(line, first - 1, second - 1, number(line, weight, "w, a weight,")?)?;
    }
    if let Some((line, _)) = lines.next() {
        return Err(Fault::at(line, format!("there are more lines than the {pairs} edges that the head says")));
    }
    model.graph(variables, Variables::From(1))
}
