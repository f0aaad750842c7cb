// What is there for a gradient once deltas have taken the place of slopes, to read.

#define_import_path wgflow::backpropagated

@group(0) @binding(3) var<storage, read> activations: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> slopes: array<vec4<f32>>;
