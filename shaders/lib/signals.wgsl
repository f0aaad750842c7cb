// Activations and slopes f'(z) of hidden layers, where they are made.

#define_import_path wgflow::signals

@group(0) @binding(3) var<storage, read_write> activations: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> slopes: array<vec4<f32>>;
