// Adds the slices of the hidden layers' gradient to the total, one after the other, for each of some lists of gradients:
//
//   gradient[list][DENSE + i] <- ((gradient[list][DENSE + i] + partials[0][list][i]) + partials[1][list][i]) + ..
//
// One invocation a quad.

#import wgflow::constants::{BLOCK, DENSE, DENSE_SIZE, GRADIENT}
#import wgflow::work::{invocation_of, work}

@group(0) @binding(12) var<storage, read_write> gradient: array<vec4<f32>>;
@group(0) @binding(13) var<storage, read> partials: array<vec4<f32>>;

@compute @workgroup_size(BLOCK)
fn fold(@builtin(global_invocation_id) launched: vec3<u32>) {
    let id = invocation_of(launched);
    let size = work.lists * DENSE_SIZE;
    if id.x < size {
        let at = id.x / DENSE_SIZE * GRADIENT + DENSE + id.x % DENSE_SIZE;
        var sum = gradient[at];
        for (var slice = 0u; slice < work.slices; slice++) {
            sum += partials[slice * size + id.x];
        }
        gradient[at] = sum;
    }
}
