// log R of finished objects, by a function of the target:  fn log_reward(trajectory: u32) -> f32
//
// The target's source follows this one. It may call `value` and `parameter`.
// One invocation a trajectory, one workgroup a block.

@group(0) @binding(2) var<storage, read> fills: array<u32>;
@group(0) @binding(3) var<storage, read> reward_parameters: array<f32>;
@group(0) @binding(4) var<storage, read_write> log_rewards: array<f32>;

// The value of a site, below VALUES.
fn value(trajectory: u32, site: u32) -> u32 {
    return fills[trajectory * SITES + site] & 255u;
}

// A parameter of the target.
fn parameter(index: u32) -> f32 {
    return reward_parameters[index];
}

@compute @workgroup_size(BLOCK)
fn reward(@builtin(global_invocation_id) launched: vec3<u32>) {
    let id = invocation_of(launched);
    let trajectory = work.block * BLOCK + id.x;
    log_rewards[trajectory] = log_reward(trajectory);
}
