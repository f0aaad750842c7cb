//! A bucket: all that depends on a variable when its turn comes, factors and what earlier buckets left.

use std::ops::Range;

use rayon::prelude::*;

/// Combinations of the other variables that a thread takes at a time.
const CHUNK: usize = 1 << 12;

/// A table over a bucket's variable and some of its neighbours.
pub(super) struct Term<'a> {
    pub table: &'a [f64],
    /// How far apart neighbouring values of each neighbour are in it, 0 for those that it does not depend on.
    pub strides: Vec<usize>,
    /// The same for the bucket's own variable.
    pub own: usize,
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

    /// log sum over the variable of exp(sum of terms), for each combination of the neighbours.
    pub fn message(&self) -> Vec<f64> {
        let mut message = vec![0.0; self.combinations()];
        message.par_chunks_mut(CHUNK).enumerate().for_each(|(chunk, message)| {
            let first = chunk * CHUNK;
            self.each(first..first + message.len(), |index, logs, _| message[index - first] = log_sum(logs).0);
        });
        message
    }

    /// All combinations of neighbours in a range, one after the other: its number, the sum of terms for each value of the
    /// variable, and where each term's table has the combination.
    pub fn each(&self, range: Range<usize>, mut visit: impl FnMut(usize, &[f64], &[usize])) {
        let mut digits = vec![0; self.cardinalities.len()];
        let mut rest = range.start;
        for (digit, cardinality) in digits.iter_mut().zip(&self.cardinalities).rev() {
            *digit = rest % cardinality;
            rest /= cardinality;
        }
        let start = |term: &Term| digits.iter().zip(&term.strides).map(|(digit, stride)| digit * stride).sum();
        let mut places: Vec<usize> = self.terms.iter().map(start).collect();
        let mut logs = vec![0.0; self.values];
        for index in range {
            for (value, log) in logs.iter_mut().enumerate() {
                let terms = self.terms.iter().zip(&places);
                *log = terms.map(|(term, place)| term.table[place + value * term.own]).sum();
            }
            visit(index, &logs, &places);
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

/// log sum of exponentials, and the largest of the logarithms, which is taken out of the sum.
#[inline]
pub(super) fn log_sum(logs: &[f64]) -> (f64, f64) {
    let most = logs.iter().fold(f64::NEG_INFINITY, |most, &log| most.max(log));
    if most == f64::NEG_INFINITY {
        return (most, most);
    }
    (most + logs.iter().map(|log| (log - most).exp()).sum::<f64>().ln(), most)
}
