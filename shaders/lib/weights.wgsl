// A network's weights as kernels read them (spread.wgsl), and what is the process's own among them.

#define_import_path wgflow::weights
#import wgflow::constants::{CHANGES, INITIAL}

@group(0) @binding(2) var<storage, read> weights: array<vec4<f32>>;

// What setting a site to a value adds to an input.
fn change_of(value: u32) -> f32 {
    return weights[CHANGES + value / 4u][value % 4u];
}

// An input before the first action.
fn initial_input(column: u32) -> f32 {
    return weights[INITIAL + column / 4u][column % 4u];
}
