//! Networks: the multilayer perceptron that a policy or an energy model is, its parameter layout, initialisation, activations
//! and evaluation on the host.

mod activation;
mod arrangement;
mod initialisation;
mod mlp;
pub(crate) mod product;
pub(crate) mod real;

pub use activation::{Activation, LEAK};
pub use arrangement::Arrangement;
pub use initialisation::{Initialisation, initialise};
pub use mlp::Mlp;
pub use real::Real;

use std::ops::Range;

/// Shape of an MLP and the place of each tensor in one flat list of parameters.
///
/// Parameters lie as in a PyTorch `nn.Sequential`: for each linear layer the weight [out, in] row-major, then the bias.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Inputs, hidden widths, outputs.
    pub widths: Vec<usize>,
}

/// One linear layer's place in the list of parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Width of what goes in.
    pub inputs: usize,
    /// Width of what comes out.
    pub outputs: usize,
    /// The weight, [outputs, inputs] row-major.
    pub weight: Range<usize>,
    /// The bias, `[outputs]`.
    pub bias: Range<usize>,
}

impl Layout {
    /// Hidden layers of these widths between inputs and outputs; without any, one linear layer.
    pub fn new(inputs: usize, hidden: &[usize], outputs: usize) -> Self {
        let mut widths = vec![inputs];
        widths.extend_from_slice(hidden);
        widths.push(outputs);
        Self { widths }
    }

    /// The linear layers, first to last.
    pub fn layers(&self) -> Vec<Layer> {
        let mut start = 0;
        let layer = |pair: &[usize]| {
            let (inputs, outputs) = (pair[0], pair[1]);
            let weight = start..start + inputs * outputs;
            let bias = weight.end..weight.end + outputs;
            start = bias.end;
            Layer { inputs, outputs, weight, bias }
        };
        self.widths.windows(2).map(layer).collect()
    }

    /// Number of parameters.
    pub fn parameters(&self) -> usize {
        self.widths.windows(2).map(|pair| (pair[0] + 1) * pair[1]).sum()
    }

    /// Name, shape and place of each tensor, as PyTorch's `nn.Sequential(Linear, activation, Linear, ...)` names them:
    /// `{prefix}.0.weight`, `{prefix}.0.bias`, `{prefix}.2.weight`, ...
    pub fn tensors(&self, prefix: &str) -> Vec<(String, Vec<usize>, Range<usize>)> {
        let named = |(index, layer): (usize, Layer)| {
            [
                (format!("{prefix}.{}.weight", 2 * index), vec![layer.outputs, layer.inputs], layer.weight),
                (format!("{prefix}.{}.bias", 2 * index), vec![layer.outputs], layer.bias),
            ]
        };
        self.layers().into_iter().enumerate().flat_map(named).collect()
    }
}
