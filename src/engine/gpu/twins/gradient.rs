//! Twins of the kernels from outputs back to parameters.

use super::{Host, Watch};
use crate::engine::BLOCK;
use crate::engine::gpu::kernel_set::SLICE_ROWS;
use crate::engine::gpu::network::Input;
use crate::engine::gpu::stages::Accumulator;
use crate::engine::gpu::work::Work;
use crate::process::{Flow, NO_ACTION};

/// The derivative at the `output`-th of the outputs that a state uses.
pub fn derivative(watch: &Watch, work: &Work, host: &Host, [block, step, row]: [usize; 3], output: usize) -> f64 {
    let network = watch.network;
    if network.input == Input::Objects {
        return 1.0;
    }
    let process = &network.process;
    let (trajectory, most, actions) = (watch.trajectory(work, block, row), process.max_steps(), process.actions());
    let action = host.words("actions")[trajectory * most + step];
    let weight = |list: usize, step: usize| match (watch.stepwise, list) {
        (true, _) => host.numbers("step_coefficients")[(trajectory * network.lists() + list) * most + step],
        (false, 0) => 1.0,
        (false, _) => 0.0,
    };
    let p = host.numbers("probabilities")[watch.outputs(work, block, step, row) + output];
    let of = |hit: bool, weight: f64| weight * (f64::from(u8::from(hit)) - p);
    if network.filling.is_some() {
        return of(action as usize % network.outputs() == output, weight(0, step));
    }
    if output < actions {
        let stopping = match (process.flow(), process.stop()) {
            (Flow::Stop, Some(stop)) if action != NO_ACTION => of(stop as usize == output, weight(2, step)),
            _ => 0.0,
        };
        return of(action as usize == output, weight(0, step)) + stopping;
    }
    if output - actions == process.backward_actions() {
        return if action == NO_ACTION { 0.0 } else { weight(2, step) };
    }
    if step <= work.scored_from as usize {
        return 0.0;
    }
    match host.words("actions")[trajectory * most + step - 1] {
        NO_ACTION => 0.0,
        before => of(process.backward_of(before) == Some((output - actions) as u32), weight(1, step - 1)),
    }
}

/// The first row of the head that a state uses.
fn first_output(watch: &Watch, work: &Work, host: &Host, [block, step, row]: [usize; 3]) -> usize {
    let (network, outputs) = (watch.network, watch.network.outputs());
    match (network.input, &network.filling) {
        (Input::States, Some(_)) => {
            let index = watch.trajectory(work, block, row) * network.process.max_steps() + step;
            host.words("actions")[index] as usize / outputs * outputs
        }
        _ => 0,
    }
}

pub fn head_backward(watch: &Watch, work: &Work, groups: [usize; 3], host: &mut Host, _: &Host) {
    let (last, width) = (watch.last(), 4 * watch.last().outputs as usize);
    for block in 0..groups[2] {
        for (step, row) in (0..groups[1]).flat_map(|step| (0..BLOCK).map(move |row| (step, row))) {
            let place = [block, work.first_step as usize + step, row];
            let first = first_output(watch, work, host, place);
            let mut sums = vec![0.0; width];
            for output in 0..watch.network.outputs() {
                let delta = derivative(watch, work, host, place, output);
                let head = &host.numbers("weights")[4 * watch.network.head as usize + (first + output) * width..];
                sums.iter_mut().zip(head).for_each(|(sum, weight)| *sum += delta * weight);
            }
            let at = watch.units(work, last, block, place[1], row);
            watch.put_deltas(host, at, &sums);
        }
    }
}

pub fn dense_backward(watch: &Watch, work: &Work, groups: [usize; 3], host: &mut Host, _: &Host) {
    let (layer, before) = (watch.layer(work.layer as usize), watch.layer(work.layer as usize - 1));
    let (inputs, outputs) = (4 * layer.inputs as usize, 4 * layer.outputs as usize);
    for block in 0..groups[1] {
        for step in work.first_step as usize..work.last_step as usize {
            for row in 0..BLOCK {
                let deltas = &host.numbers("deltas")[watch.units(work, layer, block, step, row)..][..outputs];
                let mut sums = vec![0.0; inputs];
                for (output, delta) in deltas.iter().enumerate() {
                    let weights = &host.numbers("weights")[4 * layer.backward as usize + output * inputs..];
                    sums.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += delta * weight);
                }
                let at = watch.units(work, before, block, step, row);
                watch.put_deltas(host, at, &sums);
            }
        }
    }
}

