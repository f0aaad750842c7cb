// Where trajectories stand before the first step that is sampled: state, what was allowed and what was changed so far (see
// lib/walk.wgsl), for a process that is not site filling. The actions of the steps before are given.
//
// One invocation a trajectory, one workgroup a block.

@group(0) @binding(2) var<storage, read> actions: array<u32>;

@compute @workgroup_size(BLOCK)
fn walk(@builtin(global_invocation_id) launched: vec3<u32>) {
    let id = invocation_of(launched);
    let trajectory = work.block * BLOCK + id.x;
    for (var word = 0u; word < STATE_WORDS; word++) {
        set_process_state(trajectory, word, 0u);
    }
    note_allowed(trajectory, 0u, false);
    for (var step = 0u; step < work.sampled_from; step++) {
        let action = actions[trajectory * MAX_STEPS + step];
        if action < ACTIONS {
            take_action(trajectory, step, action);
        } else {
            take_none(trajectory, step);
        }
    }
}
