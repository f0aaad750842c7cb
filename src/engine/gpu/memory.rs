//! What the GPU engine takes, on the device and on the host, reckoned without opening one.

use crate::engine::AdapterKind;
use crate::engine::{BLOCK, Load, Need};
use crate::network::Layout;
use crate::process::{Head, Process};

/// Hidden widths are padded to a multiple of this at most (tiling.rs).
const PADDING: usize = 16;
/// Most bytes of slices of gradients, and of pieces of norms (stages/sums.rs, stages/norms.rs).
const SLICES: u64 = 1 << 26;
/// What a driver takes for itself: a compiler, and caches of programs.
const DRIVER: u64 = 128 << 20;

/// On the host. A discrete GPU has memory of its own, of which drivers do not tell how much; others share the host's. The
/// budget is that of activations in bytes.
pub fn need(process: &dyn Process, layout: &Layout, load: Load, kind: AdapterKind, budget: u64) -> Need {
    let (steps, parameters) = (process.max_steps() as u64, layout.parameters() as u64);
    let hidden = &layout.widths[1..layout.widths.len() - 1];
    let outputs = if process.head() == Head::Site { process.values() } else { process.outputs() };
    let padded: Vec<u64> = hidden.iter().map(|width| width.next_multiple_of(PADDING) as u64).collect();
    let lists = if load.moments { 4 } else { 1 };
    let count = load.batch.max(load.loose).next_multiple_of(BLOCK) as u64;

    // Weights on their way there, gradients on their way back, in f32 and then in f64; actions both ways.
    let host = parameters * (16 + lists * 16) + count * (12 * steps + 48);
    let mut need = Need { always: DRIVER, training: host, evaluation: count * (12 * steps + 48) };
    if kind != AdapterKind::Discrete {
        let padded_parameters = Layout { widths: padded_widths(layout, &padded) }.parameters() as u64;
        // Activations and slopes of one step of a block, and probabilities.
        let step = BLOCK as u64 * 4 * (2 * padded.iter().sum::<u64>() + outputs as u64);
        let slots = |blocks: usize, steps: u64| (blocks as u64 * steps * step).min(budget.max(steps * step));
        let activations = slots(load.batch.div_ceil(BLOCK), steps).max(slots(load.loose.div_ceil(BLOCK), 1));
        // Weights lie there in both directions; gradients in lists, in slices, and what is known of them.
        need.always += 8 * padded_parameters + activations + count * (16 * steps + 24);
        need.training += padded_parameters * (8 * lists + 8) + SLICES;
    }
    need
}

fn padded_widths(layout: &Layout, hidden: &[u64]) -> Vec<usize> {
    let (first, last) = (layout.widths[0], layout.widths[layout.widths.len() - 1]);
    [first].into_iter().chain(hidden.iter().map(|&width| width as usize)).chain([last]).collect()
}