pub fn backward(watch: &Watch, work: &Work, groups: [usize; 3], host: &mut Host, found: &Host) {
    head_backward(watch, work, groups, host, found);
    for layer in (1..watch.network.layers.len() as u32).rev() {
        dense_backward(watch, &Work { layer, ..*work }, [groups[0], groups[2], 1], host, found);
    }
}

pub fn first_backward(watch: &Watch, work: &Work, groups: [usize; 3], host: &mut Host, _: &Host) {
    let width = 4 * watch.layer(0).outputs as usize;
    for (block, row) in (0..groups[1]).flat_map(|block| (0..BLOCK).map(move |row| (block, row))) {
        let mut sums = vec![0.0; width];
        for step in (work.scored_from as usize..watch.network.states()).rev() {
            let at = watch.units(work, watch.layer(0), block, step, row);
            for (slope, sum) in host.numbers_mut("deltas")[at..].iter_mut().zip(&mut sums) {
                *sum += *slope;
                *slope = *sum;
            }
        }
    }
}

/// Adds c * delta_l h_(l-1)^T and c * delta_l of a state to a gradient of the hidden layers above the first.
fn add_outer(watch: &Watch, work: &Work, host: &Host, [block, step, row]: [usize; 3], c: f64, dense: &mut [f64]) {
    let (layer, before) = (watch.layer(work.layer as usize), watch.layer(work.layer as usize - 1));
    let (inputs, outputs) = (4 * layer.inputs as usize, 4 * layer.outputs as usize);
    let deltas = &host.numbers("deltas")[watch.units(work, layer, block, step, row)..][..outputs];
    let signals = watch.signals(work, host, watch.units(work, before, block, step, row), inputs);
    let weight = 4 * (layer.gradient - watch.network.dense) as usize;
    let bias = 4 * (layer.gradient_bias - watch.network.dense) as usize;
    for (output, delta) in deltas.iter().enumerate() {
        let row = &mut dense[weight + output * inputs..];
        row.iter_mut().zip(&signals).for_each(|(sum, signal)| *sum += c * delta * signal);
        dense[bias + output] += c * delta;
    }
}

/// The part of a gradient that is this layer's, within that of the hidden layers above the first.
fn layer_part(watch: &Watch, work: &Work) -> std::ops::Range<usize> {
    let layer = watch.layer(work.layer as usize);
    let end = layer.gradient_bias + layer.outputs;
    4 * (layer.gradient - watch.network.dense) as usize..4 * (end - watch.network.dense) as usize
}

pub fn weight_gradient(watch: &Watch, work: &Work, groups: [usize; 3], host: &mut Host, _: &Host) {
    let (states, size) = (watch.network.states(), 4 * watch.network.dense_size as usize);
    let chunk_steps = watch.network.set.chunk();
    let chunks = states.div_ceil(chunk_steps);
    for index in 0..groups[1] {
        let slice = work.first_slice as usize + index;
        let (block, chunk) = (slice / chunks, slice % chunks);
        let mut dense = vec![0.0; size];
        for step in (chunk * chunk_steps).max(work.scored_from as usize)..((chunk + 1) * chunk_steps).min(states) {
            for row in 0..BLOCK {
                let c = host.numbers("coefficients")[watch.trajectory(work, block, row)];
                add_outer(watch, work, host, [block, step, row], c, &mut dense);
            }
        }
        let part = layer_part(watch, work);
        host.numbers_mut("partials")[index * size..][part.clone()].copy_from_slice(&dense[part]);
    }
}

/// That of all hidden layers.
pub fn weight_gradients(watch: &Watch, work: &Work, groups: [usize; 3], host: &mut Host, found: &Host) {
    for layer in 1..watch.network.layers.len() as u32 {
        weight_gradient(watch, &Work { layer, ..*work }, groups, host, found);
    }
}

