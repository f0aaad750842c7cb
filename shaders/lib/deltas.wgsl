// Slopes f'(z), and the deltas that take their place, layer after layer: how a kernel reads one and writes the other, and no kernel
// does it in another way.

#define_import_path wgflow::deltas

@group(0) @binding(4) var<storage, read_write> slopes: array<vec4<f32>>;

// The deltas of a layer that has been gone back through.
fn delta_at(at: u32) -> vec4<f32> {
    return slopes[at];
}

// Writes, and returns, the deltas of units that the layers above hand `sum` back to.
fn put_delta(at: u32, sum: vec4<f32>) -> vec4<f32> {
    let delta = slopes[at] * sum;
    slopes[at] = delta;
    return delta;
}
