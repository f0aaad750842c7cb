//! Everything but the target: policy, objective, training, optimizer, evaluation, engine.

use serde::{Deserialize, Serialize};

use super::ConfigError;
use super::error::require;
use crate::network::{Activation, Initialisation};
use crate::{objective, optimizer};

/// How the sampler is trained. Every key has a default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Seed of all random numbers of the run, 0 to 2^63 - 1.
    pub seed: u64,
    /// The policy network.
    pub policy: PolicyConfig,
    /// What is minimised, and with which estimator.
    pub objective: objective::Settings,
    /// Training on R^beta, beta rising to 1.
    pub anneal: objective::Anneal,
    /// Forward trajectories that depart from the policy at first.
    pub exploration: objective::Exploration,
    /// Training on objects that were made before.
    pub replay: objective::Replay,
    /// How long, on how many trajectories, and how often it is written down.
    pub training: TrainingConfig,
    /// How gradients become steps.
    pub optimizer: optimizer::Settings,
    /// Sizes and times of evaluations.
    pub evaluation: EvaluationConfig,
    /// What computes it all.
    pub engine: EngineConfig,
}

/// `[policy]`: the forward policy's network and the order of the sites.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PolicyConfig {
    /// Hidden widths: 1 to 8 layers, each 8 to 1024 wide.
    pub hidden: Vec<usize>,
    /// "relu", "leaky_relu", "swish", "elu" or "tanh".
    pub activation: Activation,
    /// "uniform" (any unset site, chosen uniformly), "fixed" (site t at step t) or "learned" (the policy chooses the site along with its
    /// value). For targets whose sites are filled.
    pub order: FillingOrder,
    /// P_B: "uniform", or "learned" along with the policy, by more outputs of the same network.
    pub backward: BackwardPolicy,
    /// What says log F(s), for objectives on single steps: "shared" (one more output of the policy's network) or "own" (a network of
    /// its own, of the same widths, which leaves the policy free to fill sites in any order).
    pub flow: FlowNetwork,
    /// Add what the target knows of a partial object to the logits, its intermediate log-reward: for targets that have one
    /// (the Ising model).
    pub guided: bool,
    /// "flip": the policy knows one of two mirror images alone, and a coin says which of them an object is. For targets whose log R stays as it is when
    /// all values are flipped (the Ising model). "none": it has to learn both.
    pub symmetry: Symmetry,
    /// "small_normal" (0.01 N(0,1), the paper's Ising task) or "fan_in" (uniform +-1/sqrt(inputs), PyTorch's default).
    pub initialisation: Initialisation,
}

/// The order in which sites are filled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FillingOrder {
    /// The site is drawn uniformly from those unset; only its value is learned.
    #[default]
    Uniform,
    /// Site `t` is filled at step `t`.
    Fixed,
    /// The policy chooses a site and its value at once.
    Learned,
}

/// Where P_B comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackwardPolicy {
    /// Each way back is as likely as the others.
    #[default]
    Uniform,
    /// The policy's network says it.
    Learned,
}

/// What says log F of a state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlowNetwork {
    /// The policy's network, by one more output.
    #[default]
    Shared,
    /// A network of its own.
    Own,
}

/// What the policy has of its target's symmetries by construction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Symmetry {
    /// Nothing.
    #[default]
    None,
    /// Objects and their mirror images, all values flipped, are as likely as each other.
    Flip,
}

impl Default for PolicyConfig {
    fn default() -> Self {
        Self {
            hidden: vec![256, 256, 256],
            activation: Activation::Swish,
            order: FillingOrder::Uniform,
            backward: BackwardPolicy::Uniform,
            flow: FlowNetwork::Shared,
            guided: false,
            symmetry: Symmetry::None,
            initialisation: Initialisation::SmallNormal,
        }
    }
}

/// `[training]`: how long, how many trajectories, what is written down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainingConfig {
    /// Iterations of the whole run, 1 to 2^31 - 1.
    pub iterations: u32,
    /// Trajectories an iteration, 1 to 2^20; both halves of a convex combination have this many.
    pub batch: usize,
    /// Iterations between two lines of the metrics log, at least 1.
    pub log_every: u32,
    /// Seconds between two checkpoints, 0 to 86400; they do not influence the results.
    pub checkpoint_seconds: f64,
}

