// A step's choice among all actions that its state allows (lib/walk.wgsl), with functions as in lib/site_choose.wgsl; and what else
// the policy says of the state: how it came about, which is P_B of the step before, and its flow.

#define_import_path wgflow::masked_choose
#import wgflow::behaviour::{drawn_weight, scale_of}
#import wgflow::constants::{ACTIONS, BACKWARD_ACTIONS, MASK_WORDS, MAX_STEPS, NO_ACTION, OUTPUTS, STEP_LISTS, STOP}
#import wgflow::elementary::{exponential, logarithm}
#import wgflow::philox::{philox, uniform_of}
#import wgflow::process::{take_action, take_none}
#import wgflow::steps_taken::{actions, log_probs, output_at, set_output}
#import wgflow::walk::{is_allowed, mask_of, walks}
#import wgflow::work::work
#ifdef LEARNED_BACKWARD
#import wgflow::rules::process_backward_of
#endif

// As good as minus infinity.
const FORBIDDEN = -1e30;

fn output_of(trajectory: u32, step: u32, i: u32) -> u32 {
    return i;
}

// The logit at output_at(first + action), or what stands for one that is not allowed.
fn logit(first: u32, mask: u32, action: u32) -> f32 {
    return select(FORBIDDEN, output_at(first + action), is_allowed(mask, action));
}

// What an action weighs in a draw; nothing if it is not allowed.
fn weight_of(first: u32, mask: u32, most: f32, scale: f32, action: u32) -> f32 {
    return select(0.0, drawn_weight(output_at(first + action) - most, scale), is_allowed(mask, action));
}

// The sum of weights up to which a uniform number goes, gone through: the action that it falls on, or the last one with a weight.
fn draw(first: u32, mask: u32, most: f32, scale: f32, threshold: f32) -> u32 {
    var taken = NO_ACTION;
    var cumulative = 0.0;
    for (var action = 0u; action < ACTIONS; action++) {
        let weight = weight_of(first, mask, most, scale, action);
        if weight > 0.0 {
            taken = action;
            cumulative += weight;
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
    let told = trajectory * STEP_LISTS * MAX_STEPS + step;
    var ended = true;
    for (var word = 0u; word < MASK_WORDS; word++) {
        ended = ended && walks[mask + word] == 0u;
    }
    if ended {
        for (var output = 0u; output < OUTPUTS; output++) {
            set_output(first + output, 0.0);
        }
        for (var list = 0u; list < STEP_LISTS; list += 2u) {
            log_probs[told + list * MAX_STEPS] = 0.0;
        }
#ifdef LEARNED_BACKWARD
        note_backward(trajectory, step, 0.0);
#endif
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
            total += exponential(vec4(output_at(first + action) - most)).x;
        }
    }
    var taken = actions[index];
    if step >= work.sampled_from {
        let counter = vec4(work.iteration, work.first_trajectory + trajectory, step, work.stream);
        let words = philox(counter, work.key);
        let scale = scale_of(words.z);
        var drawn_total = total;
        if scale != 1.0 {
            drawn_total = 0.0;
            for (var action = 0u; action < ACTIONS; action++) {
                drawn_total += weight_of(first, mask, most, scale, action);
            }
        }
        taken = draw(first, mask, most, scale, uniform_of(words.y) * drawn_total);
        actions[index] = taken;
    }
    log_probs[told] = output_at(first + taken) - most - logarithm(total);
#ifdef STOP_FLOW
    log_probs[told + 2u * MAX_STEPS] = output_at(first + STOP) - most - logarithm(total);
#endif
    for (var action = 0u; action < ACTIONS; action++) {
        let share = exponential(vec4(output_at(first + action) - most)).x / total;
        set_output(first + action, select(0.0, share, is_allowed(mask, action)));
    }
#ifdef LEARNED_BACKWARD
    say_backward(first, trajectory, step);
#endif
#ifdef FLOW
    log_probs[told + 2u * MAX_STEPS] = output_at(first + ACTIONS + BACKWARD_ACTIONS);
#endif
    if step >= work.sampled_from {
        take_action(trajectory, step, taken);
    }
}

#ifdef LEARNED_BACKWARD
// log P_B of the step before, which the state after it knows: 0 where there is one way back. That of the last step there can be
// stays 0.
fn note_backward(trajectory: u32, step: u32, log_backward: f32) {
    if step > 0u {
        log_probs[(trajectory * STEP_LISTS + 1u) * MAX_STEPS + step - 1u] = log_backward;
    }
}

// P_B of the step before, where that is scored and one of several that can have led here.
fn say_backward(first: u32, trajectory: u32, step: u32) {
    let logits = first + ACTIONS;
    let mask = mask_of(trajectory, step);
    var taken = NO_ACTION;
    if step > work.scored_from {
        taken = process_backward_of(actions[trajectory * MAX_STEPS + step - 1u]);
    }
    if taken == NO_ACTION {
        note_backward(trajectory, step, 0.0);
        for (var backward = 0u; backward < BACKWARD_ACTIONS; backward++) {
            set_output(logits + backward, 0.0);
        }
        return;
    }
    var most = FORBIDDEN;
    for (var backward = 0u; backward < BACKWARD_ACTIONS; backward++) {
        most = max(most, select(FORBIDDEN, output_at(logits + backward), is_allowed(mask, ACTIONS + backward)));
    }
    var total = 0.0;
    for (var backward = 0u; backward < BACKWARD_ACTIONS; backward++) {
        if is_allowed(mask, ACTIONS + backward) {
            total += exponential(vec4(output_at(logits + backward) - most)).x;
        }
    }
    note_backward(trajectory, step, output_at(logits + taken) - most - logarithm(total));
    for (var backward = 0u; backward < BACKWARD_ACTIONS; backward++) {
        let share = exponential(vec4(output_at(logits + backward) - most)).x / total;
        set_output(logits + backward, select(0.0, share, is_allowed(mask, ACTIONS + backward)));
    }
}
#endif
