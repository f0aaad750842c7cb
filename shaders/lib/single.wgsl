// The head of a network over finished objects: one output, which is what is differentiated. Functions as in
// lib/choice.wgsl.

#define_import_path wgflow::single

fn first_output(trajectory: u32, step: u32) -> u32 {
    return 0u;
}

fn uses(trajectory: u32, output: u32) -> vec2<u32> {
    return vec2(0u, 1u);
}

fn derivative(here: u32, trajectory: u32, step: u32, value: u32) -> f32 {
    return 1.0;
}
