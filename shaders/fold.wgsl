// Adds the slices of the weight gradient to the total, one after the other:
//
//   gradient[DENSE + i] <- ((gradient[DENSE + i] + partials[0][i]) + partials[1][i]) + ..
//
// One invocation a quad.

@group(0) @binding(2) var<storage, read> partials: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> gradient: array<vec4<f32>>;

@compute @workgroup_size(BLOCK)
fn fold(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x < DENSE_SIZE {
        var sum = gradient[DENSE + id.x];
        for (var slice = 0u; slice < work.slices; slice++) {
            sum += partials[slice * DENSE_SIZE + id.x];
        }
        gradient[DENSE + id.x] = sum;
    }
}
