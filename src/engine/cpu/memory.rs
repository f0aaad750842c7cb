//! What the native engine takes, reckoned without making one.

use super::{block_of, kept_blocks};
use crate::engine::{BLOCK, Load, Need};
use crate::network::Layout;
use crate::process::{Head, Process};

/// Rows that a product of the backward pass takes (gradient.rs, scores.rs).
const ROWS: usize = 512;

/// In numbers of `size` bytes, on `threads` threads, with a budget of so many bytes for activations.
pub fn need(process: &dyn Process, layout: &Layout, load: Load, size: usize, threads: usize, budget: u64) -> Need {
    let (steps, parameters) = (process.max_steps(), layout.parameters());
    let hidden = &layout.widths[1..layout.widths.len() - 1];
    let outputs = if process.head() == Head::Site { process.values() } else { process.outputs() };
    let widest = hidden.iter().copied().max().unwrap_or(0);
    let numbers = hidden.iter().sum::<usize>() + outputs;
    // What one thread has at hand for a block: a step of it and random words; for a gradient also deltas, activations and
    // slopes of some rows, and sums, the same in f64 as well.
    let thread = BLOCK * (size * (numbers + hidden[0] + 2 * widest) + 4 * steps);
    let (deltas, sum) = (4 * size * ROWS.max(steps) * widest, parameters * (size + 8));
    // Actions and three f64 a trajectory.
    let known = |count: usize| (count * (4 * steps + 24)) as u64;

    let block = block_of(load.batch);
    let blocks = load.batch.div_ceil(block);
    // Some smaller batches are in four blocks: a larger one is not to need less.
    let at_work = threads.min(blocks.max(4)).min(load.batch.div_ceil(8));
    let one = (size * numbers * steps) as u64;
    let kept = kept_blocks(blocks, one * block as u64, budget, threads);
    let replayed = if kept < blocks { at_work } else { 0 };
    let stored = one * ((kept + replayed) * block).min(load.batch) as u64;
    // Sums that the tree over blocks holds at a time, and their total in the order of the layout, which grows as it is written;
    // what a thread makes moments with.
    let lists = if load.moments { 4 } else { 1 };
    let nodes = blocks.checked_ilog2().map_or(0, |levels| levels as usize + 2);
    let sums = parameters * (lists * 8 * nodes + 16);
    let moments = if load.moments { deltas + lists * sum } else { 0 };
    Need {
        // Weights, most of them the other way round as well, and what a gradient leaves to the next one.
        always: (2 * size * parameters + at_work * (deltas + sum)) as u64,
        training: stored + known(load.batch) + (at_work * (thread + moments) + sums) as u64,
        evaluation: known(load.loose) + (threads * thread) as u64,
    }
}
