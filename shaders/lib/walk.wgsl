// What is known of every trajectory of a process that is not site filling, row after row of WALK_SIZE words:
//
//   the state of the process        STATE_WORDS
//   the actions allowed, by step    MAX_STEPS x MASK_WORDS, a bit each, those backward after the others; none once the trajectory has
//                                   ended
//   what each step changes          MAX_STEPS x (column, amount, column, amount), amounts the bits of an f32

#define_import_path wgflow::walk
#import wgflow::constants::{MASK_WORDS, MAX_STEPS, STATE_WORDS, WALK_SIZE}

// Along a rollout, invocations of a workgroup read what another one has written down.
#ifdef FORWARD
@group(0) @binding(11) @coherent var<storage, read_write> walks: array<u32>;
#else
@group(0) @binding(11) var<storage, read_write> walks: array<u32>;
#endif

fn mask_of(trajectory: u32, step: u32) -> u32 {
    return trajectory * WALK_SIZE + STATE_WORDS + step * MASK_WORDS;
}

fn changes_of(trajectory: u32, step: u32) -> u32 {
    return trajectory * WALK_SIZE + STATE_WORDS + MAX_STEPS * MASK_WORDS + 4u * step;
}

fn is_allowed(mask: u32, action: u32) -> bool {
    return (walks[mask + action / 32u] >> (action % 32u) & 1u) == 1u;
}

// What an action does: to column_a amount_a is added, to column_b amount_b; whether the trajectory ends with it.
struct Advance {
    column_a: u32,
    amount_a: f32,
    column_b: u32,
    amount_b: f32,
    ends: bool,
}

fn process_state(trajectory: u32, word: u32) -> u32 {
    return walks[trajectory * WALK_SIZE + word];
}

fn set_process_state(trajectory: u32, word: u32, value: u32) {
    walks[trajectory * WALK_SIZE + word] = value;
}
