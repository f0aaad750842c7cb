// Activations and slopes f'(z) of hidden layers, where they are made.
//
// Invocations of a workgroup read each other's activations after a storageBarrier(), which only what is coherent is made visible
// by.

#define_import_path wgflow::signals

@group(0) @binding(3) @coherent var<storage, read_write> activations: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> slopes: array<vec4<f32>>;
