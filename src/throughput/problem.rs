//! What is timed: sites with two values each, a network of equal widths, a batch; and how much work that is.
//!
//! Flops are those of products, two for a multiply-add, and of Adam. Bytes count each number of activations, deltas and weights once in
//! every stage that reads or writes it: what caches save, and what they lose, is not in them.

use std::sync::Arc;

use serde::Serialize;

use crate::network::Layout;
use crate::process::{Encoding, Objects, Order, Process, SiteFilling};
use crate::targets::ising::Ising;
use crate::targets::{RewardKernel, Target};

/// What log R is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// The torus of this side.
    Ising(usize),
    /// So many bits, whose log R costs nothing.
    Bits(usize),
}

/// A task, a swish network of equal widths, a batch of trajectories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Problem {
    pub task: Task,
    pub width: usize,
    pub layers: usize,
    pub batch: usize,
}

/// What a stage cannot do without.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Work {
    pub flops: f64,
    pub bytes: f64,
}

/// The stages of an iteration in their order, and their kernels on a GPU.
pub const STAGES: [(&str, &[&str]); 10] = [
    ("order", &["order", "sites"]),
    ("rollout", &["start", "rollout"]),
    ("finish", &["finish"]),
    ("reward", &["reward"]),
    ("coefficients", &["weigh"]),
    ("deltas", &["backward", "head_backward", "dense_backward", "first_backward"]),
    ("weight gradient", &["weight_gradient"]),
    ("head and first gradient", &["head_gradient", "first_gradient"]),
    ("fold", &["fold"]),
    ("optimizer", &["gradient_norm", "decide", "adam", "empty", "spread"]),
];

/// Those that a rollout is, and those that a gradient is.
pub const FORWARD: [&str; 4] = ["order", "rollout", "finish", "reward"];
pub const BACKWARD: [&str; 4] = ["deltas", "weight gradient", "head and first gradient", "fold"];

const BATCHES: [usize; 6] = [32, 128, 512, 2048, 8192, 65_536];

impl Problem {
    /// The default run, the paper's two Ising sizes and its densities task, and batches that fill a GPU: for the native engine.
    pub const USUAL: [Problem; 6] = [
        Problem { task: Task::Ising(6), width: 128, layers: 3, batch: 256 },
        Problem { task: Task::Bits(32), width: 256, layers: 3, batch: 128 },
        Problem { task: Task::Ising(10), width: 256, layers: 3, batch: 256 },
        Problem { task: Task::Ising(15), width: 256, layers: 3, batch: 256 },
        Problem { task: Task::Ising(10), width: 256, layers: 3, batch: 4096 },
        Problem { task: Task::Ising(10), width: 256, layers: 3, batch: 16384 },
    ];

    /// Tori of side 6, 10 and 15 and 32 bits, at all batches up to `largest`.
    pub fn grid(largest: usize) -> impl Iterator<Item = Problem> {
        let tasks = [Task::Ising(6), Task::Bits(32), Task::Ising(10), Task::Ising(15)];
        let batches = move |task| {
            let batches = BATCHES.into_iter().filter(move |&batch| batch <= largest);
            batches.map(move |batch| Problem { task, width: 256, layers: 3, batch })
        };
        tasks.into_iter().flat_map(batches)
    }

    pub fn sites(&self) -> usize {
        match self.task {
            Task::Ising(side) => side * side,
            Task::Bits(bits) => bits,
        }
    }

    /// "Ising 10x10" or "32 bits".
    pub fn task_name(&self) -> String {
        match self.task {
            Task::Ising(side) => format!("Ising {side}x{side}"),
            Task::Bits(bits) => format!("{bits} bits"),
        }
    }

    pub fn target(&self) -> Arc<dyn Target> {
        match self.task {
            Task::Ising(side) => Arc::new(Ising::new(side, 0.2).expect("a side and a coupling in range")),
            Task::Bits(bits) => Arc::new(Flat(bits)),
        }
    }

    pub fn process(&self) -> SiteFilling {
        let encoding = self.target().encoding();
        SiteFilling { sites: self.sites(), values: 2, order: Order::Uniform, encoding }
    }

    pub fn layout(&self) -> Layout {
        Layout::new(self.sites(), &vec![self.width; self.layers], self.process().actions())
    }

    /// Flops that an iteration cannot do without, whatever the method makes of its ends: one forward and two backward products a
    /// hidden layer.
    pub fn floor(&self) -> f64 {
        3.0 * self.hidden_flops()
    }

    fn hidden_flops(&self) -> f64 {
        2.0 * (self.batch * self.sites()) as f64 * ((self.layers - 1) * self.width * self.width) as f64
    }

    /// What one of [`STAGES`] does in an iteration.
    pub fn work(&self, stage: &str) -> Work {
        let (sites, width, layers) = (self.sites() as f64, self.width as f64, self.layers as f64);
        let states = self.batch as f64 * sites;
        let between = layers - 1.0;
        let parameters = (sites + 1.0) * width + between * (width + 1.0) * width + 2.0 * sites * (width + 1.0);
        let hidden = self.hidden_flops();
        // Two logits a state, and a column of the first layer.
        let ends = 2.0 * states * (2.0 * width + width);
        // Numbers of four bytes.
        let (flops, numbers) = match stage {
            "order" => (0.0, states),
            // Pre-activations, probabilities, actions and log-probabilities. Engines that keep slopes beside write as many again.
            "rollout" => (hidden + ends, states * (layers * width + 4.0) + parameters),
            "finish" => (0.0, 2.0 * states),
            "reward" => (0.0, states),
            "coefficients" => (0.0, 3.0 * self.batch as f64),
            // Deltas, from pre-activations or slopes; those of the layer after are read.
            "deltas" => (hidden + ends, states * ((2.0 * layers + between) * width + 2.0) + parameters),
            // Deltas, and activations of the layer before.
            "weight gradient" => (hidden, states * 2.0 * between * width + between * width * width),
            "head and first gradient" => (ends, states * (2.0 * width + 3.0) + 3.0 * sites * width),
            "fold" => (0.0, 2.0 * parameters),
            // Gradient, parameters and two moments of two words each, read and written, and weights both ways round.
            "optimizer" => (12.0 * parameters, (1.0 + 12.0 + 3.0) * parameters),
            _ => (0.0, 0.0),
        };
        Work { flops, bytes: 4.0 * numbers }
    }

    /// The same of several stages.
    pub fn works(&self, stages: impl IntoIterator<Item = &'static str>) -> Work {
        stages
            .into_iter()
            .map(|stage| self.work(stage))
            .fold(Work::default(), |sum, work| Work { flops: sum.flops + work.flops, bytes: sum.bytes + work.bytes })
    }
}

/// Bits whose reward costs nothing on either engine.
struct Flat(usize);

impl Target for Flat {
    fn sites(&self) -> usize {
        self.0
    }

    fn values(&self) -> usize {
        2
    }

    fn encoding(&self) -> Encoding {
        Encoding::Scalar { unset: 0.0, codes: vec![-1.0, 1.0] }
    }

    fn log_reward(&self, _: &Objects, log_reward: &mut [f64]) {
        log_reward.fill(0.0);
    }

    fn kernel(&self) -> Option<RewardKernel> {
        let source = "fn log_reward(trajectory: u32) -> f32 { return 0.0; }".into();
        Some(RewardKernel { source, ..RewardKernel::default() })
    }
}