impl Default for TrainingConfig {
    fn default() -> Self {
        Self { iterations: 5000, batch: 256, log_every: 10, checkpoint_seconds: 10.0 }
    }
}

/// `[evaluation]`: the summary at the end of a run, and on the way there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EvaluationConfig {
    /// Fresh forward samples, and as many target samples where the target has a sampler: 4096 to 2^24.
    pub samples: usize,
    /// Iterations between two evaluations in the metrics log, 0 for none.
    pub every: u32,
    /// Data points that the likelihood is a mean over, 2 to 2^20. They come in ten sets or more of up to 1000, which is what
    /// its standard error is over. Also the most of a target's test objects that are looked at.
    pub nll_points: usize,
    /// Backward trajectories of each of these points, 1 to 1024.
    pub nll_trajectories: usize,
    /// Forward samples, and as many data points, whose maximum mean discrepancy is taken: 2 to 2^16.
    pub mmd_samples: usize,
    /// Look at an exponential average of the policy's parameters, of which every iteration leaves this share: above 0, below 1.
    /// Without this key at the parameters as they are.
    pub average: Option<f64>,
}

impl Default for EvaluationConfig {
    fn default() -> Self {
        Self { samples: 8192, every: 0, nll_points: 10_000, nll_trajectories: 20, mmd_samples: 4000, average: None }
    }
}

/// Which engine carries out rollouts and gradients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "snake_case")]
pub enum EngineKind {
    /// A hardware GPU if there is one, else the native engine.
    #[default]
    Auto,
    /// A GPU, or a software adapter if that is all there is.
    Gpu,
    /// The native engine.
    Cpu,
}

/// Precision of the native engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// What a GPU computes in as well.
    #[default]
    F32,
    /// The oracle, several times slower.
    F64,
}

/// `[engine]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EngineConfig {
    /// "auto", "gpu" or "cpu".
    pub kind: EngineKind,
    /// "f32" or "f64", for the native engine; a GPU always computes in f32.
    pub precision: Precision,
    /// Part of an adapter's name (as `wgflow adapters` lists them); empty for any.
    pub adapter: String,
    /// Which of the adapters that match, counted from 0 in the order of `wgflow adapters`, however alike they are. Without this
    /// key: the first; among the ranks of a job (docs/parallel.md), those of one machine take its GPUs in turns.
    pub adapter_index: Option<usize>,
    /// MiB of activations kept between a rollout and its gradient, at least 1; what does not fit is replayed, with the same
    /// bits. Without this key: a quarter of the memory that is free where the run is, at most 4096 MiB.
    pub memory_mib: Option<u64>,
    /// Choose the sizes of a hardware GPU's kernels by timing them at first use, and take on any adapter those that were chosen
    /// (`wgflow tune`). Results do not depend on it, but for rounding. The environment variable WGFLOW_TUNE=0 is the same as false.
    pub tune: bool,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            kind: EngineKind::Auto,
            precision: Precision::F32,
            adapter: String::new(),
            adapter_index: None,
            memory_mib: None,
            tune: true,
        }
    }
}

/// Most bytes of activations where nobody says how many.
const USUAL_BUDGET: u64 = 4096 << 20;

impl EngineConfig {
    /// Bytes of activations, where `available` bytes of memory are free as far as that is known.
    pub fn memory_budget(&self, available: Option<u64>) -> u64 {
        let usual = available.map_or(USUAL_BUDGET / 4, |bytes| (bytes / 4).clamp(1 << 20, USUAL_BUDGET));
        self.memory_mib.map_or(usual, |mib| mib << 20)
    }

    /// That of each of `engines` engines that share it.
    pub(crate) fn shared_by(&self, engines: usize, available: Option<u64>) -> Self {
        let mib = (self.memory_budget(available) >> 20) / engines as u64;
        Self { memory_mib: Some(mib.max(1)), ..self.clone() }
    }
}

impl EvaluationConfig {
    /// Trajectories rolled out at once, whatever the number asked for; an evaluation can be stopped between two chunks.
    pub const CHUNK: usize = 1 << 13;
    /// Most points drawn together, as in the paper: for some data sets they are spread evenly.
    const LARGEST_SET: usize = 1000;
    /// Sets at least, for the standard error is over sets.
    const SETS: usize = 10;

    /// Data points that are drawn together.
    pub fn points_of_a_set(&self) -> usize {
        Self::LARGEST_SET.min(self.nll_points.div_ceil(Self::SETS))
    }

