//! log R: by the target's WGSL, by its network, or on the host where it brings neither.
//!
//! On the device, objects are there as `fills` (shaders/lib/work.wgsl), a copy of those of the batch or uploaded. All
//! buffers are this room's own, so that the batch held stays as it is.

use std::sync::Arc;

use super::MOST_BLOCKS;
use super::buffers::Buffers;
use super::context::Context;
use super::kernel::Kernel;
use super::kernel_set::KernelSet;
use super::network::{Input, Network};
use super::recorder::{ITERATIONS, LOOPED, Recorder};
use super::source::{Sources, Weights};
use super::stages::{Accumulator, Deltas, Evaluate, Spread, Sums};
use super::supplied;
use super::tiling::Tiling;
use super::work::Work;
use crate::engine::{BLOCK, EngineError, check, cpu};
use crate::process::{Objects, Order, Process, SiteFilling};
use crate::targets::{FORBIDDEN, RewardNetwork, Target};

/// What a target's log R takes.
pub(super) struct Reward {
    target: Arc<dyn Target>,
    kind: Kind,
    tiling: Tiling,
    buffers: Buffers,
}

enum Kind {
    /// The target's function, what its results are multiplied by, and the multiply-adds that a trajectory's cost.
    Source(Kernel, f64, f64),
    Network(Box<Model>),
    Host(cpu::Reward<f32>),
}

/// A network of at least one hidden layer.
struct Model {
    network: Network,
    spread: Spread,
    evaluate: Evaluate,
    deltas: Deltas,
    gradient: Sums,
    /// Version of the parameters that were uploaded.
    version: Option<u64>,
    /// Blocks of objects that are worked on at once.
    part: usize,
}

impl Reward {
    /// `sources` are those of the policy, `tiling` what was asked for, `set` which kernels run, `memory_budget` in bytes of activations.
    ///
    /// # Errors
    /// `Kernel` if the target's source does not compile, `Limit` if its network does not fit the adapter.
    pub fn new(
        context: &Context,
        sources: &Sources,
        target: Arc<dyn Target>,
        tiling: Option<Tiling>,
        set: KernelSet,
        memory_budget: u64,
    ) -> Result<Self, EngineError> {
        let mut buffers = Buffers::default();
        Recorder::prepare(context, &mut buffers)?;
        let fits = |loops: usize| loops <= ITERATIONS || context.adapter.kind.is_hardware();
        if let Some(reward) = target.kernel().filter(|reward| fits(reward.iterations)) {
            let kernel = supplied::kernel(context, sources, target.as_ref(), &reward.source)?;
            let bytes = size_of_val(reward.parameters.as_slice()) as u64;
            buffers.reserve(context, "reward_parameters", bytes, "let log R have fewer parameters")?;
            buffers.write(context, "reward_parameters", &reward.parameters);
            let tiling = tiling.unwrap_or_else(|| Tiling::suggested(context.adapter.kind, 1));
            // Where nobody knows what the WGSL does, it is as if it went through all pairs of sites.
            let cost = (LOOPED * reward.iterations as f64).max((target.sites() as f64).powi(2));
            // Kernels bind the policy's layers, whether they look at them or not.
            buffers.uniform(context, "network", sources.uniform_bytes())?;
            return Ok(Self { target, kind: Kind::Source(kernel, reward.scale, cost), tiling, buffers });
        }
        let widest = |network: &RewardNetwork| network.layout.widths[1..].iter().copied().max().unwrap_or(1);
        let network = target.network().filter(|network| network.layout.widths.len() > 2);
        let fitting = |network: &RewardNetwork| Tiling::suggested(context.adapter.kind, widest(network));
        let tiling = tiling.or(network.as_ref().map(fitting)).unwrap_or(Tiling::suggested(context.adapter.kind, 1));
        let kind = match network {
            Some(network) => {
                let model = Model::new(context, &mut buffers, target.as_ref(), network, (tiling, set), memory_budget)?;
                Kind::Network(Box::new(model))
            }
            None => Kind::Host(cpu::Reward::new(target.clone())),
        };
        Ok(Self { target, kind, tiling, buffers })
    }

    /// Whether it is the host that tells log R.
    pub fn is_on_host(&self) -> bool {
        matches!(self.kind, Kind::Host(_))
    }

    /// What log R of the device is multiplied by.
    pub fn scale(&self) -> f64 {
        if let Kind::Source(_, scale, _) = self.kind { scale } else { 1.0 }
    }