/// What one trajectory of coefficient c, with the derivative h, adds to each list; `totals` are what the others' k is made of.
fn terms(accumulator: Accumulator, c: f64, h: f64, totals: [f64; 2]) -> Vec<f64> {
    match accumulator {
        Accumulator::Gradient => vec![c * h],
        Accumulator::Moments => vec![h, c * h, h * h, c * h * h],
        Accumulator::LeftOut => {
            let others = totals[0] - h * h;
            let rounding = BLOCK as f64 * f64::from(f32::EPSILON);
            let k = if others > rounding * totals[0] { (totals[1] - c * h * h) / others } else { 0.0 };
            vec![h * (c - k)]
        }
    }
}

/// Totals at a place of the gradient.
fn totals(watch: &Watch, host: &Host, at: usize) -> [f64; 2] {
    let Some(totals) = host.numbers.get("totals") else { return [0.0; 2] };
    [totals[at], totals[4 * watch.network.gradient as usize + at]]
}

pub fn hidden_scores(watch: &Watch, work: &Work, groups: [usize; 3], host: &mut Host, _: &Host) {
    let (dense, size) = (4 * watch.network.dense as usize, 4 * watch.network.dense_size as usize);
    let (part, lists) = (layer_part(watch, work), watch.accumulator.lists());
    for index in 0..groups[1] {
        let block = work.first_slice as usize + index;
        let mut sums = vec![0.0; lists * size];
        for row in 0..watch.rows(work, block) {
            let mut scores = vec![0.0; size];
            for step in work.scored_from as usize..watch.network.states() {
                add_outer(watch, work, host, [block, step, row], 1.0, &mut scores);
            }
            let c = host.numbers("coefficients")[watch.trajectory(work, block, row)];
            for at in part.clone() {
                let added = terms(watch.accumulator, c, scores[at], totals(watch, host, dense + at));
                added.into_iter().enumerate().for_each(|(list, term)| sums[list * size + at] += term);
            }
        }
        for list in 0..lists {
            let sums = &sums[list * size..][part.clone()];
            host.numbers_mut("partials")[(index * lists + list) * size..][part.clone()].copy_from_slice(sums);
        }
    }
}

pub fn fold(watch: &Watch, work: &Work, _: [usize; 3], host: &mut Host, _: &Host) {
    let (size, lists) = (watch.part.len(), work.lists as usize);
    for (list, i) in (0..lists).flat_map(|list| (0..size).map(move |i| (list, i))) {
        let partials =
            (0..work.slices as usize).map(|slice| host.numbers("partials")[(slice * lists + list) * size + i]);
        let sum: f64 = partials.sum();
        let at = 4 * list * watch.network.gradient as usize + watch.part.start + i;
        host.numbers_mut("gradient")[at] += sum;
    }
}

/// The trajectories of a dispatch, a block and a row of it each, and the slices that are to hold their sums emptied.
fn members(watch: &Watch, work: &Work, groups: [usize; 3], host: &mut Host) -> Vec<[usize; 2]> {
    let rows = |block: usize| (0..watch.rows(work, block)).map(move |row| [block, row]);
    if !watch.sliced {
        return (work.first_slice..work.first_slice + work.slices).flat_map(|block| rows(block as usize)).collect();
    }
    let slices = work.first_slice as usize..work.first_slice as usize + groups[2];
    let size = groups[2] * watch.accumulator.lists() * watch.part.len();
    host.numbers_mut("partials")[..size].fill(0.0);
    let of = |slice: usize| rows(slice * SLICE_ROWS / BLOCK).filter(move |&at| slice_of(at) == slice);
    slices.flat_map(of).collect()
}

fn slice_of([block, row]: [usize; 2]) -> usize {
    (block * BLOCK + row) / SLICE_ROWS
}

