// Sums of the first layer's deltas over later states (first_backward.wgsl), which `deltas` hold.

#define_import_path wgflow::later
#import wgflow::backpropagated::deltas
#import wgflow::constants::{STATES, STEP_SIZE}
#import wgflow::work::{network, stored_step}

// The sum of deltas from a state on, of a quad of units of a trajectory; there is none after the last.
fn later(block: u32, state: u32, unit: u32) -> vec4<f32> {
    if state >= STATES {
        return vec4<f32>();
    }
    return deltas[stored_step(block, state) * STEP_SIZE + network[0].offset + unit];
}
