//! Two sets of kernels for the same work: what computes, and what it computes, is the same.

use crate::engine::AdapterKind;

/// Which kernels an engine runs where there are two for the same work. Results do not depend on it, but for rounding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KernelSet {
    /// Register tiles that load from buffers, for adapters that are software: to them workgroup memory is memory like any
    /// other.
    Software,
    /// Tiles that go through workgroup memory, which invocations of a workgroup exchange all data by: for GPUs.
    Hardware,
}

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

    /// Back through a hidden layer.
    pub(super) fn dense_backward(self) -> Named {
        match self {
            Self::Software => ("dense_backward", &["BACKWARD"]),
            Self::Hardware => ("hardware_dense_backward", &[]),
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
