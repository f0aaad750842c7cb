// Activations and slopes f'(z) of hidden layers, where they are made.
//
// Invocations of a workgroup read each other's activations after a storageBarrier(), which only what is coherent is made visible
// by; or in workgroup memory (SHARED).

#define_import_path wgflow::signals

#ifdef SHARED
@group(0) @binding(3) var<storage, read_write> activations: array<vec4<f32>>;
#else
@group(0) @binding(3) @coherent var<storage, read_write> activations: array<vec4<f32>>;
#endif
@group(0) @binding(4) var<storage, read_write> slopes: array<vec4<f32>>;
