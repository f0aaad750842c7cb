// Slopes, which the deltas take the place of, layer after layer.

#define_import_path wgflow::deltas

@group(0) @binding(4) var<storage, read_write> slopes: array<vec4<f32>>;
