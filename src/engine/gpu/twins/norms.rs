//! Twins of the kernels of square norms.

use super::gradient::derivative;
use super::{Host, Watch};
use crate::engine::BLOCK;
use crate::engine::gpu::work::Work;

/// The first piece of a trajectory of the dispatch.
fn pieces(watch: &Watch, slice: usize, row: usize) -> usize {
    (slice * BLOCK + row) * watch.network.pieces()
}

pub fn head_norms(watch: &Watch, work: &Work, groups: [usize; 3], host: &mut Host, _: &Host) {
    let width = 4 * watch.last().outputs as usize;
    for (slice, step) in (0..groups[2]).flat_map(|slice| (0..groups[1]).map(move |step| (slice, step))) {
        let block = work.first_slice as usize + slice;
        for row in 0..BLOCK {
            let mut norm = 0.0;
            if step >= work.scored_from as usize {
                let outputs = 0..watch.network.outputs();
                let squares = outputs.map(|output| derivative(watch, work, host, [block, step, row], output).powi(2));
                let signals =
                    &host.numbers("activations")[watch.units(work, watch.last(), block, step, row)..][..width];
                norm = squares.sum::<f64>() * (1.0 + signals.iter().map(|signal| signal * signal).sum::<f64>());
            }
            host.numbers_mut("pieces")[pieces(watch, slice, row) + step] = norm;
        }
    }
}

pub fn hidden_norms(watch: &Watch, work: &Work, groups: [usize; 3], host: &mut Host, _: &Host) {
    let (network, scored) = (watch.network, work.scored_from as usize);
    let (layer, before) = (watch.layer(work.layer as usize), watch.layer(work.layer as usize - 1));
    let (rows, units) = (4 * network.tiling.rows, 4 * network.tiling.units);
    let states = network.states() - scored;
    let across = network.states().div_ceil(units);
    let first = network.states() + watch.layer(0).outputs as usize + (work.layer as usize - 1) * network.pair_tiles();
    for (slice, tile) in (0..groups[2]).flat_map(|slice| (0..groups[1]).map(move |tile| (slice, tile))) {
        let block = work.first_slice as usize + slice;
        for row in 0..BLOCK {
            let dot = |name: &str, layer, t: usize, u: usize| {
                let [t, u] = [t, u].map(|state| watch.units(work, layer, block, scored + state, row));
                let width = 4 * layer.outputs as usize;
                let (t, u) = (&host.numbers(name)[t..][..width], &host.numbers(name)[u..][..width]);
                t.iter().zip(u).map(|(t, u)| t * u).sum::<f64>()
            };
            let mut norm = 0.0;
            for t in (tile / across * rows..).take(rows) {
                for u in (tile % across * units..).take(units).filter(|&u| u >= t && u < states) {
                    let times = if u == t { 1.0 } else { 2.0 };
                    norm += times * dot("deltas", layer, t, u) * (dot("activations", before, t, u) + 1.0);
                }
            }
            host.numbers_mut("pieces")[pieces(watch, slice, row) + first + tile] = norm;
        }
    }
}

pub fn first_norms(watch: &Watch, work: &Work, groups: [usize; 3], host: &mut Host, _: &Host) {
    let (network, scored) = (watch.network, work.scored_from as usize);
    let filling = network.filling.as_ref().expect("only where sites are filled");
    let width = watch.layer(0).outputs as usize;
    for (slice, row) in (0..groups[1]).flat_map(|slice| (0..BLOCK).map(move |row| (slice, row))) {
        let block = work.first_slice as usize + slice;
        let trajectory = watch.trajectory(work, block, row);
        for quad in 0..width {
            let later = |state: usize, unit: usize| match state < network.states() {
                true => host.numbers("deltas")[watch.units(work, watch.layer(0), block, state, row) + 4 * quad + unit],
                false => 0.0,
            };
            let mut norm = 0.0;
            for unit in 0..4 {
                norm += later(scored, unit).powi(2);
                for step in 0..filling.sites {
                    let action = host.words("actions")[trajectory * filling.sites + step];
                    let amount = filling.change(action as usize).1;
                    let h = filling.unset() * later(scored, unit) + amount * later(scored.max(step + 1), unit);
                    norm += h * h;
                }
            }
            host.numbers_mut("pieces")[pieces(watch, slice, row) + network.states() + quad] = norm;
        }
    }
}

pub fn sum_norms(watch: &Watch, work: &Work, groups: [usize; 3], host: &mut Host, _: &Host) {
    for (slice, row) in (0..groups[0]).flat_map(|slice| (0..BLOCK).map(move |row| (slice, row))) {
        let norm = host.numbers("pieces")[pieces(watch, slice, row)..][..watch.network.pieces()].iter().sum();
        let trajectory = (work.block + work.first_slice) as usize * BLOCK + slice * BLOCK + row;
        host.numbers_mut("norms")[trajectory] = norm;
    }
}
