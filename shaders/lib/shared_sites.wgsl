// What the invocations of a workgroup are told of each other's choices where sites are filled: the action of the step before and the
// outputs of the next, in workgroup memory. lib/shared_walk.wgsl declares the same functions for all other processes.
//
// A trajectory's own invocation alone reads and writes its `actions`.

#define_import_path wgflow::shared_sites
#import wgflow::constants::{MAX_STEPS, VALUES}
#import wgflow::shape::ROWS
#import wgflow::steps_taken::actions
#ifdef GUIDED
#import wgflow::filled::{clear_filled, note_filled}
#endif

var<workgroup> taken_actions: array<u32, ROWS>;
var<workgroup> first_outputs: array<u32, ROWS>;

// Before the first step that a workgroup takes.
fn enter(trajectory: u32, step: u32) {
    first_outputs[trajectory % ROWS] = actions[trajectory * MAX_STEPS + step] / VALUES * VALUES;
#ifdef GUIDED
    clear_filled(trajectory);
    for (var before = 0u; before < step; before++) {
        note_filled(trajectory, actions[trajectory * MAX_STEPS + before]);
    }
#endif
}

// After a step.
fn pass_on(trajectory: u32, step: u32) {
    let action = actions[trajectory * MAX_STEPS + step];
    taken_actions[trajectory % ROWS] = action;
#ifdef GUIDED
    note_filled(trajectory, action);
#endif
    if step + 1u < MAX_STEPS {
        first_outputs[trajectory % ROWS] = actions[trajectory * MAX_STEPS + step + 1u] / VALUES * VALUES;
    }
}