    /// From the `fills` of a batch of `count` trajectories to its `log_rewards`, if the device can tell.
    pub fn of_batch(&mut self, context: &Context, batch: &Buffers, count: usize) -> Result<(), EngineError> {
        if self.is_on_host() {
            return Ok(());
        }
        let (fills, log_rewards) = self.prepare(context, count)?;
        let Self { kind, buffers, tiling, .. } = self;
        let mut recorder = Recorder::new(context, buffers, tiling);
        recorder.copy(batch.get("fills"), buffers.get("fills"), fills);
        kind.record(&mut recorder, count);
        recorder.copy(buffers.get("log_rewards"), batch.get("log_rewards"), log_rewards);
        recorder.finish()
    }

    /// log R of each object.
    pub fn log_reward(&mut self, context: &Context, objects: &Objects) -> Result<Vec<f64>, EngineError> {
        let count = objects.count();
        self.check(objects)?;
        if let Kind::Host(reward) = &mut self.kind {
            reward.refresh();
            let mut log_reward = vec![0.0; count];
            reward.log_reward(objects, &mut log_reward);
            return Ok(log_reward);
        }
        if count == 0 {
            return Ok(Vec::new());
        }
        self.prepare(context, count)?;
        self.upload(context, objects);
        let Self { kind, buffers, tiling, .. } = self;
        let mut recorder = Recorder::new(context, buffers, tiling);
        kind.record(&mut recorder, count);
        recorder.finish()?;
        let [log_reward] = buffers.read::<f32, 1>(context, ["log_rewards"], count)?;
        Ok(self.told(&log_reward))
    }

    /// log R from what the device says: R = 0 for whatever is at or below [`FORBIDDEN`], else what the kernel's scale makes
    /// of it.
    pub fn told(&self, log_rewards: &[f32]) -> Vec<f64> {
        let scale = self.scale();
        let told = |&said: &f32| if said <= FORBIDDEN { f64::NEG_INFINITY } else { scale * f64::from(said) };
        log_rewards.iter().map(told).collect()
    }

    /// sum_i coefficients_i * grad log R(x_i), in the order of the network's layout.
    ///
    /// # Errors
    /// `Limit` if log R is not a network.
    pub fn gradient(
        &mut self,
        context: &Context,
        objects: &Objects,
        coefficients: &[f64],
    ) -> Result<Vec<f64>, EngineError> {
        let count = objects.count();
        self.check(objects)?;
        check::coefficients(coefficients, count, "objects")?;
        match &mut self.kind {
            Kind::Host(reward) => {
                reward.refresh();
                return reward.gradient(objects, coefficients);
            }
            Kind::Source(..) => {
                return Err(EngineError::Limit("this target's log R is not a network: it has no parameters".into()));
            }
            Kind::Network(model) if count == 0 => return Ok(vec![0.0; model.network.layout.parameters()]),
            Kind::Network(_) => {}
        }
        self.prepare(context, count)?;
        self.upload(context, objects);
        let Self { kind: Kind::Network(model), buffers, tiling, .. } = self else { unreachable!("just matched") };
        buffers.write(context, "coefficients", &padded(coefficients));
        let (at_once, bytes) = model.gradient.slices_at_once(&model.network, model.part.min(count.div_ceil(BLOCK)));
        buffers.reserve(context, "partials", bytes, "make hidden layers narrower")?;
        buffers.reserve(context, "gradient", 16 * u64::from(model.network.gradient), "make hidden layers narrower")?;
        let mut recorder = Recorder::new(context, buffers, tiling);
        let Model { network, evaluate, deltas, gradient, part, .. } = model.as_mut();
        for part in parts(count, *part) {
            evaluate.record(&mut recorder, network, &part);
            deltas.record(&mut recorder, network, &part);
            gradient.record(&mut recorder, network, &part, at_once);
        }
        recorder.finish()?;
        let [gradient] = buffers.read(context, ["gradient"], 4 * network.gradient as usize)?;
        Ok(network.arrangement.restore::<f32>(&gradient).into_iter().map(f64::from).collect())
    }

