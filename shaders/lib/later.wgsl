// The kernel binds `slopes`, where those of the first layer hold sums over later states (first_backward.wgsl).

// The sum of deltas from a state on; there is none after the last.
fn later(block: u32, state: u32, place: u32) -> vec4<f32> {
    if state >= STATES {
        return vec4<f32>();
    }
    return slopes[slot(block, state) * STEP_SIZE + network[0].place + place];
}
