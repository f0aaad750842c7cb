// Finished trajectories: the object of each, and the log-probability of the scored steps.
//
//   log_forward[trajectory] = sum over t >= scored_from of log_probs[trajectory][t], in pairs of pairs of pairs
//
// (A compensated sum would be folded away by compilers that take sums for associative.)
//
// One invocation a trajectory, one workgroup a block.

#import wgflow::constants::{BLOCK, MAX_STEPS, SITES, STEP_LISTS, VALUES}
#import wgflow::work::{invocation_of, work}
#ifdef WALK
#import wgflow::rules::process_value
#endif

@group(0) @binding(5) var<storage, read> actions: array<u32>;
@group(0) @binding(6) var<storage, read_write> fills: array<u32>;
@group(0) @binding(7) var<storage, read> log_probs: array<f32>;
@group(0) @binding(18) var<storage, read_write> log_forward: array<f32>;

#ifdef WALK
// The object that the state of the process is.
fn note_object(trajectory: u32) {
    for (var site = 0u; site < SITES; site++) {
        fills[trajectory * SITES + site] = process_value(trajectory, site);
    }
}
#else
// The object, and the step that filled each site: fills[site of the action at step t] = 256 t + value.
fn note_object(trajectory: u32) {
    for (var step = 0u; step < MAX_STEPS; step++) {
        let action = actions[trajectory * MAX_STEPS + step];
        fills[trajectory * SITES + action / VALUES] = step * 256u + action % VALUES;
    }
}
#endif

@compute @workgroup_size(BLOCK)
fn finish(@builtin(global_invocation_id) launched: vec3<u32>) {
    let id = invocation_of(launched);
    let trajectory = work.block * BLOCK + id.x;
    let row = trajectory * STEP_LISTS * MAX_STEPS;
    note_object(trajectory);
    // sums[l] is that of 2^l steps where bit l of their number is set.
    var sums = array<f32, 32>();
    let count = MAX_STEPS - work.scored_from;
    for (var i = 0u; i < count; i++) {
        var sum = log_probs[row + work.scored_from + i];
        let complete = countTrailingZeros(~i);
        for (var level = 0u; level < complete; level++) {
            sum += sums[level];
        }
        sums[complete] = sum;
    }
    var total = 0.0;
    for (var level = 0u; level < 32u; level++) {
        total += select(0.0, sums[level], (count >> level & 1u) == 1u);
    }
    log_forward[trajectory] = total;
}
