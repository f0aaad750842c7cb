// The head `masked` of a policy: a state uses all outputs, of which some are not allowed and have the probability 0.
//
//   d log p / d logit of an action = step weight * (1[action taken] - p[action])      lib/whole.wgsl, lib/stepwise.wgsl
//
// After the end of a trajectory no action is taken and all probabilities are 0. Functions as in lib/choice.wgsl.

#define_import_path wgflow::masked_choice
#import wgflow::batch::{action_of, probabilities}
#import wgflow::constants::{BLOCK, MAX_STEPS, OUTPUTS}
#ifdef STEPWISE
#import wgflow::stepwise::step_weight
#else
#import wgflow::whole::step_weight
#endif

fn first_output(trajectory: u32, step: u32) -> u32 {
    return 0u;
}

fn uses(trajectory: u32, output: u32) -> vec2<u32> {
    return vec2(0u, MAX_STEPS);
}

fn derivative(here: u32, trajectory: u32, step: u32, value: u32) -> f32 {
    let hit = select(0.0, 1.0, value == action_of(trajectory, step));
    let error = hit - probabilities[(here * BLOCK + trajectory % BLOCK) * OUTPUTS + value];
    return step_weight(trajectory, step) * error;
}
