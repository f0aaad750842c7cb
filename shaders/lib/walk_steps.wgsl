// What a step does to the first layer where lib/walk.wgsl has it written down: to one column or two.

#define_import_path wgflow::walk_steps
#import wgflow::weights::weights
#import wgflow::work::network
#ifdef SHARED
#import wgflow::shape::ROWS
#import wgflow::shared_walk::changed
#else
#import wgflow::walk::{changes_of, walks}
#endif

// z after a step (where it is SHARED, the one just taken), where `z` is a quad of units before it.
fn after_step(z: vec4<f32>, unit: u32, trajectory: u32, step: u32) -> vec4<f32> {
#ifdef SHARED
    let change = changed[trajectory % ROWS];
#else
    let at = changes_of(trajectory, step);
    let change = vec4(walks[at], walks[at + 1u], walks[at + 2u], walks[at + 3u]);
#endif
    return add_column(add_column(z, unit, change.xy), unit, change.zw);
}

fn add_column(z: vec4<f32>, unit: u32, change: vec2<u32>) -> vec4<f32> {
    let amount = bitcast<f32>(change.y);
    return fma(vec4(amount), weights[network[0].forward + change.x * network[0].outputs + unit], z);
}
