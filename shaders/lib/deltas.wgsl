// Deltas, layer after layer: they take the place of slopes f'(z), or slopes are made of the z that is kept (KEEPS_Z). How a kernel reads
// one and writes the other, and no kernel does it in another way.

#define_import_path wgflow::deltas
#ifdef KEEPS_Z
#import wgflow::activation::activate
#endif

#ifdef KEEPS_Z
@group(0) @binding(3) var<storage, read> activations: array<vec4<f32>>;
#endif
@group(0) @binding(4) var<storage, read_write> deltas: array<vec4<f32>>;

// The deltas of a layer that has been gone back through.
fn delta_at(at: u32) -> vec4<f32> {
    return deltas[at];
}

// Writes, and returns, the deltas of units that the layers above hand `sum` back to.
fn put_delta(at: u32, sum: vec4<f32>) -> vec4<f32> {
#ifdef KEEPS_Z
    let delta = activate(activations[at]).slope * sum;
#else
    let delta = deltas[at] * sum;
#endif
    deltas[at] = delta;
    return delta;
}
