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
    // What one thread has at hand for a block: a step of it, random words, and of some rows deltas, activations and slopes.
    let thread = BLOCK * (size * (numbers + hidden[0] + 2 * widest) + 4 * steps) + 4 * size * ROWS.max(steps) * widest;
    // Actions and three f64 a trajectory.
    let known = |count: usize| (count * (4 * steps + 24)) as u64;

    let block = block_of(load.batch);
    let blocks = load.batch.div_ceil(block);
    let at_work = threads.min(blocks);
    let one = (size * numbers * steps) as u64;
    let kept = kept_blocks(blocks, one * block as u64, budget, threads);
    let replayed = if kept < blocks { at_work } else { 0 };
    let stored = one * ((kept + replayed) * block).min(load.batch) as u64;
    // A thread's sums and the same in f64, those of them that the tree over blocks holds at a time, and their total in the
    // order of the layout, which grows as it is written.
    let lists = if load.moments { 4 } else { 1 };
    let nodes = blocks.checked_ilog2().map_or(0, |levels| levels as usize + 2);
    let sums = parameters * (lists * (at_work * (size + 8) + 8 * nodes) + 16);
    Need {
        // Weights, and most of them the other way round.
        always: (2 * size * parameters) as u64,
        training: stored + known(load.batch) + (at_work * thread + sums) as u64,
        evaluation: known(load.loose) + (threads * thread) as u64,
    }
}
