//! The format of the UAI competitions: `MARKOV` or `BAYES`; the number of variables and their numbers of values; the number of
//! factors and their scopes `k v1 .. vk`, variables counted from 0 (in `BAYES` the child comes last); and for each factor
//! `count` and its entries, the last variable's value running fastest.
//!
//! Entries are factors phi >= 0, in toulbar2's `.LG` their logarithms. Lines that begin with `c` are comments.

use super::error::Fault;
use super::graph::{FactorGraph, MOST_ENTRIES};
use super::text::{Words, most_variables, shown};

/// What the tables of a file hold.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Entries {
    /// phi.
    Factors,
    /// log phi.
    Logarithms,
}

pub(super) fn read(text: &str, entries: Entries) -> Result<FactorGraph, Fault> {
    let mut words = Words::new(text, |line| line.starts_with('c'));
    let kind = words.next("`MARKOV` or `BAYES`")?;
    if !["MARKOV", "BAYES"].contains(&kind) {
        return Err(words.fault(format!("the file begins with {}: it must be `MARKOV` or `BAYES`", shown(kind))));
    }
    let variables = words.whole("the number of variables", 1..=most_variables(text))?;
    let mut cardinalities = Vec::new();
    for _ in 0..variables {
        cardinalities.push(words.whole("the number of values of a variable", 1..=256)? as u16);
    }
    let factors = words.whole("the number of factors", 0..=text.len())?;
    let mut scopes: Vec<(Vec<u32>, usize)> = Vec::new();
    // The last scope that each variable was found in, counted from 1.
    let mut last = vec![0; variables];
    for number in 1..=factors {
        let size = words.whole("the number of variables of a factor", 0..=variables)?;
        let (mut scope, mut combinations) = (Vec::new(), 1_usize);
        for _ in 0..size {
            let variable = words.whole("a variable of a factor", 0..=variables - 1)?;
            if std::mem::replace(&mut last[variable], number) == number {
                return Err(words.fault(format!("variable {variable} is twice in one scope")));
            }
            scope.push(variable as u32);
            combinations = combinations.saturating_mul(cardinalities[variable].into());
        }
        scopes.push((scope, combinations));
    }
    let mut graph = FactorGraph::new(cardinalities);
    for (scope, combinations) in scopes {
        if combinations > MOST_ENTRIES {
            return Err(words.fault(format!("a factor of {} variables has more entries than can be held", scope.len())));
        }
        words.whole("the number of entries of a factor", combinations..=combinations)?;
        let mut table = Vec::new();
        for _ in 0..combinations {
            table.push(entry(&mut words, entries)?);
        }
        if scope.is_empty() && table[0].is_finite() {
            graph.add_constant(table[0]);
        } else {
            graph.push(&scope, table);
        }
    }
    words.end()?;
    Ok(graph)
}

/// log phi.
fn entry(words: &mut Words, entries: Entries) -> Result<f64, Fault> {
    const WHAT: &str = "an entry of a factor";
    if entries == Entries::Logarithms {
        let word = words.next(WHAT)?;
        let forbidden = word.eq_ignore_ascii_case("-inf") || word.eq_ignore_ascii_case("-infinity");
        return if forbidden { Ok(f64::NEG_INFINITY) } else { super::text::number(words.line(), word, WHAT) };
    }
    let phi = words.number(WHAT)?;
    if phi < 0.0 {
        Err(words.fault(format!("an entry of a factor is {phi}: it must not be negative")))
    } else {
        Ok(phi.ln())
    }
}
