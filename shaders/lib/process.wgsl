// What is written down of a process that is not site filling as it goes along. Its rules are its own source
// (wgflow::rules; see ProcessKernel in src/process/mod.rs):
//
//   fn process_allows(trajectory: u32, action: u32) -> bool
//   fn process_advance(trajectory: u32, action: u32) -> Advance
//   fn process_value(trajectory: u32, site: u32) -> u32
//   fn process_allows_backward(trajectory: u32, backward: u32) -> bool     where the policy says P_B
//   fn process_backward_of(action: u32) -> u32
//
// They may call `process_state` and `set_process_state` (lib/walk.wgsl).

#define_import_path wgflow::process
#import wgflow::constants::{ACTIONS, BACKWARD_ACTIONS, MASK_WORDS, MAX_STEPS}
#import wgflow::rules::{process_advance, process_allows}
#ifdef LEARNED_BACKWARD
#import wgflow::rules::process_allows_backward
#endif
#import wgflow::walk::{Advance, changes_of, mask_of, walks}

// Bit `index` of the mask of a state: whether it allows the action, or, of those above, the backward action.
fn allows(trajectory: u32, index: u32) -> bool {
#ifdef LEARNED_BACKWARD
    if index >= ACTIONS {
        return process_allows_backward(trajectory, index - ACTIONS);
    }
#endif
    return process_allows(trajectory, index);
}

// Writes down what is allowed at a step: what the process's state allows, or nothing after the end.
fn note_allowed(trajectory: u32, step: u32, ended: bool) {
    let mask = mask_of(trajectory, step);
    for (var word = 0u; word < MASK_WORDS; word++) {
        var bits = 0u;
        if !ended {
            for (var index = 32u * word; index < min(32u * word + 32u, ACTIONS + BACKWARD_ACTIONS); index++) {
                bits |= select(0u, 1u, allows(trajectory, index)) << (index % 32u);
            }
        }
        walks[mask + word] = bits;
    }
}

fn note_changes(trajectory: u32, step: u32, done: Advance) {
    let change = changes_of(trajectory, step);
    walks[change] = done.column_a;
    walks[change + 1u] = bitcast<u32>(done.amount_a);
    walks[change + 2u] = done.column_b;
    walks[change + 3u] = bitcast<u32>(done.amount_b);
}

// Takes the action of a step, and writes down what that does and what is allowed then.
fn take_action(trajectory: u32, step: u32, action: u32) {
    let done = process_advance(trajectory, action);
    note_changes(trajectory, step, done);
    if step + 1u < MAX_STEPS {
        note_allowed(trajectory, step + 1u, done.ends);
    }
}

// A step after the end, which is none.
fn take_none(trajectory: u32, step: u32) {
    note_changes(trajectory, step, Advance(0u, 0.0, 0u, 0.0, true));
    if step + 1u < MAX_STEPS {
        note_allowed(trajectory, step + 1u, true);
    }
}
