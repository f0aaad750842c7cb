//! From coefficients to a gradient, by way of whatever control variate they still lack.

use crate::engine::{Engine, EngineError};
use crate::objective::{Extent, Form, Optimal, batch_form, leave_one_out};

/// The gradient estimate sum_i c_i grad log P_F(tau_i) over the batch that `engine` holds, completed by the control
/// variate `optimal`, if any.
///
/// The leave-one-out forms take two sweeps over the batch, the others one; the memory needed does not depend on the
/// batch.
pub fn estimate(
    engine: &mut dyn Engine,
    coefficients: &[f64],
    optimal: Option<Optimal>,
) -> Result<Vec<f64>, EngineError> {
    match optimal {
        None => engine.gradient(coefficients),
        Some(Optimal { extent, form: Form::Batch }) => Ok(batch_form(&engine.moments(&centred(coefficients))?, extent)),
        Some(Optimal { extent: Extent::Scalar, form: Form::LeaveOneOut }) => {
            let mut completed = coefficients.to_vec();
            leave_one_out(&mut completed, &engine.square_norms()?);
            engine.gradient(&completed)
        }
        Some(Optimal { extent: Extent::PerParameter, form: Form::LeaveOneOut }) => {
            let centred = centred(coefficients);
            let moments = engine.moments(&centred)?;
            engine.leave_one_out_gradient(&centred, &moments)
        }
    }
}

/// The coefficients less their mean. What all of them share drops out of the optimal control variates, but in f32 it
/// would leave its rounding behind, as k is a ratio of differences. Where no other trajectory moves a parameter (0/0), it
/// leaves h_i (c_i - mean c): the leave-one-out estimate, shrunk by 1/B.
fn centred(coefficients: &[f64]) -> Vec<f64> {
    let mean = coefficients.iter().sum::<f64>() / coefficients.len() as f64;
    coefficients.iter().map(|coefficient| coefficient - mean).collect()
}
