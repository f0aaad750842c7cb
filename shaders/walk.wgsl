// Where trajectories stand before the first step that is sampled: state, what was allowed and what was changed so far (see
// lib/walk.wgsl), for a process that is not site filling. The actions of the steps before are given.
//
// One invocation a trajectory, one workgroup a block.

#import wgflow::batch::action_of
#import wgflow::constants::{ACTIONS, BLOCK, STATE_WORDS}
#import wgflow::process::{note_allowed, take_action, take_none}
#import wgflow::walk::set_process_state
#import wgflow::work::{invocation_of, work}

@compute @workgroup_size(BLOCK)
fn walk(@builtin(global_invocation_id) launched: vec3<u32>) {
    let id = invocation_of(launched);
    let trajectory = work.block * BLOCK + id.x;
    for (var word = 0u; word < STATE_WORDS; word++) {
        set_process_state(trajectory, word, 0u);
    }
    note_allowed(trajectory, 0u, false);
    for (var step = 0u; step < work.sampled_from; step++) {
        let action = action_of(trajectory, step);
        if action < ACTIONS {
            take_action(trajectory, step, action);
        } else {
            take_none(trajectory, step);
        }
    }
}
