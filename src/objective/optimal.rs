//! Control variates of least variance, from moments of the single trajectories' gradients.
//!
//! For an estimate sum_i c_i h_i, h_i = grad log P_F(tau_i), [P] numbers each, the constant k that makes the summed
//! variance of sum_i (c_i + k) h_i least is
//!     k = - sum_i c_i |h_i|^2 / sum_i |h_i|^2,
//! and for one parameter d by itself the same ratio with h_{i,d}^2 in place of |h_i|^2; 0/0 means 0. (Weights that all
//! trajectories share are part of c, so nothing here knows the size of the batch or the weight of a term.)
//! `Form::Batch` takes the sums over the whole batch, as the code of arXiv:2210.07992 does; k then depends a little on
//! every trajectory it is applied to, a bias of -(1/B) E[(f + k) |h|^2 h] / E[|h|^2] to first order.
//! `Form::LeaveOneOut` takes for trajectory i the sums without i: no bias, and k_i is one number a trajectory.

use crate::engine::Moments;

/// Which sums k is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The whole batch.
    Batch,
    /// For trajectory i, the batch without i.
    LeaveOneOut,
}

/// Whether the parameters share k.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// One k for all parameters. The batch form is made of [`Moments`], whose sums over the parameters it needs; the
    /// leave-one-out form of |h_i|^2 of each trajectory, by [`leave_one_out`].
    Scalar,
    /// A k for each parameter. Needs [`Moments`], and for leave-one-out a second sweep over the trajectories, which
    /// adds up [`Moments::leave_one_out_term`].
    PerParameter,
}

/// What is still to be done to an estimate sum_i c_i h_i.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Optimal {
    /// One k, or one for each parameter.
    pub extent: Extent,
    /// Whether the trajectory itself is left out of its k.
    pub form: Form,
}

/// Adds to each coefficient the scalar k_i of the leave-one-out form. `square_norms[i]` is |h_i|^2.
///
/// # Panics
/// If there is not one square norm a coefficient.
pub fn leave_one_out(coefficients: &mut [f64], square_norms: &[f64]) {
    assert_eq!(coefficients.len(), square_norms.len(), "one square norm a trajectory");
    let weighted: Vec<f64> = coefficients.iter().zip(square_norms).map(|(c, square)| c * square).collect();
    let sums = sums_without_each(&weighted).into_iter().zip(sums_without_each(square_norms));
    coefficients.iter_mut().zip(sums).for_each(|(c, (weighted, squares))| *c -= ratio(weighted, squares));
}

/// The estimate with the control variate in batch form: sum c h - r sum h, where r is sum c h^2 / sum h^2 for each
/// parameter, or the ratio of the two summed over the parameters.
pub fn batch_form(moments: &Moments, extent: Extent) -> Vec<f64> {
    let shared = ratio(moments.weighted_squares.iter().sum(), moments.squares.iter().sum());
    let optima = moments.weighted_squares.iter().zip(&moments.squares).map(|(weighted, squares)| match extent {
        Extent::Scalar => shared,
        Extent::PerParameter => ratio(*weighted, *squares),
    });
    let sums = moments.sum.iter().zip(&moments.weighted_sum);
    sums.zip(optima).map(|((sum, weighted_sum), optimum)| weighted_sum - optimum * sum).collect()
}

fn ratio(numerator: f64, denominator: f64) -> f64 {
    if denominator == 0.0 { 0.0 } else { numerator / denominator }
}

