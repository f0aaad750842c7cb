// What a step does to the first layer where lib/walk.wgsl has it written down: to one column or two. The kernel binds
// `weights`.

// z after a step, where `z` is a quad of units before it.
fn after_step(z: vec4<f32>, unit: u32, trajectory: u32, step: u32) -> vec4<f32> {
    let place = changes_of(trajectory, step);
    return add_column(add_column(z, unit, place), unit, place + 2u);
}

fn add_column(z: vec4<f32>, unit: u32, place: u32) -> vec4<f32> {
    let amount = bitcast<f32>(walks[place + 1u]);
    return fma(vec4(amount), weights[network[0].forward + walks[place] * network[0].outputs + unit], z);
}
