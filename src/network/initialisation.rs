//! Initial weights.

use rand_distr::{Distribution, StandardNormal, Uniform};

use super::Layout;
use crate::random::{Draw, Stream};

/// How weights and biases start.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Initialisation {
    /// Uniform in +-1/sqrt(inputs) for weights and biases (PyTorch's linear layer; the paper's densities task).
    FanIn,
    /// 0.01 * N(0, 1) for weights and biases (the paper's Ising task).
    SmallNormal,
}

/// Initial parameters in the order of `layout`, rounded to f32. Layer l draws from its own counters.
pub fn initialise(layout: &Layout, how: Initialisation, seed: u64, stream: Stream) -> Vec<f64> {
    let mut parameters = vec![0.0; layout.parameters()];
    for (index, layer) in layout.layers().into_iter().enumerate() {
        let mut generator = Draw::new(seed, 0, stream).generator(index as u32);
        let bound = 1.0 / (layer.inputs as f64).sqrt();
        let uniform = Uniform::new_inclusive(-bound, bound).expect("a positive bound");
        for parameter in &mut parameters[layer.weight.start..layer.bias.end] {
            let value: f64 = match how {
                Initialisation::FanIn => uniform.sample(&mut generator),
                Initialisation::SmallNormal => {
                    let normal: f64 = StandardNormal.sample(&mut generator);
                    0.01 * normal
                }
            };
            *parameter = f64::from(value as f32);
        }
    }
    parameters
}
