// Forward through the layers of a network, for the ROWS trajectories of a workgroup at one state, as lib/layers.wgsl; what
// invocations exchange goes through workgroup memory:
//
//   z_l = W_l h_(l-1) + b_l,  h_l = f(z_l),  from l = 1 on              h_0 is there already, by `activate_at`
//   output = <head row, h_last> + bias
//
// A sum over inputs is CHAINS chains of multiply-adds, then added up one after the other. Where there are SPLITS, each takes a chain
// of all trajectories; where there are TEAMS, each takes all chains of some. The bits are the same.
// Every function is for all invocations of a workgroup, and ends with a barrier if others read what it writes.

#define_import_path wgflow::shared_layers
#import wgflow::constants::{CHAINS, HEAD, HEAD_BIAS, HEAD_LANES, LANES, LAYERS, STEP_SIZE}
#import wgflow::shape::{GROUP, QUADS, ROWS, SPLITS}
#import wgflow::shared_product::{Matrix, Rows, chain_of, shared_rows}
#import wgflow::signals::keep
#import wgflow::weights::weights
#import wgflow::work::{Layer, network}

// Chains of the layer that is gone through, where there are as many splits as chains: [chain][trajectory][quad of units].
var<workgroup> shared_sums: array<vec4<f32>, 1u + SPLITS / CHAINS * CHAINS * ROWS * LANES>;
// Parts of outputs of the head.
var<workgroup> head_sums: array<f32, GROUP>;

// `stored` is the offset in activations, `place` that among the trajectories of the workgroup.
fn activate_at(stored: u32, place: u32, z: vec4<f32>) {
    shared_rows[place] = keep(stored, z);
}

// One of the CHAINS chains of the sums of a layer.
fn layer_chain(layer: Layer, unit: u32, first: u32, chain: u32) -> Rows {
    let length = (layer.inputs + CHAINS - 1u) / CHAINS;
    let end = min((chain + 1u) * length, layer.inputs);
    let matrix = Matrix(layer.inputs, layer.outputs, layer.forward);
    return chain_of(matrix, min(unit, layer.outputs - 1u), first, chain * length, end);
}

// A layer where an invocation takes one chain; `stored` is where its activations begin.
fn split_layer(lane: u32, layer: Layer, stored: u32) {
    let unit = lane % LANES;
    let chain = lane / LANES;
    let rows = layer_chain(layer, unit, 0u, chain);
    for (var q = 0u; q < QUADS; q++) {
        let at = (chain * ROWS + 4u * q) * LANES + unit;
        shared_sums[at] = rows.sum[q][0];
        shared_sums[at + LANES] = rows.sum[q][1];
        shared_sums[at + 2u * LANES] = rows.sum[q][2];
        shared_sums[at + 3u * LANES] = rows.sum[q][3];
    }
    workgroupBarrier();
    for (var i = lane; i < ROWS * layer.outputs; i += GROUP) {
        let at = i / layer.outputs * LANES + i % layer.outputs;
        var z = shared_sums[at];
        for (var other = 1u; other < CHAINS; other++) {
            z += shared_sums[at + other * ROWS * LANES];
        }
        activate_at(stored + i, i, z + weights[layer.bias + i % layer.outputs]);
    }
}

// A layer where an invocation takes all chains of its team's trajectories.
fn whole_layer(lane: u32, layer: Layer, stored: u32) {
    let unit = lane % LANES;
    let first = lane / LANES * 4u * QUADS;
    var rows = layer_chain(layer, unit, first, 0u);
    for (var chain = 1u; chain < CHAINS; chain++) {
        let more = layer_chain(layer, unit, first, chain);
        for (var q = 0u; q < QUADS; q++) {
            rows.sum[q] += more.sum[q];
        }
    }
    workgroupBarrier();
    if unit < layer.outputs {
        let bias = weights[layer.bias + unit];
        for (var q = 0u; q < QUADS; q++) {
            let at = (first + 4u * q) * layer.outputs + unit;
            activate_at(stored + at, at, rows.sum[q][0] + bias);
            activate_at(stored + at + layer.outputs, at + layer.outputs, rows.sum[q][1] + bias);
            activate_at(stored + at + 2u * layer.outputs, at + 2u * layer.outputs, rows.sum[q][2] + bias);
            activate_at(stored + at + 3u * layer.outputs, at + 3u * layer.outputs, rows.sum[q][3] + bias);
        }
    }
}

// Hidden layers above the first of the stored step `here`, for the trajectories from `first_row` of the block on.
fn hidden_layers(lane: u32, here: u32, first_row: u32) {
    workgroupBarrier();
    for (var l = 1u; l < LAYERS; l++) {
        let layer = network[l];
        let stored = here * STEP_SIZE + layer.offset + first_row * layer.outputs;
        if SPLITS > 1u {
            split_layer(lane, layer, stored);
        } else {
            whole_layer(lane, layer, stored);
        }
        workgroupBarrier();
    }
}

// What the lane `part` of HEAD_LANES adds up of an output of a trajectory.
fn head_part(row: u32, output: u32, part: u32) -> f32 {
    let width = network[LAYERS - 1u].outputs;
    var sum = vec4<f32>();
    for (var k = part; k < width; k += HEAD_LANES) {
        sum = fma(shared_rows[row * width + k], weights[HEAD + output * width + k], sum);
    }
    return (sum.x + sum.y) + (sum.z + sum.w);
}

// The output, from the `i`-th HEAD_LANES parts in head_sums.
fn head_output(i: u32, output: u32) -> f32 {
    var sum = 0.0;
    for (var part = 0u; part < HEAD_LANES; part += 4u) {
        let at = i * HEAD_LANES + part;
        sum += (head_sums[at] + head_sums[at + 1u]) + (head_sums[at + 2u] + head_sums[at + 3u]);
    }
    return sum + weights[HEAD_BIAS + output / 4u][output % 4u];
}
