// What is kept of hidden layers for the gradient, where it is made.
//
// Where data goes through workgroup memory only z is kept (KEEPS_Z), half of what it would be otherwise. Else invocations of a
// workgroup read each other's h after a storageBarrier(), which only what is coherent is made visible by, and slopes f'(z) lie
// where deltas will be.

#define_import_path wgflow::signals
#import wgflow::activation::activate

#ifdef KEEPS_Z
@group(0) @binding(3) var<storage, read_write> activations: array<vec4<f32>>;

// h = f(z), of what is kept at `at`.
fn keep(at: u32, z: vec4<f32>) -> vec4<f32> {
    activations[at] = z;
    return activate(z).value;
}
#else
@group(0) @binding(3) @coherent var<storage, read_write> activations: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> deltas: array<vec4<f32>>;

fn keep(at: u32, z: vec4<f32>) -> vec4<f32> {
    let activated = activate(z);
    activations[at] = activated.value;
    deltas[at] = activated.slope;
    return activated.value;
}
#endif
