// What a step does to the first layer where sites are filled: what its action says. The kernel binds `weights` and `actions`.
// lib/walk_steps.wgsl declares the same function for all other processes.

// z after a step, where `z` is a quad of units before it.
fn after_step(z: vec4<f32>, unit: u32, trajectory: u32, step: u32) -> vec4<f32> {
    return set_site(z, unit, actions[trajectory * MAX_STEPS + step]);
}
