//! A bucket: all that depends on a variable when its turn comes, factors and what earlier buckets left.

use std::borrow::Cow;
use std::ops::Range;

use rayon::prelude::*;

use super::log_sum::log_sums;

/// Combinations of the neighbours that a thread takes at a time.
const CHUNK: usize = 1 << 12;

/// Combinations of the last neighbours that are summed side by side, at most.
const BLOCK: usize = 1 << 8;

/// Entries of tables that are added up where they are over the same variables. More would need room of its own.
const MOST_MERGED: usize = 1 << 12;

/// A table over a bucket's variable and some of its neighbours.
pub(super) struct Term<'a> {
    pub table: Cow<'a, [f64]>,
    /// The messages that are in it, by their buckets.
    pub messages: Vec<usize>,
    /// How far apart neighbouring values of each neighbour are in it, 0 for those that it does not depend on.
    pub strides: Vec<usize>,
    /// The same for the bucket's own variable.
    pub own: usize,
}

impl Term<'_> {
    /// Takes another table over the same variables in, if both are small.
    pub fn merge(&mut self, table: &[f64], message: Option<usize>) -> bool {
        if table.len() > MOST_MERGED {
            return false;
        }
        self.table.to_mut().iter_mut().zip(table).for_each(|(entry, other)| *entry += other);
        self.messages.extend(message);
        true
    }
}

/// The sum of a bucket's terms as a function of its variable and of its neighbours.
pub(super) struct Bucket<'a> {
    pub terms: Vec<Term<'a>>,
    /// Numbers of values of the neighbours, the last one's running fastest.
    pub cardinalities: Vec<usize>,
    /// Values of the variable itself.
    pub values: usize,
}

impl Bucket<'_> {
    /// Combinations of the neighbours' values.
    fn combinations(&self) -> usize {
        self.cardinalities.iter().product()
    }

    /// log sum over the variable of exp(sum of terms), for each combination of the neighbours. `spare` is a table that nobody needs:
    /// what is in its memory already costs less than new memory does.
    pub fn message(&self, spare: Vec<f64>) -> Vec<f64> {
        let mut message = spare;
        if message.len() != self.combinations() {
            // Not both at once.
            drop(message);
            message = vec![0.0; self.combinations()];
        }
        let (mut outer, mut block) = (self.cardinalities.len(), 1);
        while outer > 0 && block * self.cardinalities[outer - 1] <= BLOCK {
            outer -= 1;
            block *= self.cardinalities[outer];
        }
        let inner: Vec<Inner> = self.terms.iter().map(|term| self.inner(outer, block, &term.strides)).collect();
        let blocks = (CHUNK / block).max(1);
        message.par_chunks_mut(blocks * block).enumerate().for_each(|(chunk, message)| {
            let (mut rows, mut scratch) = (vec![0.0; self.values * block], vec![0.0; block]);
            let first = chunk * blocks;
            self.walk(outer, first..first + message.len() / block, |index, places| {
                for (value, row) in rows.chunks_exact_mut(block).enumerate() {
                    row.fill(0.0);
                    for ((term, place), inner) in self.terms.iter().zip(places).zip(&inner) {
                        inner.add(&term.table[place + value * term.own..], row);
                    }
                }
                log_sums(&rows, &mut scratch, &mut message[(index - first) * block..][..block]);
            });
        });
        message
    }

    /// Where a table with these strides has the `block` combinations of all neighbours from `outer` on.
    fn inner(&self, outer: usize, block: usize, strides: &[usize]) -> Inner {
        let mut offsets = vec![0];
        for (&cardinality, &stride) in self.cardinalities[outer..].iter().zip(&strides[outer..]) {
            offsets = offsets.iter().flat_map(|offset| (0..cardinality).map(move |v| offset + v * stride)).collect();
        }
        if offsets[block - 1] == 0 {
            Inner::Same
        } else if offsets.iter().copied().eq(0..block) {
            Inner::Run
        } else {
            Inner::Offsets(offsets)
        }
    }

    /// All combinations of neighbours in a range, one after the other: its number, the sum of terms for each value of the
    /// variable, and where each term's table has the combination.
    pub fn each(&self, range: Range<usize>, mut visit: impl FnMut(usize, &[f64], &[usize])) {
        let mut logs = vec![0.0; self.values];
        self.walk(self.cardinalities.len(), range, |index, places| {
            for (value, log) in logs.iter_mut().enumerate() {
                let terms = self.terms.iter().zip(places);
                *log = terms.map(|(term, place)| term.table[place + value * term.own]).sum();
            }
            visit(index, &logs, places);
        });
    }

    /// Combinations of the first `outer` neighbours in a range, one after the other: its number, and where each term's table has it.
    fn walk(&self, outer: usize, range: Range<usize>, mut visit: impl FnMut(usize, &[usize])) {
        let mut digits = vec![0; outer];
        let mut rest = range.start;
        for (digit, cardinality) in digits.iter_mut().zip(&self.cardinalities[..outer]).rev() {
            *digit = rest % cardinality;
            rest /= cardinality;
        }
        let start = |term: &Term| digits.iter().zip(&term.strides).map(|(digit, stride)| digit * stride).sum();
        let mut places: Vec<usize> = self.terms.iter().map(start).collect();
        for index in range {
            visit(index, &places);
            for (place, digit) in digits.iter_mut().enumerate().rev() {
                *digit += 1;
                let back = if *digit == self.cardinalities[place] { std::mem::take(digit) } else { 0 };
                for (at, term) in places.iter_mut().zip(&self.terms) {
                    *at = *at + term.strides[place] - back * term.strides[place];
                }
                if back == 0 {
                    break;
                }
            }
        }
    }
}

/// Where a table has the combinations of a block, from the place of the first.
enum Inner {
    /// At that place, all of them.
    Same,
    /// One after the other.
    Run,
    /// So far from it.
    Offsets(Vec<usize>),
}

impl Inner {
    fn add(&self, table: &[f64], row: &mut [f64]) {
        match self {
            Inner::Same => row.iter_mut().for_each(|log| *log += table[0]),
            Inner::Run => row.iter_mut().zip(table).for_each(|(log, entry)| *log += entry),
            Inner::Offsets(offsets) => row.iter_mut().zip(offsets).for_each(|(log, &offset)| *log += table[offset]),
        }
    }
}
