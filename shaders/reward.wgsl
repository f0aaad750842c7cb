// log R of finished objects, by a function of the target (wgflow::target):  fn log_reward(trajectory: u32) -> f32
//
// It may call `value` (lib/batch.wgsl) and `parameter` (lib/parameters.wgsl).
// One invocation a trajectory, one workgroup a block.

#import wgflow::constants::BLOCK
#import wgflow::target::log_reward
#import wgflow::work::{invocation_of, work}

@group(0) @binding(19) var<storage, read_write> log_rewards: array<f32>;

@compute @workgroup_size(BLOCK)
fn reward(@builtin(global_invocation_id) launched: vec3<u32>) {
    let id = invocation_of(launched);
    let trajectory = work.block * BLOCK + id.x;
    log_rewards[trajectory] = log_reward(trajectory);
}
