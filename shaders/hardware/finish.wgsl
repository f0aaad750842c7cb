// Finished trajectories, as finish.wgsl: the object of each, and the log-probability of the scored steps.
//
//   log_forward[trajectory] = sum over t >= scored_from of log_probs[trajectory][t]
//
// One workgroup takes a trajectory: an invocation every BLOCK-th step, then halves of the sums are added up in pairs.

#import wgflow::constants::{BLOCK, MAX_STEPS, STEP_LISTS}
#import wgflow::object::{PIECES_OF_OBJECT, note_piece}
#import wgflow::work::{group_of, work}

@group(0) @binding(7) var<storage, read> log_probs: array<f32>;
@group(0) @binding(18) var<storage, read_write> log_forward: array<f32>;

var<workgroup> sums: array<f32, BLOCK>;

@compute @workgroup_size(BLOCK)
fn hardware_finish(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) launched: vec3<u32>) {
    let trajectory = work.block * BLOCK + group_of(launched).x;
    for (var piece = lane; piece < PIECES_OF_OBJECT; piece += BLOCK) {
        note_piece(trajectory, piece);
    }
    var sum = 0.0;
    for (var step = work.scored_from + lane; step < MAX_STEPS; step += BLOCK) {
        sum += log_probs[trajectory * STEP_LISTS * MAX_STEPS + step];
    }
    sums[lane] = sum;
    workgroupBarrier();
    for (var half = BLOCK / 2u; half > 0u; half /= 2u) {
        if lane < half {
            sums[lane] += sums[lane + half];
        }
        workgroupBarrier();
    }
    if lane == 0u {
        log_forward[trajectory] = sums[0];
    }
}
