//! How large the pieces are that an invocation and a workgroup take.

use crate::engine::AdapterKind;

/// Sizes of register tiles and of the rollout's workgroups. Results do not depend on them, but for rounding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
        let tiles = trajectories / (4 * rows) * width.div_ceil(4 * units);
        Self { rows, units, trajectories, group: tiles.next_power_of_two().clamp(16, 256), dispatch }
    }

    /// Hidden widths are padded to a multiple of this.
    pub fn multiple(&self) -> usize {
        4 * self.rows.max(self.units)
    }

    /// What is wrong with these sizes, if anything.
    pub fn fault(&self) -> Option<String> {
        let Self { rows, units, trajectories, group, .. } = *self;
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
