//! Words and numbers of a text, each with its line.

use std::ops::RangeInclusive;
use std::str::{Lines, SplitWhitespace};

use super::error::Fault;

/// Characters of a word that a message shows.
const SHOWN: usize = 40;

/// What was found, cut short where it would hide what is said of it.
pub(crate) fn shown(word: &str) -> String {
    let beginning: String = word.chars().take(SHOWN).collect();
    if beginning.len() < word.len() { format!("{beginning:?}...") } else { format!("{beginning:?}") }
}

/// A number that is finite.
pub(crate) fn number(line: usize, word: &str, what: &str) -> Result<f64, Fault> {
    let fortran = || word.replace(['d', 'D'], "e").parse::<f64>();
    match word.parse::<f64>().or_else(|_| fortran()) {
        Ok(number) if number.is_finite() => Ok(number),
        Ok(_) => Err(Fault::at(line, format!("{what} is {}: it must be finite", shown(word)))),
        Err(_) => Err(Fault::at(line, format!("{what} is {}: it must be a number", shown(word)))),
    }
}

/// A whole number in a range.
pub(super) fn whole(line: usize, word: &str, what: &str, range: RangeInclusive<usize>) -> Result<usize, Fault> {
    let found = word.parse().ok().filter(|found| range.contains(found));
    found.ok_or_else(|| {
        let (least, most) = (range.start(), range.end());
        let allowed =
            if least > most { "none is allowed here".into() } else { format!("it must be {least} to {most}") };
        Fault::at(line, format!("{what} is {}: {allowed}", shown(word)))
    })
}

/// Variables that a model may have.
pub(super) const MOST_VARIABLES: usize = (1 << 24) - 1;

/// Variables that a text of this length may speak of: more than it could give a number each. Without this a few bytes could ask
/// for gigabytes.
pub(super) fn most_variables(text: &str) -> usize {
    (text.len() + 1000).min(MOST_VARIABLES)
}

/// Lines that say something, with their numbers.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(text.lines()).map(|(line, text)| (line, text.trim())).filter(|(_, text)| !text.is_empty())
}

/// The words of a line, which must be `N`; `layout` says which.
pub(super) fn fields<'a, const N: usize>(line: usize, text: &'a str, layout: &str) -> Result<[&'a str; N], Fault> {
    let mut words = text.split_whitespace();
    let found: [&str; N] = std::array::from_fn(|_| words.next().unwrap_or(""));
    if found.iter().any(|word| word.is_empty()) || words.next().is_some() {
        return Err(Fault::at(line, format!("expected `{layout}`, found {}", shown(text))));
    }
    Ok(found)
}

/// The words of a text, one after the other, comment lines left out.
pub(super) struct Words<'a> {
    lines: Lines<'a>,
    line: usize,
    words: SplitWhitespace<'a>,
    is_comment: fn(&str) -> bool,
}

impl<'a> Words<'a> {
    /// All words of the lines that `is_comment` does not hold for.
    pub fn new(text: &'a str, is_comment: fn(&str) -> bool) -> Self {
        Self { lines: text.lines(), line: 0, words: "".split_whitespace(), is_comment }
    }

    /// The line of the last word.
    pub fn line(&self) -> usize {
        self.line
    }

    /// A fault of the line of the last word.
    pub fn fault(&self, message: impl Into<String>) -> Fault {
        Fault::at(self.line.max(1), message)
    }

    fn advance(&mut self) -> Option<&'a str> {
        loop {
            if let Some(word) = self.words.next() {
                return Some(word);
            }
            let line = self.lines.next()?;
            self.line += 1;
            if !(self.is_comment)(line) {
                self.words = line.split_whitespace();
            }
        }
    }

    /// The next word, which is `what`.
    pub fn next(&mut self, what: &str) -> Result<&'a str, Fault> {
        self.advance().ok_or_else(|| self.fault(format!("the file ends where {what} should be")))
    }

    /// The next word, a finite number.
    pub fn number(&mut self, what: &str) -> Result<f64, Fault> {
        let word = self.next(what)?;
        number(self.line, word, what)
    }

    /// The next word, a whole number.
    pub fn whole(&mut self, what: &str, range: RangeInclusive<usize>) -> Result<usize, Fault> {
        let word = self.next(what)?;
        whole(self.line, word, what, range)
    }

    /// Refuses any word that is left.
    pub fn end(&mut self) -> Result<(), Fault> {
        match self.advance() {
            None => Ok(()),
            Some(word) => Err(self.fault(format!("{} follows where the file should end", shown(word)))),
        }
    }
}
