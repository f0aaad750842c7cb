// Back through all layers, as head_backward.wgsl and hardware/dense_backward.wgsl, which do one each; for small batches:
//
//   delta_last  = (sum over outputs of derivative * head row) * f'(z_last)
//   delta_(l-1) = (W_l^T delta_l) * f'(z_(l-1))
//
// Deltas go from layer to layer in workgroup memory. A sum over outputs is one chain of multiply-adds, as it is there: the bits are
// the same.
// One workgroup takes ROWS trajectories of a step, half of a block at most; an invocation a quad of a layer's units and 4 trajectories.
// (x) trajectories of a block, (y) a step, (z) a block.
//
// Waves on gfx1100: at least 16

#import wgflow::constants::{BLOCK, LANES, LAYERS, STEP_SIZE}
#import wgflow::deltas::put_delta
#import wgflow::handed_back::handed_back
#import wgflow::shape::{GROUP, QUADS, ROWS}
#import wgflow::shared_product::{Matrix, chain_of, shared_rows}
#import wgflow::work::{group_of, network, stored_step, work}

// `stored` is the place among deltas, `place` that among the trajectories of the workgroup.
fn put_at(stored: u32, place: u32, sum: vec4<f32>) {
    shared_rows[place] = put_delta(stored, sum);
}

// From the deltas of layer l to those of the layer before it, which begin at `stored`.
fn through_layer(lane: u32, l: u32, stored: u32) {
    let layer = network[l];
    let unit = lane % LANES;
    let first = lane / LANES * 4u * QUADS;
    let matrix = Matrix(layer.outputs, layer.inputs, layer.backward);
    let rows = chain_of(matrix, min(unit, layer.inputs - 1u), first, 0u, layer.outputs);
    workgroupBarrier();
    if unit < layer.inputs {
        for (var q = 0u; q < QUADS; q++) {
            let at = (first + 4u * q) * layer.inputs + unit;
            put_at(stored + at, at, rows.sum[q][0]);
            put_at(stored + at + layer.inputs, at + layer.inputs, rows.sum[q][1]);
            put_at(stored + at + 2u * layer.inputs, at + 2u * layer.inputs, rows.sum[q][2]);
            put_at(stored + at + 3u * layer.inputs, at + 3u * layer.inputs, rows.sum[q][3]);
        }
    }
    workgroupBarrier();
}

@compute @workgroup_size(GROUP)
fn hardware_backward(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) launched: vec3<u32>) {
    let group = group_of(launched);
    let step = work.first_step + group.y;
    let here = stored_step(group.z, step);
    let first_row = group.x * ROWS;
    let first_trajectory = (work.block + group.z) * BLOCK + first_row;

    let last = network[LAYERS - 1u];
    let stored = here * STEP_SIZE + last.offset + first_row * last.outputs;
    for (var i = lane; i < ROWS * last.outputs; i += GROUP) {
        let trajectory = first_trajectory + i / last.outputs;
        put_at(stored + i, i, handed_back(here, trajectory, step, i % last.outputs));
    }
    workgroupBarrier();
    for (var l = LAYERS - 1u; l > 0u; l--) {
        let before = network[l - 1u];
        through_layer(lane, l, here * STEP_SIZE + before.offset + first_row * before.outputs);
    }
}
