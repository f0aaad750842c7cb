// What is there for a gradient once there are deltas, to read.

#define_import_path wgflow::backpropagated
#ifdef KEEPS_Z
#import wgflow::activation::activate
#endif
#import wgflow::work::work

@group(0) @binding(3) var<storage, read> activations: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> deltas: array<vec4<f32>>;

// h of hidden layers. Kernels that read it many times over have it made beforehand (activate_signals.wgsl), and read `activations` themselves.
fn signal(at: u32) -> vec4<f32> {
#ifdef KEEPS_Z
    if work.activated == 0u {
        return activate(activations[at]).value;
    }
#endif
    return activations[at];
}
