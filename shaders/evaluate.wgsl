// log R of finished objects where it is the output of a network:
//
//   z_0   = z_empty + sum over the sites of amount * column,   h_0 = f(z_0)
//   log R = <head row, h_last> + bias
//
// Reads `fills`, and writes log_rewards and, for the gradient, activations and slopes (lib/signals.wgsl).
// One workgroup takes ROLLOUT_ROWS objects. Layers are those of lib/layers.wgsl.

#import wgflow::batch::value
#import wgflow::column::set_site
#import wgflow::constants::{BLOCK, LAYERS, ROLLOUT_GROUP, ROLLOUT_ROWS, SITES, STEP_SIZE, VALUES}
#import wgflow::layers::{head_output, hidden_layers}
#import wgflow::signals::keep
#import wgflow::weights::weights
#import wgflow::work::{group_of, network, stored_step, work}

@group(0) @binding(19) var<storage, read_write> log_rewards: array<f32>;

@compute @workgroup_size(ROLLOUT_GROUP)
fn evaluate(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) launched: vec3<u32>) {
    let group = group_of(launched);
    let block = group.x * ROLLOUT_ROWS / BLOCK;
    let first_row = group.x * ROLLOUT_ROWS % BLOCK;
    let first_object = (work.block + block) * BLOCK + first_row;
    let here = stored_step(block, 0u);
    let width = network[0].outputs;
    let last = network[LAYERS - 1u];

    let first_unit = here * STEP_SIZE + network[0].offset + first_row * width;
    for (var i = lane; i < ROLLOUT_ROWS * width; i += ROLLOUT_GROUP) {
        let object = first_object + i / width;
        var z = weights[network[0].bias + i % width];
        for (var site = 0u; site < SITES; site++) {
            z = set_site(z, i % width, site * VALUES + value(object, site));
        }
        keep(first_unit + i, z);
    }
    storageBarrier();
    hidden_layers(lane, here, first_row);

    let heads = here * STEP_SIZE + last.offset + first_row * last.outputs;
    for (var row = lane; row < ROLLOUT_ROWS; row += ROLLOUT_GROUP) {
        log_rewards[first_object + row] = head_output(heads + row * last.outputs, 0u);
    }
}
