//! Every activation and its slope in f32, natively and on a GPU, against f64, over all magnitudes of x.
//!
//! An engine is asked through a network of one hidden unit as log R: the object is one site of many values, whose codes
//! are the x. log R is then the activation, and the gradient by the hidden bias its slope.

use std::sync::Arc;

use wgflow::engine::Engine;
use wgflow::engine::cpu::CpuEngine;
use wgflow::engine::gpu::{GpuEngine, GpuOptions};
use wgflow::network::{Activation, LEAK, Layout};
use wgflow::process::{Encoding, Objects, Order, SiteFilling};
use wgflow::targets::{RewardNetwork, Target};

/// log R = act(code of the only site).
struct Unit {
    activation: Activation,
    codes: Vec<f64>,
}

fn unit_layout() -> Layout {
    Layout::new(1, &[1], 1)
}

impl Target for Unit {
    fn sites(&self) -> usize {
        1
    }

    fn values(&self) -> usize {
        self.codes.len()
    }

    fn encoding(&self) -> Encoding {
        Encoding::Scalar { unset: 0.0, codes: self.codes.clone() }
    }

    fn log_reward(&self, objects: &Objects, log_reward: &mut [f64]) {
        for (&value, log_reward) in objects.values().iter().zip(log_reward) {
            *log_reward = self.activation.evaluate(self.codes[usize::from(value)]).0;
        }
    }

    fn network(&self) -> Option<RewardNetwork> {
        let layout = unit_layout();
        let [hidden, output] = layout.layers().try_into().expect("two layers");
        let mut parameters = vec![0.0; layout.parameters()];
        parameters[hidden.weight.start] = 1.0;
        parameters[output.weight.start] = 1.0;
        Some(RewardNetwork { layout, activation: self.activation, parameters: parameters.into(), version: 0 })
    }
}

/// Numbers of f32 from 1e-30 to 80, `count` magnitudes of either sign.
fn inputs(count: usize) -> Vec<f64> {
    let magnitude = |i: usize| {
        let (low, high) = (1e-30_f64.ln(), 80_f64.ln());
        f64::from((low + (high - low) * i as f64 / (count - 1) as f64).exp() as f32)
    };
    (0..count).map(magnitude).flat_map(|x| [x, -x]).collect()
}

/// The exact activation and slope of f32, and the scale of each: where two terms cancel, as in swish's slope, the larger.
fn exact(activation: Activation, x: f64) -> [(f64, f64); 2] {
    let (value, slope) = match activation {
        // The leak is a number of f32 there.
        Activation::LeakyRelu if x < 0.0 => (f64::from(LEAK as f32) * x, f64::from(LEAK as f32)),
        _ => activation.evaluate(x),
    };
    let terms = if activation == Activation::Swish { slope.abs().max(1.0 / (1.0 + (-x).exp())) } else { slope };
    [(value, value), (slope, terms)]
}

/// |found - exact| in units of the last place that f32 has at `scale`. Below 1e-37, near the smallest normal number where
/// exponentials are clamped, nothing is counted.
fn error(found: f64, (exact, scale): (f64, f64)) -> f64 {
    assert!(found.is_finite(), "{found} is not {exact}");
    let scale = scale.abs() as f32;
    if (found - exact).abs() < 1e-37 {
        return 0.0;
    }
    (found - exact).abs() / f64::from(scale.next_up() - scale)
}

/// Asks the engine that `open` makes for every activation at `count` magnitudes; `bound` says how many units in the last
/// place are allowed.
fn check(
    count: usize,
    open: impl Fn(SiteFilling, Layout, Activation, Arc<dyn Target>) -> Box<dyn Engine>,
    bound: impl Fn(Activation, f64) -> f64,
) {
    let bias = unit_layout().layers()[0].bias.start;
    let mut checked = 0;
    for activation in Activation::ALL {
        let mut worst = [(0.0, 0.0); 2];
        for codes in inputs(count).chunks(256) {
            let target = Arc::new(Unit { activation, codes: codes.to_vec() });
            let process =
                SiteFilling { sites: 1, values: codes.len(), order: Order::Fixed, encoding: target.encoding() };
            let policy = Layout::new(1, &[2], codes.len());
            let mut engine = open(process, policy, activation, target);
            let objects = Objects::new(1, (0..codes.len()).map(|value| value as u8).collect());
            let values = engine.log_reward(&objects).unwrap();
            assert_eq!(values.len(), codes.len());
            for (index, (&x, value)) in codes.iter().zip(values).enumerate() {
                let object = Objects::new(1, vec![index as u8]);
                let slope = engine.reward_gradient(&object, &[1.0]).unwrap()[bias];
                let errors = [value, slope].into_iter().zip(exact(activation, x)).map(|(f, e)| error(f, e));
                for (error, worst) in errors.zip(&mut worst) {
                    assert!(
                        error <= bound(activation, x),
                        "{activation:?}({x}): {value}, slope {slope}: {error} units"
                    );
                    if error > worst.0 {
                        *worst = (error, x);
                    }
                    checked += 1;
                }
            }
        }
        println!("{activation:?}: value and slope at most {worst:?} units off");
    }
    assert_eq!(checked, 5 * 2 * 2 * count);
}

#[test]
fn native_activations_and_slopes_are_accurate_to_a_few_units_in_the_last_place() {
    let open = |process, layout, activation, target| -> Box<dyn Engine> {
        Box::new(CpuEngine::<f32>::new(process, layout, activation, target, u64::MAX).unwrap())
    };
    // An exponential good to a unit, and some more roundings. 1 - sigmoid(x) in swish's slope has the rounding of a number
    // near 1, half of what a unit is above 1, times x where that still matters, which is up to 17.
    check(1024, open, |activation, _| match activation {
        Activation::Relu | Activation::LeakyRelu => 0.5,
        Activation::Swish => 9.0,
        Activation::Elu | Activation::Tanh => 4.0,
    });
}

#[test]
fn a_gpus_activations_and_slopes_are_accurate_to_a_few_units_in_the_last_place() {
    let open = |process, layout, activation, target| -> Box<dyn Engine> {
        let options = GpuOptions { adapter: std::env::var("WGFLOW_ADAPTER").ok(), ..GpuOptions::default() };
        Box::new(GpuEngine::new(process, layout, activation, target, options).expect("an adapter, for the GPU tests"))
    };
    // Divisions are good to 2.5 units, and an exponential has the rounding of its argument, which is up to 2 |x|.
    check(32, open, |activation, x| match activation {
        Activation::Relu => 0.0,
        Activation::LeakyRelu => 1.0,
        _ => 8.0 + 2.0 * x.abs(),
    });
}