/// For each i, the sum of all values but the i-th, without the cancellation that a subtraction from the total has.
fn sums_without_each(values: &[f64]) -> Vec<f64> {
    let mut sums = vec![0.0; values.len()];
    let mut add_running_sum = |i: usize, sum: f64| {
        sums[i] += sum;
        sum + values[i]
    };
    (0..values.len()).fold(0.0, |before, i| add_running_sum(i, before));
    (0..values.len()).rev().fold(0.0, |after, i| add_running_sum(i, after));
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::assert_close;

    /// Three trajectories, two parameters; the second parameter is moved by the first trajectory only.
    const SCORES: [[f64; 2]; 3] = [[1.0, 2.0], [-2.0, 0.0], [3.0, 0.0]];
    const COEFFICIENTS: [f64; 3] = [4.0, 5.0, -7.0];

    fn moments(coefficients: &[f64], scores: &[[f64; 2]]) -> Moments {
        let mut moments = Moments::default();
        coefficients.iter().zip(scores).for_each(|(c, h)| moments.add(*c, h));
        moments
    }

    #[test]
    fn scalar_forms_match_the_definition() {
        let norms = SCORES.map(|h| h[0] * h[0] + h[1] * h[1]);
        assert_eq!(norms, [5.0, 4.0, 9.0]);
        let k = -(20.0 + 20.0 - 63.0) / 18.0;
        let found = batch_form(&moments(&COEFFICIENTS, &SCORES), Extent::Scalar);
        let expected = [0, 1].map(|d| COEFFICIENTS.iter().zip(SCORES).map(|(c, h)| (c + k) * h[d]).sum::<f64>());
        assert_close(&found, &expected, 1e-14, "gradient");
        let mut left_out = COEFFICIENTS;
        leave_one_out(&mut left_out, &norms);
        assert_eq!(left_out, [4.0 + 43.0 / 13.0, 5.0 + 43.0 / 14.0, -7.0 - 40.0 / 9.0]);
    }

    #[test]
    fn the_scalar_constant_has_the_least_sum_of_squares() {
        let moments = moments(&COEFFICIENTS, &SCORES);
        let k = -ratio(moments.weighted_squares.iter().sum(), moments.squares.iter().sum());
        let spread = |k: f64| -> f64 {
            COEFFICIENTS.iter().zip(SCORES).map(|(c, h)| (c + k).powi(2) * (h[0] * h[0] + h[1] * h[1])).sum()
        };
        assert!(spread(k) < spread(k + 1e-4) && spread(k) < spread(k - 1e-4));
    }

    #[test]
    fn nothing_over_nothing_is_nothing() {
        for extent in [Extent::Scalar, Extent::PerParameter] {
            assert_eq!(batch_form(&moments(&[3.0, -1.0], &[[0.0; 2]; 2]), extent), [0.0, 0.0]);
        }
        let mut coefficients = [3.0, -1.0];
        leave_one_out(&mut coefficients, &[0.0, 0.0]);
        assert_eq!(coefficients, [3.0, -1.0]);
        // Only the first trajectory moves anything: the others are centred by it, it by nothing.
        let mut coefficients = [3.0, -1.0, 2.0];
        leave_one_out(&mut coefficients, &[7.0, 0.0, 0.0]);
        assert_eq!(coefficients, [3.0, -4.0, -1.0]);
    }

    #[test]
    fn per_parameter_forms_match_the_definition() {
        let moments = moments(&COEFFICIENTS, &SCORES);
        // Parameter 0: squares 1, 4, 9, weighted 4, 20, -63. Parameter 1: only the first trajectory counts.
        let gradient = batch_form(&moments, Extent::PerParameter);
        assert!((gradient[0] - (-27.0 + 39.0 / 14.0 * 2.0)).abs() < 1e-14);
        assert_eq!(gradient[1], 0.0);
        let term = |i: usize, d: usize| moments.leave_one_out_term(d, COEFFICIENTS[i], SCORES[i][d]);
        assert_eq!(term(0, 0), 4.0 + 43.0 / 13.0);
        assert_eq!(term(1, 0), -2.0 * (5.0 + 59.0 / 10.0));
        assert_eq!(term(0, 1), 8.0);
        assert_eq!(term(1, 1), 0.0);
    }

    #[test]
    fn sums_without_each_do_not_cancel() {
        assert_eq!(sums_without_each(&[1e20, 1.0, 2.0]), [3.0, 1e20, 1e20]);
        assert_eq!(sums_without_each(&[5.0]), [0.0]);
        assert!(sums_without_each(&[]).is_empty());
    }
}
