//! Activations and their slopes.

/// The nonlinearity between layers. All of them are 0 at 0, which lets an engine pad widths with zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// max(x, 0).
    Relu,
    /// Slope 0.01 below zero, as in the authors' densities code.
    LeakyRelu,
    /// x * sigmoid(x), also called SiLU.
    Swish,
    /// x above zero, exp(x) - 1 below.
    Elu,
    /// tanh(x).
    Tanh,
}

/// Slope of the leaky ReLU below zero.
pub const LEAK: f64 = 0.01;

impl Activation {
    /// All of them, for tests and help.
    pub const ALL: [Activation; 5] =
        [Activation::Relu, Activation::LeakyRelu, Activation::Swish, Activation::Elu, Activation::Tanh];

    /// (activation, derivative) at x. The derivative at a kink is the one from below.
    pub fn evaluate(self, x: f64) -> (f64, f64) {
        match self {
            Activation::Relu => {
                if x > 0.0 {
                    (x, 1.0)
                } else {
                    (0.0, 0.0)
                }
            }
            Activation::LeakyRelu => {
                if x > 0.0 {
                    (x, 1.0)
                } else {
                    (LEAK * x, LEAK)
                }
            }
            Activation::Swish => {
                let sigmoid = 1.0 / (1.0 + (-x).exp());
                let value = x * sigmoid;
                (value, sigmoid + value * (1.0 - sigmoid))
            }
            Activation::Elu => {
                if x > 0.0 {
                    (x, 1.0)
                } else {
                    (x.exp_m1(), x.exp())
                }
            }
            Activation::Tanh => {
                // 1 - tanh^2 without the cancellation where tanh is near 1.
                (x.tanh(), x.cosh().powi(-2))
            }
        }
    }
}
