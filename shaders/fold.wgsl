// Adds the slices of a part of a gradient (lib/part.wgsl) to the total, one after the other, for each of some lists of gradients:
//
//   gradient[list][PART + i] <- ((gradient[list][PART + i] + partials[0][list][i]) + partials[1][list][i]) + ..
//
// One invocation a quad.

#import wgflow::constants::{BLOCK, GRADIENT}
#import wgflow::part::{PART, PART_SIZE}
#import wgflow::work::{invocation_of, work}

@group(0) @binding(12) var<storage, read_write> gradient: array<vec4<f32>>;
@group(0) @binding(13) var<storage, read> partials: array<vec4<f32>>;

@compute @workgroup_size(BLOCK)
fn fold(@builtin(global_invocation_id) launched: vec3<u32>) {
    let id = invocation_of(launched);
    let size = work.lists * PART_SIZE;
    if id.x < size {
        let at = id.x / PART_SIZE * GRADIENT + PART + id.x % PART_SIZE;
        var sum = gradient[at];
        for (var slice = 0u; slice < work.slices; slice++) {
            sum += partials[slice * size + id.x];
        }
        gradient[at] = sum;
    }
}
