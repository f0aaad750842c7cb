// Finished trajectories: the object of each, and the log-probability of the scored steps.
//
//   log_forward[trajectory] = sum over t >= scored_from of log_probs[trajectory][t], in pairs of pairs of pairs
//
// (A compensated sum would be folded away by compilers that take sums for associative.)
//
// One invocation a trajectory, one workgroup a block.

#import wgflow::constants::{BLOCK, MAX_STEPS, STEP_LISTS}
#import wgflow::object::{PIECES_OF_OBJECT, note_piece}
#import wgflow::work::{invocation_of, work}

@group(0) @binding(7) var<storage, read> log_probs: array<f32>;
@group(0) @binding(18) var<storage, read_write> log_forward: array<f32>;

@compute @workgroup_size(BLOCK)
fn finish(@builtin(global_invocation_id) launched: vec3<u32>) {
    let id = invocation_of(launched);
    let trajectory = work.block * BLOCK + id.x;
    let row = trajectory * STEP_LISTS * MAX_STEPS;
    for (var piece = 0u; piece < PIECES_OF_OBJECT; piece++) {
        note_piece(trajectory, piece);
    }
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
