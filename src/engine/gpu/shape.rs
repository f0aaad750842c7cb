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

/// Shapes for small batches, whose workgroups should be many, and for large ones, which should load weights seldom; and back through
/// all layers, for small batches as well: steps do not wait for each other there, so that workgroups are many without splits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Shapes {
    pub small: Shape,
    pub large: Shape,
    pub backward: Shape,
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
        let fitting = |most: usize, splits: usize, teams: usize| {
            let shapes = [most, 1].map(|quads| Shape { lanes, splits, teams, quads });
            shapes.into_iter().find(|shape| shape.memory(network) <= network.workgroup_memory.min(MEMORY))
        };
        let split = |most: usize| fitting(most, splits, if splits > 1 { 1 } else { teams });
        let small = split(network.tiling.small_quads)?;
        let large = match network.tiling.large_split {
            true => split(network.tiling.large_quads),
            false => fitting(network.tiling.large_quads, 1, teams),
        };
        let large = large.unwrap_or(small);
        Some(Self { small, large, backward: Shape { lanes, splits: 1, teams, quads: 1 } })
    }

    /// Each with what holds in a kernel of that shape.
    pub fn each(&self) -> Vec<(Shape, &'static [&'static str])> {
        let mut each = vec![(self.small, &["SHARED"][..]), (self.large, &["SHARED", "LARGE"])];
        each.truncate(if self.large == self.small { 1 } else { 2 });
        each
    }

    /// The place among [`Shapes::each`] of the one for so many trajectories, where `large_from` workgroups are many.
    pub fn best(&self, trajectories: usize, large_from: usize) -> usize {
        usize::from(self.large != self.small && trajectories / self.large.trajectories() >= large_from)
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use naga::AddressSpace;

    use super::*;
    use crate::engine::AdapterKind;
    use crate::engine::gpu::source::{Sources, Weights};
    use crate::engine::gpu::stages::{Deltas, Forward};
    use crate::engine::gpu::tiling::Tiling;
    use crate::network::{Activation, Layout};
    use crate::process::{Encoding, Guided, Hypergrid, Order, Process, SiteFilling};
    use crate::targets::Target;
    use crate::targets::ising::Ising;

    fn network(process: Arc<dyn Process>, hidden: &[usize], memory: usize) -> Network {
        let layout = Layout::new(process.columns(), hidden, process.outputs());
        let tiling = Tiling::suggested(AdapterKind::Discrete, 256);
        Network::new(process, Input::States, layout, tiling).unwrap().with(KernelSet::Hardware, memory)
    }

    fn sites(values: usize) -> Arc<dyn Process> {
        Arc::new(SiteFilling { sites: 100, values, order: Order::Uniform, encoding: Encoding::OneHot })
    }

    /// Trajectories of a workgroup in either shape.
    fn sizes(process: Arc<dyn Process>, hidden: &[usize], memory: usize) -> Option<[usize; 2]> {
        let shapes = Shapes::of(&network(process, hidden, memory))?;
        Some([shapes.small, shapes.large].map(|shape| shape.trajectories()))
    }

    #[test]
    fn shapes_are_as_large_as_workgroup_memory_allows() {
        let (portable, more) = (32 << 10, 48 << 10);
        assert_eq!(sizes(sites(2), &[256; 3], portable), Some([4, 16]));
        assert_eq!(sizes(sites(2), &[256; 3], more), Some([4, 32]));
        assert_eq!(sizes(sites(2), &[64, 24], portable), Some([4, 64]), "all of a block");
        assert_eq!(sizes(sites(2), &[512], portable), Some([8, 8]));
        assert_eq!(sizes(sites(2), &[1024, 8], portable), Some([4, 4]));
        assert_eq!(sizes(sites(2), &[1032], portable), None, "too wide");
        assert_eq!(sizes(sites(2), &[256; 3], 1 << 14), None, "too little memory");
        assert_eq!(sizes(Arc::new(Hypergrid::new(600, 4)), &[256], portable), Some([4, 4]), "601 logits each");
        let mut shared = network(sites(2), &[256; 3], more);
        shared.tiling.large_split = true;
        assert_eq!(Shapes::of(&shared).map(|shapes| shapes.large.trajectories()), Some(8), "sums are shared");
        let software = network(sites(2), &[256; 3], more).with(KernelSet::Software, more);
        assert_eq!(Shapes::of(&software), None);
    }

    /// Bytes of workgroup memory that a kernel declares.
    fn declared(sources: &Sources, name: &str, holding: &[&str]) -> usize {
        let (module, info) = sources.link(name, holding).read().unwrap();
        let used = info.get_entry_point(0);
        let size = |(handle, variable): (naga::Handle<naga::GlobalVariable>, &naga::GlobalVariable)| {
            let counts = variable.space == AddressSpace::WorkGroup && !used[handle].is_empty();
            if counts { module.types[variable.ty].inner.size(module.to_ctx()) as usize } else { 0 }
        };
        module.global_variables.iter().map(size).sum()
    }

    /// What the kernels declare is what is reckoned here, and backward ones have no more than any adapter has.
    #[test]
    fn kernels_declare_the_memory_that_they_are_thought_to() {
        let ising = Ising::new(10, 0.4).unwrap();
        let spins = SiteFilling { sites: 100, values: 2, order: Order::Uniform, encoding: ising.encoding() };
        let guided: Arc<dyn Process> = Arc::new(Guided::new(spins, ising.guide().unwrap()));
        let mut looked = 0;
        for (process, hidden) in
            [(sites(3), &[256, 40][..]), (guided, &[24, 72]), (Arc::new(Hypergrid::new(3, 5)), &[136])]
        {
            let network = network(process, hidden, 48 << 10);
            let sources = Sources::new(&network, Activation::Swish);
            let shapes = Shapes::of(&network).unwrap().each();
            for ((name, holding, _), (shape, _)) in Forward::Rollout.variants(&network).into_iter().zip(shapes) {
                let declared = declared(&sources, name, holding);
                assert!(declared <= shape.memory(&network), "{name} {shape:?}: {declared}");
                assert!(declared + 16 * shape.trajectories() >= shape.memory(&network), "{name} {shape:?}: {declared}");
                looked += 1;
            }
            let (name, holding, rows) = Deltas::all_layers(&network, Weights::Trajectories).unwrap();
            let declared = declared(&sources, name, &holding);
            assert_eq!(declared, 16 * rows * network.widest(), "{name}");
            assert!(declared <= 16 << 10, "{name}: {declared}");
        }
        assert_eq!(looked, 6);
    }
}
