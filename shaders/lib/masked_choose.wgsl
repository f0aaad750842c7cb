// A step's choice among all actions that its state allows (lib/walk.wgsl), with functions as in lib/site_choose.wgsl.

#define_import_path wgflow::masked_choose
#import wgflow::constants::{ACTIONS, MASK_WORDS, MAX_STEPS}
#import wgflow::elementary::{exponential, logarithm}
#import wgflow::philox::{philox, uniform_of}
#import wgflow::process::{take_action, take_none}
#import wgflow::steps_taken::{actions, log_probs, probabilities}
#import wgflow::walk::{is_allowed, mask_of, walks}
#import wgflow::work::work

// In place of an action after the end of a trajectory.
const NO_ACTION = 0xffffffffu;

// As good as minus infinity.
const FORBIDDEN = -1e30;

fn output_of(trajectory: u32, step: u32, i: u32) -> u32 {
    return i;
}

// The logit at probabilities[first + action], or what stands for one that is not allowed.
fn logit(first: u32, mask: u32, action: u32) -> f32 {
    return select(FORBIDDEN, probabilities[first + action], is_allowed(mask, action));
}

// The sum of exponentials up to which a word of random numbers goes, gone through: the action that it falls on, or the last
// one that is allowed.
fn draw(first: u32, mask: u32, most: f32, threshold: f32) -> u32 {
    var taken = NO_ACTION;
    var cumulative = 0.0;
    for (var action = 0u; action < ACTIONS; action++) {
        if is_allowed(mask, action) {
            taken = action;
            cumulative += exponential(vec4(probabilities[first + action] - most)).x;
            if cumulative > threshold {
                break;
            }
        }
    }
    return taken;
}

fn choose(first: u32, trajectory: u32, step: u32) {
    let mask = mask_of(trajectory, step);
    let index = trajectory * MAX_STEPS + step;
    var ended = true;
    for (var word = 0u; word < MASK_WORDS; word++) {
        ended = ended && walks[mask + word] == 0u;
    }
    if ended {
        for (var action = 0u; action < ACTIONS; action++) {
            probabilities[first + action] = 0.0;
        }
        log_probs[index] = 0.0;
        if step >= work.sampled_from {
            actions[index] = NO_ACTION;
            take_none(trajectory, step);
        }
        return;
    }
    var most = FORBIDDEN;
    for (var action = 0u; action < ACTIONS; action++) {
        most = max(most, logit(first, mask, action));
    }
    var total = 0.0;
    for (var action = 0u; action < ACTIONS; action++) {
        if is_allowed(mask, action) {
            total += exponential(vec4(probabilities[first + action] - most)).x;
        }
    }
    var taken = actions[index];
    if step >= work.sampled_from {
        let counter = vec4(work.iteration, work.first_trajectory + trajectory, step, work.stream);
        taken = draw(first, mask, most, uniform_of(philox(counter, work.key).y) * total);
        actions[index] = taken;
    }
    log_probs[index] = probabilities[first + taken] - most - logarithm(total);
    for (var action = 0u; action < ACTIONS; action++) {
        let share = exponential(vec4(probabilities[first + action] - most)).x / total;
        probabilities[first + action] = select(0.0, share, is_allowed(mask, action));
    }
    if step >= work.sampled_from {
        take_action(trajectory, step, taken);
    }
}
