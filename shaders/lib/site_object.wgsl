// The object of a trajectory that fills sites, and the step that filled each:
//
//   fills[trajectory][site of the action at step t] = 256 t + value
//
// The kernel binds `actions` and `fills`. lib/walk_object.wgsl declares the same function for all other processes.

fn note_object(trajectory: u32) {
    for (var step = 0u; step < MAX_STEPS; step++) {
        let action = actions[trajectory * MAX_STEPS + step];
        fills[trajectory * SITES + action / VALUES] = step * 256u + action % VALUES;
    }
}
