// What a step does to the first layer where lib/walk.wgsl has it written down: to one column or two.

#define_import_path wgflow::walk_steps
#import wgflow::walk::{changes_of, walks}
#import wgflow::weights::weights
#import wgflow::work::network

// z after a step, where `z` is a quad of units before it.
fn after_step(z: vec4<f32>, unit: u32, trajectory: u32, step: u32) -> vec4<f32> {
    let change = changes_of(trajectory, step);
    return add_column(add_column(z, unit, change), unit, change + 2u);
}

fn add_column(z: vec4<f32>, unit: u32, change: u32) -> vec4<f32> {
    let amount = bitcast<f32>(walks[change + 1u]);
    return fma(vec4(amount), weights[network[0].forward + walks[change] * network[0].outputs + unit], z);
}
