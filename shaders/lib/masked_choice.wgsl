// The head `masked` of a policy: a state uses all outputs. Of logits some are not allowed and have the probability 0.
//
//   d log p   / d logit of an action           = c * (1[action taken] - p[action])
//   d log p_B / d logit of a backward action   = b * (1[it takes the step before back] - p_B[it])
//   d log F   / d log F                        = f
//   d log p[stop] / d logit of an action       = f * (1[it stops] - p[action])      where that is what is said of flows
//
// c, b and f are step weights (lib/whole.wgsl, lib/stepwise.wgsl). After the end of a trajectory no action is taken and all
// probabilities are 0. Functions as in lib/choice.wgsl.

#define_import_path wgflow::masked_choice
#import wgflow::batch::{action_of, probabilities}
#import wgflow::constants::{ACTIONS, BACKWARD_ACTIONS, BLOCK, MAX_STEPS, NO_ACTION, OUTPUTS, STOP}
#import wgflow::work::work
#ifdef STEPWISE
#import wgflow::stepwise::step_weight
#else
#import wgflow::whole::step_weight
#endif
#ifdef LEARNED_BACKWARD
#import wgflow::rules::process_backward_of
#endif

fn first_output(trajectory: u32, step: u32) -> u32 {
    return 0u;
}

fn uses(trajectory: u32, output: u32) -> vec2<u32> {
    return vec2(0u, MAX_STEPS);
}

fn derivative(here: u32, trajectory: u32, step: u32, value: u32) -> f32 {
    let taken = action_of(trajectory, step);
    let p = probabilities[(here * BLOCK + trajectory % BLOCK) * OUTPUTS + value];
#ifdef LEARNED_BACKWARD
    if value >= ACTIONS && value < ACTIONS + BACKWARD_ACTIONS {
        if step <= work.scored_from {
            return 0.0;
        }
        let before = action_of(trajectory, step - 1u);
        if before == NO_ACTION {
            return 0.0;
        }
        let hit = select(0.0, 1.0, value - ACTIONS == process_backward_of(before));
        return step_weight(trajectory, 1u, step - 1u) * (hit - p);
    }
#endif
#ifdef FLOW
    if value == ACTIONS + BACKWARD_ACTIONS {
        return select(step_weight(trajectory, 2u, step), 0.0, taken == NO_ACTION);
    }
#endif
    let hit = select(0.0, 1.0, value == taken);
    var error = step_weight(trajectory, 0u, step) * (hit - p);
#ifdef STOP_FLOW
    let stops = select(0.0, 1.0, value == STOP);
    error += select(step_weight(trajectory, 2u, step), 0.0, taken == NO_ACTION) * (stops - p);
#endif
    return error;
}
