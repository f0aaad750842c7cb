// log R of finished objects where it is the output of a network, as evaluate.wgsl, through workgroup memory:
//
//   z_0   = z_empty + sum over the sites of amount * column,   h_0 = f(z_0)
//   log R = <head row, h_last> + bias
//
// Reads `fills`, and writes log_rewards and, for the gradient, z as activations.
// One workgroup takes ROWS objects. Layers are those of lib/shared_layers.wgsl.

#import wgflow::batch::value
#import wgflow::column::set_site
#import wgflow::constants::{BLOCK, HEAD_LANES, SITES, STEP_SIZE, VALUES}
#import wgflow::shape::{GROUP, ROWS}
#import wgflow::shared_layers::{activate_at, head_output, head_part, head_sums, hidden_layers}
#import wgflow::weights::weights
#import wgflow::work::{group_of, network, stored_step, work}

@group(0) @binding(19) var<storage, read_write> log_rewards: array<f32>;

@compute @workgroup_size(GROUP)
fn hardware_evaluate(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) launched: vec3<u32>) {
    let group = group_of(launched);
    let block = group.x * ROWS / BLOCK;
    let first_row = group.x * ROWS % BLOCK;
    let first_object = (work.block + block) * BLOCK + first_row;
    let here = stored_step(block, 0u);
    let width = network[0].outputs;

    let first_unit = here * STEP_SIZE + network[0].offset + first_row * width;
    for (var i = lane; i < ROWS * width; i += GROUP) {
        let object = first_object + i / width;
        var z = weights[network[0].bias + i % width];
        for (var site = 0u; site < SITES; site++) {
            z = set_site(z, i % width, site * VALUES + value(object, site));
        }
        activate_at(first_unit + i, i, z);
    }
    hidden_layers(lane, here, first_row);

    for (var first = 0u; first < ROWS; first += GROUP / HEAD_LANES) {
        let row = first + lane / HEAD_LANES;
        if row < ROWS {
            head_sums[lane] = head_part(row, 0u, lane % HEAD_LANES);
        }
        workgroupBarrier();
        if lane < GROUP / HEAD_LANES && first + lane < ROWS {
            log_rewards[first_object + first + lane] = head_output(lane, 0u);
        }
        workgroupBarrier();
    }
}
