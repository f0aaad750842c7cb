//! How the invocations of a workgroup share trajectories and units, where data goes through workgroup memory.

use super::kernel_set::KernelSet;
use super::network::{Input, Network};

/// Lanes across the units of a layer, a quad each; times the parts that a sum is split in; times the teams that take
/// trajectories of their own, so many quads of them. Sums are added up in the same order in every shape (see
/// shaders/lib/shared_layers.wgsl), so that it does not show in a result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Shape {
    pub lanes: usize,
    pub splits: usize,
    pub teams: usize,
    pub quads: usize,
}

/// Parts of a sum, each a chain of multiply-adds.
pub(super) const CHAINS: usize = 4;
/// Lanes that share one output of the head.
pub(super) const HEAD_LANES: usize = 8;
/// Invocations of a workgroup.
const GROUP: usize = 256;
/// More workgroup memory than this leaves too few workgroups side by side.
const MEMORY: usize = 48 << 10;
/// Workgroups that are as good as more: below, a GPU has multiprocessors to spare.
const ENOUGH: usize = 64;

/// Shapes for small batches, whose workgroups should be many, and for large ones, which should load weights seldom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Shapes {
    pub small: Shape,
    pub large: Shape,
}

impl Shapes {
    /// Those of a network, if it has some: a layer may be too wide for what there is of workgroup memory, or a choice have too
    /// many outputs.
    pub fn of(network: &Network) -> Option<Self> {
        // Of a guide's sites a byte each is kept.
        let countable = network.guide.is_none() || network.process.values() < 256;
        let lanes = network.widest().next_power_of_two().max(8);
        if network.set == KernelSet::Software || lanes > GROUP || !countable {
            return None;
        }
        let splits = if CHAINS * lanes <= GROUP { CHAINS } else { 1 };
        let teams = (GROUP / lanes).min(8);
        let small = Shape { lanes, splits, teams: if splits > 1 { 1 } else { teams }, quads: 1 };
        let large = [2, 1].map(|quads| Shape { lanes, splits: 1, teams, quads });
        let fits = |shape: &Shape| shape.memory(network) <= network.workgroup_memory.min(MEMORY);
        let small = Some(small).filter(fits)?;
        Some(Self { small, large: large.into_iter().find(fits).unwrap_or(small) })
    }

    /// Each with what holds in a kernel of that shape.
    pub fn each(&self) -> Vec<(Shape, &'static [&'static str])> {
        let mut each = vec![(self.small, &["SHARED"][..]), (self.large, &["SHARED", "LARGE"])];
        each.truncate(if self.large == self.small { 1 } else { 2 });
        each
    }

    /// The place among [`Shapes::each`] of the better one for so many trajectories.
    pub fn best(&self, trajectories: usize) -> usize {
        usize::from(self.large != self.small && trajectories / self.large.trajectories() >= ENOUGH)
    }
}

impl Shape {
    /// Trajectories of a workgroup.
    pub fn trajectories(&self) -> usize {
        4 * self.quads * self.teams
    }

    /// Invocations of a workgroup.
    pub fn group(&self) -> usize {
        self.lanes * self.splits * self.teams
    }

    /// Bytes of workgroup memory that hardware/rollout.wgsl declares; those of hardware/evaluate.wgsl are fewer.
    fn memory(&self, network: &Network) -> usize {
        let rows = self.trajectories();
        let sums = 1 + if self.splits > 1 { CHAINS * rows * self.lanes } else { 0 };
        let guided = if network.guide.is_some() { network.process.sites().div_ceil(4) } else { 0 };
        let steps = if network.input == Input::States { network.outputs() + 4 + guided } else { 0 };
        16 * (rows * network.widest() + sums) + 4 * (self.group() + rows * steps)
    }

    /// Loop iterations of an invocation for one state, but for its choices: a loop of n counts as n + 1.
    pub fn iterations(&self, network: &Network, outputs: usize, of_output: usize) -> usize {
        let rows = self.trajectories();
        let shared = |count: usize, inner: usize| count.div_ceil(self.group()) * (1 + inner) + 1;
        let layer = |inputs: usize, units: usize| {
            CHAINS * (2 + inputs.div_ceil(CHAINS) * (2 + self.quads) + self.quads) + shared(rows * units, 0) + 5 * rows
        };
        let hidden: usize = network.layers[1..].iter().map(|l| layer(l.inputs as usize, l.outputs as usize) + 1).sum();
        let passes = (rows * outputs).div_ceil(self.group() / HEAD_LANES) + 1;
        shared(rows * network.layers[0].outputs as usize, 0)
            + hidden
            + passes * (network.widest().div_ceil(HEAD_LANES) + 2 + of_output)
            + shared(rows * outputs, 0)
    }
}
