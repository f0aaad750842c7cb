// The head `site` of a policy: a state uses the VALUES rows of the site that its step fills.
//
//   d log p / d logit of a value = step weight * (1[value taken] - p[value])      lib/whole.wgsl, lib/stepwise.wgsl
//
// lib/masked_choice.wgsl declares the same functions for policies whose states use all outputs, lib/single.wgsl for a network with
// one output.

#define_import_path wgflow::choice
#import wgflow::batch::{action_of, fill_of, probabilities}
#import wgflow::constants::{BLOCK, VALUES}
#ifdef STEPWISE
#import wgflow::stepwise::step_weight
#else
#import wgflow::whole::step_weight
#endif

// The first of the OUTPUTS outputs that the state before a step uses.
fn first_output(trajectory: u32, step: u32) -> u32 {
    return action_of(trajectory, step) / VALUES * VALUES;
}

// The steps whose states use an output: from the first to before the second.
fn uses(trajectory: u32, output: u32) -> vec2<u32> {
    let step = fill_of(trajectory, output / VALUES) >> 8u;
    return vec2(step, step + 1u);
}

// The derivative at the `value`-th output that the state of the stored step `here`, that before `step`, uses.
fn derivative(here: u32, trajectory: u32, step: u32, value: u32) -> f32 {
    let taken = action_of(trajectory, step) % VALUES;
    let hit = select(0.0, 1.0, value == taken);
    let error = hit - probabilities[(here * BLOCK + trajectory % BLOCK) * VALUES + value];
    return step_weight(trajectory, 0u, step) * error;
}
