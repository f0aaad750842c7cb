//! What several test files need: small targets and engines over them.

#![allow(dead_code)] // every test file compiles this one by itself and uses a part of it

pub mod compare;
pub mod gpu;
pub mod grid;
pub mod hooked;
pub mod mutated;

use std::sync::Arc;

use wgflow::config::{Config, Inputs};
use wgflow::engine::cpu::CpuEngine;
use wgflow::engine::{Coefficients, Differentiate, Engine, Moments};
use wgflow::network::{Activation, Initialisation, Layout, Real, initialise};
use wgflow::objective::Optimal;
use wgflow::optimizer::estimate;
use wgflow::process::{Encoding, Objects, Order, Process, SiteFilling, Trajectories};
use wgflow::random::{Draw, Stream, uniform};
use wgflow::targets::Target;
use wgflow::trainer::{Builder, Trainer};

/// A target without a kernel: log R = sum over neighbouring sites of a wave in their values, rough but reproducible.
pub struct Wave {
    pub sites: usize,
    pub values: usize,
}

impl Target for Wave {
    fn sites(&self) -> usize {
        self.sites
    }

    fn values(&self) -> usize {
        self.values
    }

    fn encoding(&self) -> Encoding {
        if self.values == 2 { Encoding::Scalar { unset: -1.0, codes: vec![0.0, 1.0] } } else { Encoding::OneHot }
    }

    fn log_reward(&self, objects: &Objects, log_reward: &mut [f64]) {
        for (object, out) in objects.rows().zip(log_reward) {
            let pairs = object.windows(2).enumerate();
            *out = pairs.map(|(i, pair)| (1.3 * f64::from(pair[0]) + 2.1 * f64::from(pair[1]) + i as f64).sin()).sum();
        }
    }
}

/// A trainer of the experiment `text` with some of its keys changed, or what is wrong with it.
pub fn built(text: &str, changes: &[&str], inputs: Inputs) -> Result<Trainer, String> {
    let changes: Vec<String> = changes.iter().map(ToString::to_string).collect();
    let builder = Config::parse(text, &changes).and_then(|config| Builder::of(&config, inputs));
    let builder = builder.map_err(|error| error.to_string())?;
    Ok(builder.build().map_err(|error| error.to_string())?.0)
}

/// A process over a target, and a policy for it.
#[derive(Clone)]
pub struct Setting {
    pub process: SiteFilling,
    pub layout: Layout,
    pub activation: Activation,
    pub target: Arc<dyn Target>,
}

impl Setting {
    pub fn new(target: Arc<dyn Target>, order: Order, hidden: &[usize], activation: Activation) -> Self {
        let process =
            SiteFilling { sites: target.sites(), values: target.values(), order, encoding: target.encoding() };
        let layout = Layout::new(process.columns(), hidden, process.actions());
        Self { process, layout, activation, target }
    }

    pub fn wave(sites: usize, values: usize, order: Order, hidden: &[usize], activation: Activation) -> Self {
        Self::new(Arc::new(Wave { sites, values }), order, hidden, activation)
    }

    /// Weights large enough that probabilities are far from uniform.
    pub fn parameters(&self) -> Vec<f64> {
        let fan_in = initialise(&self.layout, Initialisation::FanIn, 7, Stream::Initialisation);
        fan_in.iter().map(|value| f64::from((2.0 * value) as f32)).collect()
    }

    /// A native engine with those parameters, and room for everything.
    pub fn native<T: Real>(&self) -> CpuEngine<T> {
        self.native_within(u64::MAX)
    }

    /// A native engine that keeps at most `memory_budget` bytes of activations.
    pub fn native_within<T: Real>(&self, memory_budget: u64) -> CpuEngine<T> {
        let (process, layout) = (self.process.clone(), self.layout.clone());
        let engine = CpuEngine::new(process, layout, self.activation, self.target.clone(), memory_budget);
        let mut engine = engine.expect("a policy of the process");
        engine.set_parameters(&self.parameters()).expect("parameters of the right number");
        engine
    }
}

/// Some coefficients of either sign.
pub fn coefficients(count: usize) -> Vec<f64> {
    (0..count).map(|i| (1.7 * i as f64 + 0.3).sin() / count as f64).collect()
}

/// The engine's moments, in the order of the policy's layout.
pub fn moments_of(engine: &mut dyn Engine, coefficients: &[f64]) -> Moments {
    let moments = engine.moments(coefficients).expect("a batch with as many trajectories");
    moments.restored(engine.arrangement())
}

/// The estimate with a control variate, in the order of the policy's layout.
pub fn estimate_of(engine: &mut dyn Engine, coefficients: &[f64], optimal: Option<Optimal>) -> Vec<f64> {
    let mut total = vec![0.0; engine.arrangement().length()];
    estimate(engine, &Coefficients::Trajectories(coefficients.to_vec()), optimal, &mut total).expect("a gradient");
    engine.arrangement().restore(&total)
}