    /// Points of one set of data, each as often as it has backward trajectories.
    pub fn repeated_points(&self) -> usize {
        self.points_of_a_set().saturating_mul(self.nll_trajectories)
    }

    /// Most trajectories that an evaluation of these sizes rolls out at once, with points of data or test objects or without.
    pub fn most_at_once(&self, has_points: bool) -> usize {
        Self::CHUNK.min(self.samples.max(if has_points { self.repeated_points() } else { 0 }))
    }

    fn check(&self) -> Result<(), ConfigError> {
        let Self { samples, every: _, nll_points, nll_trajectories, mmd_samples, average } = *self;
        require((4096..=1 << 24).contains(&samples), "evaluation.samples", samples, "4096 to 16777216")?;
        require((2..=1 << 20).contains(&nll_points), "evaluation.nll_points", nll_points, "2 to 1048576")?;
        let trajectories = nll_trajectories;
        require((1..=1024).contains(&trajectories), "evaluation.nll_trajectories", trajectories, "1 to 1024")?;
        require((2..=1 << 16).contains(&mmd_samples), "evaluation.mmd_samples", mmd_samples, "2 to 65536")?;
        let decay = average.unwrap_or(0.5);
        require(decay > 0.0 && decay < 1.0, "evaluation.average", decay, "above 0 and below 1")
    }
}

impl Settings {
    /// The keys whose values change over the run as a whole: with another length of the run they take another course.
    pub fn schedules(&self) -> Vec<&'static str> {
        let rates = self.optimizer.schedule != optimizer::Schedule::Constant;
        let alpha = self.objective.alpha.as_ref().is_some_and(|alpha| !matches!(alpha, objective::Alpha::Fixed(_)));
        let exploration = self.exploration.is_on();
        [("optimizer.schedule", rates), ("objective.alpha", alpha), ("exploration", exploration)]
            .into_iter()
            .filter_map(|(key, scheduled)| scheduled.then_some(key))
            .collect()
    }

    /// Checks every range.
    pub fn check(&self) -> Result<(), ConfigError> {
        let (policy, training) = (&self.policy, &self.training);
        require(self.seed <= i64::MAX as u64, "seed", self.seed, "0 to 2^63 - 1 (the range of a TOML integer)")?;
        let layers = policy.hidden.len();
        require((1..=8).contains(&layers), "policy.hidden", &policy.hidden, "a list of 1 to 8 widths")?;
        let fits = policy.hidden.iter().all(|width| (8..=1024).contains(width));
        require(fits, "policy.hidden", &policy.hidden, "a list of widths of 8 to 1024 each")?;
        let iterations = training.iterations;
        require((1..=i32::MAX as u32).contains(&iterations), "training.iterations", iterations, "1 to 2147483647")?;
        require((1..=1 << 20).contains(&training.batch), "training.batch", training.batch, "1 to 1048576")?;
        require(training.log_every >= 1, "training.log_every", training.log_every, "at least 1")?;
        let seconds = training.checkpoint_seconds;
        require((0.0..=86400.0).contains(&seconds), "training.checkpoint_seconds", seconds, "0 to 86400")?;
        self.evaluation.check()?;
        if let Some(index) = self.engine.adapter_index {
            require(index < 1024, "engine.adapter_index", index, "0 to 1023")?;
        }
        if let Some(memory) = self.engine.memory_mib {
            require((1..=1 << 24).contains(&memory), "engine.memory_mib", memory, "1 to 16777216")?;
        }
        let objective = self.objective.objective(training.batch)?;
        if self.policy.backward == BackwardPolicy::Uniform {
            let keys = [
                ("backward_training", self.objective.backward_training.is_some()),
                ("backward_until", self.objective.backward_until.is_some()),
            ];
            if let Some((key, _)) = keys.iter().find(|(_, given)| *given) {
                let message = "only goes with policy.backward = \"learned\"";
                return Err(ConfigError::new(format!("objective.{key}: {message}")));
            }
        } else if objective.optimal().is_some() {
            return Err(ConfigError::new(
                "objective.control_variate: those of least variance are for a uniform P_B alone: take \"leave_one_out\", or \
                 policy.backward = \"uniform\"",
            ));
        }
        self.anneal.check()?;
        self.exploration.check()?;
        self.replay.check(training.batch)?;
        Ok(self.optimizer.validate()?)
    }
}
