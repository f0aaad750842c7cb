// Parameters of a target.

#define_import_path wgflow::parameters

@group(0) @binding(20) var<storage, read> reward_parameters: array<f32>;

fn parameter(index: u32) -> f32 {
    return reward_parameters[index];
}
