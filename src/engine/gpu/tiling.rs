//! How large the pieces are that an invocation and a workgroup take.

use serde::{Deserialize, Serialize};

use crate::engine::AdapterKind;

/// Sizes of register tiles and of workgroups, which `tune` chooses by timing. Results do not depend on them, but for rounding;
/// on those of the hardware kernels not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tiling {
    /// Height of an invocation's tile, in quads (4 trajectories): 1, 2 or 4.
    pub rows: usize,
    /// Width of an invocation's tile, in quads (4 units): 1, 2 or 4.
    pub units: usize,
    /// Trajectories of a rollout's workgroup: a multiple of 4 * `rows` that divides 64.
    pub trajectories: usize,
    /// Invocations of a rollout's workgroup.
    pub group: usize,
    /// Multiply-adds of one dispatch, and an eighth of those of one submission; more are split up.
    pub dispatch: u64,
    /// Hardware kernels: quads of trajectories of an invocation in the rollout of small batches, and of large ones, where
    /// workgroup memory has room for so many: 1 or 2.
    pub small_quads: usize,
    /// See `small_quads`.
    pub large_quads: usize,
    /// Hardware kernels: whether invocations share a sum in the rollout of large batches as they do in that of small ones, for half or a
    /// quarter of the trajectories a workgroup, and workgroups that are as many more.
    #[serde(default)]
    pub large_split: bool,
    /// Hardware kernels: workgroups from which on a batch is a large one.
    pub large_from: usize,
    /// Hardware kernels: units along a side of a weight gradient's tile, where layers are as wide: 64 or 128.
    pub gradient_tile: usize,
    /// Hardware kernels: workgroups below which a batch goes back through all layers in one kernel; counted as those of the kernel for
    /// one layer (shaders/hardware/dense_backward.wgsl), the widest, and the whole batch.
    #[serde(default = "fused_below")]
    pub fused_below: usize,
}

/// Of such workgroups a multiprocessor takes one or two at once, and large GPUs have some 130 multiprocessors.
fn fused_below() -> usize {
    128
}

/// Multiply-adds that any GPU surely does in 100 ms: systems reset a device that does not answer for some seconds.
const HARDWARE_DISPATCH: u64 = 10_000_000_000;

impl Tiling {
    /// What does well on `kind` of adapter, for hidden layers at most `width` wide.
    ///
    /// In software a load costs as much as ten multiply-adds whatever memory it comes from, so its tiles are larger; a GPU
    /// hides loads behind other invocations and wants many of them.
    pub fn suggested(kind: AdapterKind, width: usize) -> Self {
        let (rows, units, trajectories, dispatch) =
            if kind.is_hardware() { (1, 1, 16, HARDWARE_DISPATCH) } else { (2, 4, 32, u64::MAX) };
        // Below 64 workgroups a GPU has multiprocessors to spare.
        let (small_quads, large_quads, large_from, gradient_tile) = (1, 2, 64, 128);
        let tiling = Self {
            rows,
            units,
            trajectories,
            group: 16,
            dispatch,
            small_quads,
            large_quads,
            large_split: false,
            large_from,
            gradient_tile,
            fused_below: fused_below(),
        };
        tiling.with_tiles(rows, units, trajectories, width)
    }

    /// The same with other register tiles, and as many invocations as a workgroup of the rollout has tiles, for hidden layers at
    /// most `width` wide.
    pub(super) fn with_tiles(self, rows: usize, units: usize, trajectories: usize, width: usize) -> Self {
        let tiles = trajectories / (4 * rows) * width.div_ceil(4 * units);
        Self { rows, units, trajectories, group: tiles.next_power_of_two().clamp(16, 256), ..self }
    }

    /// Hidden widths are padded to a multiple of this.
    pub fn multiple(&self) -> usize {
        4 * self.rows.max(self.units)
    }

    /// What is wrong with these sizes, if anything.
    pub fn fault(&self) -> Option<String> {
        let Self { rows, units, trajectories, group, small_quads, large_quads, gradient_tile, .. } = *self;
        if ![small_quads, large_quads].iter().all(|quads| [1, 2].contains(quads)) || ![64, 128].contains(&gradient_tile)
        {
            return Some(format!(
                "{small_quads} and {large_quads} quads of trajectories, or a gradient's tile of {gradient_tile} units, are not \
                 possible: 1 or 2 quads, and 64 or 128 units"
            ));
        }
        let good = [1, 2, 4].contains(&rows)
            && [1, 2, 4].contains(&units)
            && trajectories > 0
            && trajectories.is_multiple_of(4 * rows)
            && crate::engine::BLOCK.is_multiple_of(trajectories)
            && (1..=1024).contains(&group);
        (!good).then(|| {
            format!(
                "a tile of {rows} x {units} quads for {trajectories} trajectories in {group} invocations is not \
                 possible: rows and units must be 1, 2 or 4, and trajectories a multiple of 4 * rows that divides 64"
            )
        })
    }
}
