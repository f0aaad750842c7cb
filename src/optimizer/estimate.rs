//! From coefficients to a gradient, by way of whatever control variate they still lack.

use crate::engine::{Coefficients, Engine, EngineError};
use crate::objective::{Extent, Form, Optimal, batch_form, leave_one_out};

/// Adds the gradient estimate, the sum of coefficients times grad log P_F over the batch that `engine` holds, completed by
/// the control variate `optimal`, if any, to `total`, in the engine's order of parameters.
///
/// The leave-one-out forms take two sweeps over the batch, the others one; the memory needed does not depend on the
/// batch.
///
/// # Errors
/// `Limit` if a control variate is asked for with coefficients of single steps; what the engine says.
pub fn estimate(
    engine: &mut dyn Engine,
    coefficients: &Coefficients,
    optimal: Option<Optimal>,
    total: &mut [f64],
) -> Result<(), EngineError> {
    let Some(Optimal { extent, form }) = optimal else { return engine.accumulate(coefficients, total) };
    let Coefficients::Trajectories(coefficients) = coefficients else {
        let message = "control variates of least variance are for coefficients of whole trajectories";
        return Err(EngineError::Limit(message.into()));
    };
    let gradient = match (extent, form) {
        (_, Form::Batch) => batch_form(&engine.moments(&centred(coefficients))?, extent),
        (Extent::Scalar, Form::LeaveOneOut) => {
            let mut completed = coefficients.clone();
            leave_one_out(&mut completed, &engine.square_norms()?);
            return engine.accumulate(&Coefficients::Trajectories(completed), total);
        }
        (Extent::PerParameter, Form::LeaveOneOut) => {
            let centred = centred(coefficients);
            let moments = engine.moments(&centred)?;
            engine.leave_one_out_gradient(&centred, &moments)?
        }
    };
    total.iter_mut().zip(gradient).for_each(|(total, part)| *total += part);
    Ok(())
}

/// The coefficients less their mean. What all of them share drops out of the optimal control variates, but in f32 it
/// would leave its rounding behind, as k is a ratio of differences. Where no other trajectory moves a parameter (0/0), it
/// leaves h_i (c_i - mean c): the leave-one-out estimate, shrunk by 1/B.
fn centred(coefficients: &[f64]) -> Vec<f64> {
    let mean = coefficients.iter().sum::<f64>() / coefficients.len() as f64;
    coefficients.iter().map(|coefficient| coefficient - mean).collect()
}
