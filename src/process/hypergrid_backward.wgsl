
// Where the policy says P_B: a coordinate above 0 can have been raised last.

fn process_allows_backward(trajectory: u32, backward: u32) -> bool {
    return process_state(trajectory, backward) > 0u;
}

fn process_backward_of(action: u32) -> u32 {
    return select(action, NO_ACTION, action == SITES);
}
