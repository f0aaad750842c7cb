//! Regression losses of a trajectory's balance residual, delta = zeta - log w.

/// What is averaged over a batch in place of trajectory balance's delta^2; zeta is learned along.
///
/// Source: Hu, Zhang, Li, Huang, "Beyond Squared Error" (ICLR 2025, arXiv:2410.02596), but for the Huber loss. They
/// write a loss as a function of t = log(P_B R / (P_F Z)) = -delta. The symmetric losses do not care; Linex does:
/// fed with t it is the forward-KL, mode-covering member of the family, fed with delta a mode-seeking loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loss {
    /// delta^2: trajectory balance.
    Squared,
    /// delta^2 / 2.
    HalfSquared,
    /// delta^2 / 2 up to |delta| = threshold, and straight on from there.
    Huber {
        /// In nats, above 0.
        threshold: f64,
    },
    /// Linex(a): (exp(a t) - a t - 1) / a^2 with t = -delta.
    Linex {
        /// a, not 0.
        scale: f64,
    },
    /// exp(t) + exp(-t) - 2.
    ShiftedCosh,
}

impl Loss {
    /// (loss, its derivative) at the residual `delta`.
    pub fn evaluate(self, delta: f64) -> (f64, f64) {
        match self {
            Loss::Squared => (delta * delta, 2.0 * delta),
            Loss::HalfSquared => (0.5 * delta * delta, delta),
            Loss::Huber { threshold } => {
                let clamped = if delta.abs() <= threshold { delta } else { threshold * delta.signum() };
                (clamped * (delta - 0.5 * clamped), clamped)
            }
            Loss::Linex { scale } => {
                let rise = (-scale * delta).exp_m1();
                ((rise + scale * delta) / (scale * scale), -rise / scale)
            }
            Loss::ShiftedCosh => {
                let half = (0.5 * delta).sinh();
                (4.0 * half * half, 2.0 * delta.sinh())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Loss; 7] = [
        Loss::Squared,
        Loss::HalfSquared,
        Loss::Huber { threshold: 0.75 },
        Loss::Linex { scale: 1.0 },
        Loss::Linex { scale: 0.5 },
        Loss::Linex { scale: -2.0 },
        Loss::ShiftedCosh,
    ];

    #[test]
    fn slopes_are_the_derivatives() {
        for loss in ALL {
            for delta in [-2.3, -0.4, 0.1, 0.6, 3.1] {
                let step = 1e-5;
                let difference = (loss.evaluate(delta + step).0 - loss.evaluate(delta - step).0) / (2.0 * step);
                let slope = loss.evaluate(delta).1;
                // Central differences: h^2 times a third derivative (up to 2^1 e^6), and rounding / h.
                assert!((difference - slope).abs() < 1e-7 * slope.abs().max(1.0), "{loss:?} at {delta}");
            }
            assert_eq!(loss.evaluate(0.0), (0.0, 0.0), "{loss:?} at balance");
        }
    }

    #[test]
    fn values_are_those_of_the_definitions() {
        let t: f64 = 1.25;
        let exp = t.exp();
        let expected = [
            (Loss::Squared, 1.5625),
            (Loss::HalfSquared, 0.78125),
            (Loss::Huber { threshold: 0.5 }, 0.5 * (1.25 - 0.25)),
            (Loss::Huber { threshold: 2.0 }, 0.78125),
            (Loss::Linex { scale: 1.0 }, exp - t - 1.0),
            (Loss::Linex { scale: 0.5 }, 4.0 * (t / 2.0).exp() - 2.0 * t - 4.0),
            (Loss::ShiftedCosh, exp + 1.0 / exp - 2.0),
        ];
        for (loss, expected) in expected {
            let found = loss.evaluate(-t).0;
            assert!((found - expected).abs() < 1e-14, "{loss:?}: {found} is not {expected}");
        }
    }

    #[test]
    fn a_nan_stays_one_and_an_infinity_is_never_a_finite_loss() {
        for loss in ALL {
            let (value, slope) = loss.evaluate(f64::NAN);
            assert!(value.is_nan() && slope.is_nan(), "{loss:?}");
            for residual in [f64::INFINITY, f64::NEG_INFINITY] {
                assert!(!loss.evaluate(residual).0.is_finite(), "{loss:?} at {residual}");
            }
        }
    }
}
