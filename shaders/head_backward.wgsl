// From the derivatives at the outputs back through the head and the last nonlinearity, for every trajectory by itself
// (what trajectories weigh in a sum comes in where gradients are added up):
//
//   slopes of the last layer  <-  f'(z) * sum over outputs of derivative * head row
//
// Outputs and their derivatives are those of lib/choice.wgsl or lib/single.wgsl.
// One invocation a quad of units, one workgroup row (y) a step, (z) a block.

#import wgflow::constants::{BLOCK, HEAD, LAYERS, OUTPUTS, STEP_SIZE}
#import wgflow::deltas::put_delta
#import wgflow::weights::weights
#import wgflow::work::{invocation_of, network, stored_step, work}
#ifdef OBJECTS
#import wgflow::single::{derivative, first_output}
#else
#ifdef WALK
#import wgflow::masked_choice::{derivative, first_output}
#else
#import wgflow::choice::{derivative, first_output}
#endif
#endif

@compute @workgroup_size(BLOCK)
fn head_backward(@builtin(global_invocation_id) launched: vec3<u32>) {
    let id = invocation_of(launched);
    let step = work.first_step + id.y;
    let here = stored_step(id.z, step);
    let last = network[LAYERS - 1u];
    let row = id.x / last.outputs;
    let unit = id.x % last.outputs;
    let trajectory = (work.block + id.z) * BLOCK + row;
    let first = first_output(trajectory, step);
    var sum = vec4<f32>();
    for (var value = 0u; value < OUTPUTS; value++) {
        let delta = derivative(here, trajectory, step, value);
        sum = fma(vec4(delta), weights[HEAD + (first + value) * last.outputs + unit], sum);
    }
    put_delta(here * STEP_SIZE + last.offset + id.x, sum);
}
