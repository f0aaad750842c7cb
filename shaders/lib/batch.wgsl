// What a rollout has left of a batch, to read.

#define_import_path wgflow::batch
#import wgflow::constants::{MAX_STEPS, SITES, VALUES}

@group(0) @binding(5) var<storage, read> actions: array<u32>;
@group(0) @binding(6) var<storage, read> fills: array<u32>;
@group(0) @binding(8) var<storage, read> probabilities: array<f32>;

fn action_of(trajectory: u32, step: u32) -> u32 {
    return actions[trajectory * MAX_STEPS + step];
}

fn fill_of(trajectory: u32, site: u32) -> u32 {
    return fills[trajectory * SITES + site];
}

// The value of a site of a finished object, below VALUES.
fn value(trajectory: u32, site: u32) -> u32 {
    return fill_of(trajectory, site) & 255u;
}
