//! What is made of single trajectories' scores: square norms, moments, and the leave-one-out gradient.
//!
//! A block's sums are in the engine's precision, over [`BLOCK`] trajectories at most; blocks are added in f64.

use super::scores::{Sink, TOGETHER};
use crate::engine::BLOCK;
use crate::network::Layout;
use crate::network::real::{Real, cast, dot, vectorised};

/// |h_i|^2 of the trajectories of a block.
#[derive(Default)]
pub struct SquareNorms {
    norms: Vec<f64>,
}

impl SquareNorms {
    /// Starts a block of `rows` trajectories.
    pub fn begin(&mut self, rows: usize) {
        self.norms.clear();
        self.norms.resize(rows, 0.0);
    }

    /// One number a row.
    pub fn norms(&self) -> &[f64] {
        &self.norms
    }
}

impl<T: Real> Sink<T> for SquareNorms {
    fn take(&mut self, row: usize, _: usize, score: &[T]) {
        let square = vectorised(
            #[inline(always)]
            || dot(score, score),
        );
        self.norms[row] += square.to_f64();
    }
}

/// The moments of a block.
pub struct MomentSums<T> {
    /// c of each row.
    coefficients: Vec<T>,
    /// sum h, sum c h, sum h^2 and sum c h^2.
    sums: [Vec<T>; 4],
}

impl<T: Real> MomentSums<T> {
    pub fn zeros(layout: &Layout) -> Self {
        Self { coefficients: Vec::new(), sums: [(); 4].map(|()| vec![T::default(); layout.parameters()]) }
    }

    /// Starts a block with these coefficients.
    pub fn begin(&mut self, coefficients: &[f64]) {
        self.coefficients = cast(coefficients);
        self.sums.iter_mut().for_each(|sum| sum.fill(T::default()));
    }
}

impl<T: Real> Sink<T> for MomentSums<T> {
    fn take(&mut self, row: usize, at: usize, score: &[T]) {
        self.add(row, at, [score]);
    }

    fn take_together(&mut self, row: usize, at: usize, scores: [&[T]; TOGETHER]) {
        self.add(row, at, scores);
    }
}

impl<T: Real> MomentSums<T> {
    /// Writes the four lists, one after the other.
    pub fn write(&self, list: &mut Vec<f64>) {
        list.clear();
        self.sums.iter().for_each(|sum| list.extend(sum.iter().map(|number| number.to_f64())));
    }

    fn add<const N: usize>(&mut self, row: usize, at: usize, scores: [&[T]; N]) {
        let c = std::array::from_fn(|n| self.coefficients[row + n]);
        let [sum, weighted, squares, weighted_squares] = self.sums.each_mut().map(|list| &mut list[at..]);
        vectorised(
            #[inline(always)]
            || add_moments(c, scores, sum, weighted, squares, weighted_squares),
        );
    }
}

/// A function of its own, so that the compiler knows that the lists do not overlap.
#[inline(always)]
fn add_moments<T: Real, const N: usize>(
    c: [T; N],
    scores: [&[T]; N],
    sum: &mut [T],
    weighted: &mut [T],
    squares: &mut [T],
    weighted_squares: &mut [T],
) {
    let length = scores[0].len();
    let scores = scores.map(|score| &score[..length]);
    let lists = sum[..length].iter_mut().zip(&mut weighted[..length]);
    let lists = lists.zip(&mut squares[..length]).zip(&mut weighted_squares[..length]);
    for (i, (((sum, weighted), square), weighted_square)) in lists.enumerate() {
        let (mut a, mut b, mut d, mut e) = (*sum, *weighted, *square, *weighted_square);
        for (score, &c) in scores.iter().zip(&c) {
            let h = score[i];
            let weighted_h = c * h;
            a += h;
            b += weighted_h;
            d += h * h;
            e += weighted_h * h;
        }
        (*sum, *weighted, *square, *weighted_square) = (a, b, d, e);
    }
}

/// sum_i h_i (c_i - k_i) over a block, k_i = (sum_j c_j h_j^2 - c_i h_i^2) / (sum_j h_j^2 - h_i^2) for each parameter.
pub struct LeaveOneOut<'a, T> {
    /// c of each row.
    coefficients: Vec<T>,
    sum: Vec<T>,
    /// Over the whole batch: sum h^2 and sum c h^2.
    squares: &'a [T],
    weighted_squares: &'a [T],
}

impl<'a, T: Real> LeaveOneOut<'a, T> {
    /// Sums over the batch, in the model's order.
    pub fn new(squares: &'a [T], weighted_squares: &'a [T]) -> Self {
        Self { coefficients: Vec::new(), sum: vec![T::default(); squares.len()], squares, weighted_squares }
    }

    /// Starts a block with these coefficients.
    pub fn begin(&mut self, coefficients: &[f64]) {
        self.coefficients = cast(coefficients);
        self.sum.fill(T::default());
    }

    /// The block's part of the gradient.
    pub fn write(&self, list: &mut Vec<f64>) {
        list.clear();
        list.extend(self.sum.iter().map(|number| number.to_f64()));
    }
}

impl<T: Real> Sink<T> for LeaveOneOut<'_, T> {
    fn take(&mut self, row: usize, at: usize, score: &[T]) {
        let c = self.coefficients[row];
        let place = at..at + score.len();
        let (squares, weighted_squares) = (&self.squares[place.clone()], &self.weighted_squares[place.clone()]);
        let sum = &mut self.sum[place];
        // A sum over a block has this much, relative to itself.
        let rounding = T::from_f64(BLOCK as f64) * T::EPSILON;
        vectorised(
            #[inline(always)]
            || {
                for i in 0..score.len() {
                    let h = score[i];
                    let square = h * h;
                    let others = squares[i] - square;
                    let k = (weighted_squares[i] - c * square) / others;
                    let k = if others > rounding * squares[i] { k } else { T::default() };
                    sum[i] += h * (c - k);
                }
            },
        );
    }
}