    /// Makes room for `count` objects, and takes up the network's current parameters. Returns the bytes of `fills` and of
    /// `log_rewards`.
    fn prepare(&mut self, context: &Context, count: usize) -> Result<(u64, u64), EngineError> {
        let blocks = count.div_ceil(BLOCK);
        let log_rewards = 4 * (blocks * BLOCK) as u64;
        let fills = log_rewards * self.target.sites() as u64;
        let advice = "make the batch smaller";
        self.buffers.reserve(context, "fills", fills, advice)?;
        self.buffers.reserve(context, "log_rewards", log_rewards, advice)?;
        self.buffers.reserve(context, "coefficients", log_rewards, advice)?;
        if let Kind::Network(model) = &mut self.kind {
            let activations = model.part.min(blocks) as u64 * 16 * u64::from(model.network.step);
            self.buffers.reserve(context, "activations", activations, "make the energy model's layers narrower")?;
            self.buffers.reserve(context, "deltas", activations, "make the energy model's layers narrower")?;
            if let Some(current) = self.target.network().filter(|current| model.version != Some(current.version)) {
                let arranged = model.network.arrangement.arrange(&current.parameters);
                model.spread.upload(context, &self.buffers, &model.network, &arranged)?;
                model.version = Some(current.version);
            }
        }
        Ok((fills, log_rewards))
    }

    /// Uploads objects. Those that fill up the last block have the first value everywhere.
    fn upload(&self, context: &Context, objects: &Objects) {
        let blocks = objects.count().div_ceil(BLOCK);
        let mut fills: Vec<u32> = objects.values().iter().map(|&value| u32::from(value)).collect();
        fills.resize(blocks * BLOCK * objects.sites(), 0);
        self.buffers.write(context, "fills", &fills);
    }

    fn check(&self, objects: &Objects) -> Result<(), EngineError> {
        check::objects(self.target.sites(), self.target.values(), objects)
    }
}

impl Kind {
    /// `log_rewards` of `count` objects from their `fills`.
    fn record(&mut self, recorder: &mut Recorder, count: usize) {
        match self {
            Self::Source(kernel, _, cost) => {
                let blocks = count.div_ceil(BLOCK);
                let work = Work { blocks: blocks as u32, count: count as u32, ..Work::default() };
                recorder.dispatch(kernel, &work, [blocks, 1, 1], (BLOCK * blocks) as f64 * *cost);
            }
            Self::Network(model) => {
                for part in parts(count, model.part) {
                    model.evaluate.record(recorder, &model.network, &part);
                }
            }
            Self::Host(_) => {}
        }
    }
}

impl Model {
    fn new(
        context: &Context,
        buffers: &mut Buffers,
        target: &dyn Target,
        reward: RewardNetwork,
        (tiling, set): (Tiling, KernelSet),
        memory_budget: u64,
    ) -> Result<Self, EngineError> {
        let (sites, values) = (target.sites(), target.values());
        // Objects are finished: the order of their sites does not matter.
        let process = SiteFilling { sites, values, order: Order::Fixed, encoding: target.encoding() };
        let widths = &reward.layout.widths;
        if widths[0] != process.columns() || widths[widths.len() - 1] != 1 || widths.contains(&0) {
            let columns = process.columns();
            let message = format!("log R has widths {widths:?}, and objects have {columns} inputs and one log R");
            return Err(EngineError::Limit(message));
        }
        let network = Network::new(process, Input::Objects, reward.layout, tiling).map_err(|quads| {
            EngineError::Limit(format!("log R needs buffers of {} bytes: make its layers narrower", 16 * quads))
        })?;
        let network = network.with(set, context.workgroup_memory());
        let sources = Sources::new(&network, reward.activation);
        buffers.uniform(context, "network", sources.uniform_bytes())?;
        buffers.write(context, "network", &network.layers);
        let block = 2 * 16 * u64::from(network.step);
        let most = (memory_budget / block).min(context.largest_buffer() / block * 2);
        Ok(Self {
            spread: Spread::new(context, &sources, &network, buffers, "make the layers of log R narrower")?,
            evaluate: Evaluate::new(context, &sources, &network)?,
            deltas: Deltas::new(context, &sources, &network, Weights::Trajectories)?,
            gradient: Sums::new(context, &sources, &network, Accumulator::Gradient, Weights::Trajectories)?,
            network,
            version: None,
            part: most.clamp(1, MOST_BLOCKS as u64) as usize,
        })
    }
}

/// Parts of `count` objects, of at most `most` blocks each.
fn parts(count: usize, most: usize) -> impl Iterator<Item = Work> {
    let blocks = count.div_ceil(BLOCK);
    (0..blocks).step_by(most).map(move |first| Work {
        block: first as u32,
        blocks: most.min(blocks - first) as u32,
        room: 1,
        count: count as u32,
        ..Work::default()
    })
}

/// Coefficients in the device's precision, those that fill up the last block 0.
pub(super) fn padded(coefficients: &[f64]) -> Vec<f32> {
    let mut padded: Vec<f32> = coefficients.iter().map(|&c| c as f32).collect();
    padded.resize(coefficients.len().next_multiple_of(BLOCK), 0.0);
    padded
}