/// Adds what a trajectory with the derivatives h does, from `at` in a gradient on.
fn accumulate(watch: &Watch, work: &Work, host: &mut Host, [block, row]: [usize; 2], at: usize, h: &[f64]) {
    let c = host.numbers("coefficients")[watch.trajectory(work, block, row)];
    let lists = watch.accumulator.lists();
    for (i, &h) in h.iter().enumerate() {
        for (list, term) in terms(watch.accumulator, c, h, totals(watch, host, at + i)).into_iter().enumerate() {
            if watch.sliced {
                let slice = slice_of([block, row]) - work.first_slice as usize;
                let place = (slice * lists + list) * watch.part.len() + at + i - watch.part.start;
                host.numbers_mut("partials")[place] += term;
            } else {
                host.numbers_mut("gradient")[4 * list * watch.network.gradient as usize + at + i] += term;
            }
        }
    }
}

pub fn head_gradient(watch: &Watch, work: &Work, groups: [usize; 3], host: &mut Host, _: &Host) {
    let (network, width) = (watch.network, 4 * watch.last().outputs as usize);
    let members = members(watch, work, groups, host);
    for output in 0..groups[1] {
        for &[block, row] in &members {
            let (mut h, mut bias) = (vec![0.0; width], 0.0);
            for step in work.scored_from as usize..network.states() {
                let place = [block, step, row];
                let first = first_output(watch, work, host, place);
                if !(first..first + network.outputs()).contains(&output) {
                    continue;
                }
                let error = derivative(watch, work, host, place, output - first);
                let signals = watch.signals(work, host, watch.units(work, watch.last(), block, step, row), width);
                h.iter_mut().zip(signals).for_each(|(h, signal)| *h += error * signal);
                bias += error;
            }
            accumulate(watch, work, host, [block, row], 4 * network.head_gradient as usize + output * width, &h);
            accumulate(watch, work, host, [block, row], 4 * (network.head_bias_gradient as usize + output), &[bias]);
        }
    }
}

pub fn first_gradient(watch: &Watch, work: &Work, groups: [usize; 3], host: &mut Host, _: &Host) {
    let width = 4 * watch.layer(0).outputs as usize;
    let members = members(watch, work, groups, host);
    for column in 0..groups[1] {
        for &[block, row] in &members {
            let h = first_layer_score(watch, work, host, [block, row], column);
            accumulate(watch, work, host, [block, row], 4 * watch.layer(0).gradient as usize + column * width, &h);
        }
    }
}

/// The first layer's part of a trajectory's score: of a column, or of the bias behind the last one.
fn first_layer_score(watch: &Watch, work: &Work, host: &Host, [block, row]: [usize; 2], column: usize) -> Vec<f64> {
    let (network, process) = (watch.network, &watch.network.process);
    let (trajectory, scored) = (watch.trajectory(work, block, row), work.scored_from as usize);
    let mut h = vec![0.0; 4 * watch.layer(0).outputs as usize];
    // Adds amount times the sum of deltas from a state on; there are none after the last.
    let mut add = |state: usize, amount: f64| {
        if state < network.states() && amount != 0.0 {
            let later = &host.numbers("deltas")[watch.units(work, watch.layer(0), block, state, row)..];
            h.iter_mut().zip(later).for_each(|(h, later)| *h += amount * later);
        }
    };
    if column == process.columns() {
        add(scored, 1.0);
        return h;
    }
    add(scored, process.initial_input()[column]);
    match &network.filling {
        Some(filling) => {
            for site in 0..filling.sites {
                let fill = host.words("fills")[trajectory * filling.sites + site] as usize;
                let (changed, amount) = filling.change(site * filling.values + (fill & 255));
                // The first state that has the change; finished objects have them all.
                let state = if network.input == Input::Objects { 0 } else { scored.max((fill >> 8) + 1) };
                add(state, if changed == column { amount } else { 0.0 });
            }
        }
        None => {
            let masks = process.max_steps() * network.mask_words();
            let changes = trajectory * network.walk_size() + process.state_words() + masks;
            let changes = &host.words("walks")[changes..][..4 * process.max_steps()];
            for (i, change) in changes.chunks_exact(2).enumerate() {
                let amount = f64::from(f32::from_bits(change[1]));
                add(scored.max(i / 2 + 1), if change[0] as usize == column { amount } else { 0.0 });
            }
        }
    }
    h
}
