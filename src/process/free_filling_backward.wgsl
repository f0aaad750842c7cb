
// Where the policy says P_B: any site that is set can have been set last.

fn process_allows_backward(trajectory: u32, backward: u32) -> bool {
    return process_state(trajectory, backward) > 0u;
}

fn process_backward_of(action: u32) -> u32 {
    return select(action / VALUES, NO_ACTION, action == SITES * VALUES);
}
