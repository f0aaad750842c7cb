// Deltas where they are made, layer after layer: they take the place of slopes, or slopes are those of the z that is kept (KEEPS_Z).

#define_import_path wgflow::deltas
#ifdef KEEPS_Z
#import wgflow::activation::activate
#endif

#ifdef KEEPS_Z
@group(0) @binding(3) var<storage, read> activations: array<vec4<f32>>;
#endif
@group(0) @binding(4) var<storage, read_write> slopes: array<vec4<f32>>;

// delta = f'(z) * sum, where `sum` is what the layer above hands back.
fn put_delta(at: u32, sum: vec4<f32>) {
#ifdef KEEPS_Z
    slopes[at] = activate(activations[at]).slope * sum;
#else
    slopes[at] *= sum;
#endif
}
