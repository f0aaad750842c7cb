// From the derivatives at the outputs back through the head and the last nonlinearity, for every trajectory by itself
// (what trajectories weigh in a sum comes in where gradients are added up):
//
//   delta of the last layer = f'(z) * sum over outputs of derivative * head row
//
// One invocation a quad of units, one workgroup row (y) a step, (z) a block.

#import wgflow::constants::{BLOCK, LAYERS, STEP_SIZE}
#import wgflow::deltas::put_delta
#import wgflow::handed_back::handed_back
#import wgflow::work::{invocation_of, network, stored_step, work}

@compute @workgroup_size(BLOCK)
fn head_backward(@builtin(global_invocation_id) launched: vec3<u32>) {
    let id = invocation_of(launched);
    let step = work.first_step + id.y;
    let here = stored_step(id.z, step);
    let last = network[LAYERS - 1u];
    let trajectory = (work.block + id.z) * BLOCK + id.x / last.outputs;
    let sum = handed_back(here, trajectory, step, id.x % last.outputs);
    put_delta(here * STEP_SIZE + last.offset + id.x, sum);
}
