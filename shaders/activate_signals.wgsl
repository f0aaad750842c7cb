// From the z that is kept of hidden layers to h, in its place:
//
//   activations  <-  f(activations)
//
// for kernels that read h many times over. One invocation a quad, (x) of a step of a block, (y) a state, (z) a block.

#import wgflow::activation::activate
#import wgflow::constants::{BLOCK, STEP_SIZE}
#import wgflow::work::{invocation_of, stored_step, work}

@group(0) @binding(3) var<storage, read_write> activations: array<vec4<f32>>;

@compute @workgroup_size(BLOCK)
fn activate_signals(@builtin(global_invocation_id) launched: vec3<u32>) {
    let id = invocation_of(launched);
    if id.x < STEP_SIZE {
        let at = stored_step(id.z, work.first_step + id.y) * STEP_SIZE + id.x;
        activations[at] = activate(activations[at]).value;
    }
}
