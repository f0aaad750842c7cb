//! Two sets of kernels for the same work: what computes, and what it computes, is the same.

use crate::engine::{AdapterKind, BLOCK};

/// Which kernels an engine runs where there are two for the same work. Results do not depend on it, but for rounding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum KernelSet {
    /// Register tiles that load from buffers, for adapters that are software: to them workgroup memory is memory like any
    /// other.
    Software,
    /// Tiles that go through workgroup memory, which invocations of a workgroup exchange all data by: for GPUs.
    Hardware,
}

/// Trajectories of a block that a slice of the head's and of the first layer's gradient sums over, where they are summed in slices.
pub(super) const SLICE_ROWS: usize = 16;

/// Trajectories of a workgroup of hardware/order.wgsl.
pub(super) const ORDERED: usize = 4;

/// A kernel by its name, and what holds in it.
type Named = (&'static str, &'static [&'static str]);

impl KernelSet {
    /// What does well on a kind of adapter.
    pub(super) fn suited(kind: AdapterKind) -> Self {
        if kind.is_hardware() { Self::Hardware } else { Self::Software }
    }

    /// Steps of a block that one slice of the weight gradient sums over. Part of the result's bits, so not a setting.
    pub(super) fn chunk(self) -> usize {
        match self {
            Self::Software => 32,
            // Shorter, so that small batches are many workgroups.
            Self::Hardware => 16,
        }
    }

    /// The order of `sites` sites: a kernel, and trajectories of a workgroup; in so many bytes of workgroup memory, where they do.
    pub(super) fn order(self, sites: usize, workgroup_memory: usize) -> (&'static str, usize) {
        match self {
            Self::Hardware if 8 * ORDERED * sites <= workgroup_memory => ("hardware_order", ORDERED),
            _ => ("order", BLOCK),
        }
    }

    /// What finishes trajectories, and trajectories of a workgroup.
    pub(super) fn finish(self) -> (&'static str, usize) {
        match self {
            Self::Software => ("finish", BLOCK),
            Self::Hardware => ("hardware_finish", 1),
        }
    }

    /// Back through a hidden layer.
    pub(super) fn dense_backward(self) -> Named {
        match self {
            Self::Software => ("dense_backward", &["BACKWARD"]),
            Self::Hardware => ("hardware_dense_backward", &[]),
        }
    }

    /// What holds in sums over trajectories of the head and of the first layer, and in what folds their slices, if there are some.
    pub(super) fn slices(self) -> Option<[&'static str; 3]> {
        match self {
            Self::Software => None,
            Self::Hardware => Some(["SLICED", "OF_HEAD", "OF_FIRST"]),
        }
    }

    /// Gradients of hidden layers.
    pub(super) fn weight_gradient(self) -> Named {
        match self {
            Self::Software => ("weight_gradient", &["GRADIENT"]),
            Self::Hardware => ("hardware_weight_gradient", &[]),
        }
    }
}
