//! Sums over the gradients of single trajectories, from which control variates of least variance are made.

use crate::network::Arrangement;

/// Sums over a batch's trajectories, for each parameter: `[P]` numbers each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Moments {
    /// sum_i h_i.
    pub sum: Vec<f64>,
    /// sum_i c_i h_i, the estimate without a control variate.
    pub weighted_sum: Vec<f64>,
    /// sum_i h_i^2.
    pub squares: Vec<f64>,
    /// sum_i c_i h_i^2.
    pub weighted_squares: Vec<f64>,
}

impl Moments {
    /// The four lists from one, in which they stand one after the other.
    pub(crate) fn from_list(list: &[f64]) -> Self {
        let parameters = list.len() / 4;
        let [sum, weighted_sum, squares, weighted_squares] =
            std::array::from_fn(|n| list[n * parameters..(n + 1) * parameters].to_vec());
        Self { sum, weighted_sum, squares, weighted_squares }
    }

    /// The four lists, one after the other.
    pub(crate) fn into_list(self) -> Vec<f64> {
        [self.sum, self.weighted_sum, self.squares, self.weighted_squares].concat()
    }

    /// The same lists in the order of the policy's layout, where these are in an engine's own.
    pub fn restored(&self, arrangement: &Arrangement) -> Self {
        let [sum, weighted_sum, squares, weighted_squares] =
            [&self.sum, &self.weighted_sum, &self.squares, &self.weighted_squares]
                .map(|list| arrangement.restore(list));
        Self { sum, weighted_sum, squares, weighted_squares }
    }

    /// Adds a trajectory with coefficient `c` and score `h`; the first one says how many parameters there are.
    pub fn add(&mut self, c: f64, h: &[f64]) {
        let accumulate = |list: &mut Vec<f64>, term: fn(f64, f64) -> f64| {
            list.resize(h.len(), 0.0);
            list.iter_mut().zip(h).for_each(|(sum, &h)| *sum += term(c, h));
        };
        accumulate(&mut self.sum, |_, h| h);
        accumulate(&mut self.weighted_sum, |c, h| c * h);
        accumulate(&mut self.squares, |_, h| h * h);
        accumulate(&mut self.weighted_squares, |c, h| c * h * h);
    }

    /// What trajectory i adds to parameter d of the leave-one-out estimate. With c = c_i and h = h_{i,d}:
    ///     h (c - (sum_j c_j h_{j,d}^2 - c h^2) / (sum_j h_{j,d}^2 - h^2)).
    ///
    /// The estimate is the sum of this over i: a second sweep that forms each h_i again, after a first one that made
    /// `squares` and `weighted_squares`. Where the others' squares are less than the rounding of their sum with h^2,
    /// they count as 0, and 0/0 means 0.
    pub fn leave_one_out_term(&self, parameter: usize, coefficient: f64, score: f64) -> f64 {
        let square = score * score;
        let others = self.squares[parameter] - square;
        if others <= 4.0 * f64::EPSILON * self.squares[parameter] {
            return coefficient * score;
        }
        score * (coefficient - (self.weighted_squares[parameter] - coefficient * square) / others)
    }
}