/// The sizes of the terms of sum_i c_i h_i for the batch that `oracle` holds, h_i = grad log P_F(tau_i): what the sum's
/// rounding is relative to. In place of sum_i |c_i h_i| it is the bound that Cauchy and Schwarz give,
/// sqrt(sum_i |c_i| * sum_i |c_i| h_i^2), which moments with absolute coefficients know.
pub fn term_sizes(oracle: &mut CpuEngine<f64>, coefficients: &[f64]) -> Vec<f64> {
    let absolute: Vec<f64> = coefficients.iter().map(|c| c.abs()).collect();
    let squares = moments_of(oracle, &absolute).weighted_squares;
    let total: f64 = absolute.iter().sum();
    squares.into_iter().map(|square| (total * square).sqrt()).collect()
}

/// The same for an estimate whose coefficients each lose a ratio of sums over the other trajectories,
/// (sum_j c_j h_j^2 - c_i h_i^2) / (sum_j h_j^2 - h_i^2): no ratio is larger than the largest coefficient, but where the
/// others' part of sum_j h_j^2 is small, its rounding is that of the whole sum. At a part of 64 roundings f32 takes no
/// ratio any more, which bounds what this can cost.
pub fn left_out_sizes(oracle: &mut dyn Engine, coefficients: &[f64]) -> Vec<f64> {
    let count = coefficients.len();
    let scores: Vec<Vec<f64>> = (0..count)
        .map(|i| oracle.gradient(&(0..count).map(|j| f64::from(u8::from(i == j))).collect::<Vec<_>>()).unwrap())
        .collect();
    let most = compare::largest(coefficients);
    let size = |d: usize| -> f64 {
        let total: f64 = scores.iter().map(|score| score[d] * score[d]).sum();
        let loss = |h: f64| (total / (total - h * h)).min(1.0 / (64.0 * f64::from(f32::EPSILON)));
        scores.iter().map(|score| score[d]).filter(|h| *h != 0.0).map(|h| most * h.abs() * loss(h).abs()).sum()
    };
    (0..scores[0].len()).map(size).collect()
}

/// log P_F by the definition: a dense forward pass for every state, nothing shared between steps.
pub fn log_forward_by_definition(setting: &Setting, parameters: &[f64], actions: &[u32], from: usize) -> f64 {
    let process = &setting.process;
    let mut input = vec![process.unset(); process.columns()];
    let mut total = 0.0;
    for (t, &action) in actions.iter().enumerate() {
        if t >= from {
            let mut signal = input.clone();
            let layers = setting.layout.layers();
            for (index, layer) in layers.iter().enumerate() {
                let rows = parameters[layer.weight.clone()].chunks_exact(layer.inputs);
                let outputs = rows.zip(&parameters[layer.bias.clone()]);
                let sums = outputs.map(|(row, bias)| bias + row.iter().zip(&signal).map(|(w, s)| w * s).sum::<f64>());
                let last = index + 1 == layers.len();
                signal = sums.map(|sum| if last { sum } else { setting.activation.evaluate(sum).0 }).collect();
            }
            let first = action as usize / process.values * process.values;
            let logits = &signal[first..first + process.values];
            total += logits[action as usize - first] - logits.iter().map(|logit| logit.exp()).sum::<f64>().ln();
            if process.order == Order::Uniform {
                total -= ((process.max_steps() - t) as f64).ln();
            }
        }
        let (column, amount) = process.change(action as usize);
        input[column] += amount;
    }
    total
}

/// At least 99.9% of steps agree, and where a trajectory first differs its uniform is within rounding of the threshold
/// between the two values.
pub fn assert_steps_agree(setting: &Setting, draw: &Draw, found: &Trajectories, expected: &Trajectories) {
    assert_eq!((found.count(), found.max_steps()), (expected.count(), expected.max_steps()));
    assert!(!expected.actions().is_empty(), "there are no steps");
    let agreeing = found.actions().iter().zip(expected.actions()).filter(|(f, e)| f == e).count();
    assert!(agreeing as f64 >= 0.999 * expected.actions().len() as f64, "only {agreeing} steps agree");
    for i in 0..expected.count() {
        let Some(t) = (0..expected.max_steps()).find(|&t| found.row(i)[t] != expected.row(i)[t]) else { continue };
        let (a, b) = (found.row(i)[t].min(expected.row(i)[t]), found.row(i)[t].max(expected.row(i)[t]));
        let values = setting.process.values as u32;
        assert_eq!((a / values, a + 1), (b / values, b), "another site, or not a neighbouring value");
        let order = setting.process.log_order(t) - setting.process.log_order(t + 1);
        let probability = |action| {
            let mut actions = expected.row(i)[..=t].to_vec();
            actions[t] = action;
            (log_forward_by_definition(setting, &setting.parameters(), &actions, t) - order).exp()
        };
        let threshold: f64 = (a / values * values..b).map(probability).sum();
        let u = uniform(draw.words(i as u32, t as u32)[1]);
        // Logits of order one with some tens of f32 terms.
        assert!((u - threshold).abs() < 1e-5, "u = {u} is far from the threshold {threshold}");
    }
}
