// Whether an iteration's step is taken, and how far: the norm of its gradient from those of its pieces, clipping, Adam's rate, and
// log Z's own step.
//
// A gradient that is not finite, or has derivatives whose squares f32 does not hold, is not applied. PATIENCE of these in a row, or
// a log R that is none, halt the training: nothing more is applied before the host has looked. One workgroup.

#import wgflow::adam_rule::{Moved, moved, run}
#import wgflow::constants::GRADIENT
#import wgflow::ledger::{counters, log_z, verdict}
#import wgflow::reduce::{REDUCED, largest_of_all, sum_of_all}
#import wgflow::training::{LARGEST_NORM, LEARNING_RATE, LOG_Z_RATE, PATIENCE}
#import wgflow::work::work

// 2^60, whose square f32 holds.
const LARGEST = 1.152921504606846976e18f;
const NORM_PIECE = 1024u;

@group(0) @binding(27) var<storage, read> norm_pieces: array<vec2<f32>>;

fn is_finite(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u;
}

// One more, skipped.
fn skip() {
    counters.skipped_in_a_row++;
    if counters.skipped_in_a_row >= PATIENCE {
        counters.halted = 1u;
    }
}

fn advance() {
    counters.skipped_in_a_row = 0u;
    counters.steps++;
    let share = run(counters.steps);
    verdict.applied = 1.0;
    verdict.rate = work.rate_factor * LEARNING_RATE / share.x;
    verdict.correction = inverseSqrt(share.y);
    if verdict.log_z_known > 0.0 {
        counters.log_z_started = 1u;
        counters.log_z_steps++;
        let share = run(counters.log_z_steps);
        let before = Moved(log_z[0], log_z[1], log_z[2]);
        let rate = work.rate_factor * LOG_Z_RATE / share.x;
        let next = moved(before, verdict.log_z_derivative, rate, inverseSqrt(share.y), 0.0);
        log_z[0] = next.value;
        log_z[1] = next.first;
        log_z[2] = next.second;
    }
}

@compute @workgroup_size(256)
fn decide(@builtin(local_invocation_index) lane: u32) {
    let pieces = (GRADIENT + NORM_PIECE - 1u) / NORM_PIECE;
    var most = 0.0;
    for (var piece = lane; piece < pieces; piece += REDUCED) {
        most = max(most, norm_pieces[piece].x);
    }
    let scale = largest_of_all(lane, most);
    var squares = 0.0;
    for (var piece = lane; piece < pieces; piece += REDUCED) {
        let ratio = norm_pieces[piece].x / scale;
        squares += norm_pieces[piece].y * ratio * ratio;
    }
    let root = sqrt(sum_of_all(lane, vec2(squares, 0.0)).x);
    if lane != 0u {
        return;
    }
    verdict.applied = 0.0;
    verdict.scale = scale;
    verdict.root = root;
    verdict.clipping = 1.0;
    if counters.halted != 0u {
        return;
    }
    if verdict.fault == 2.0 {
        counters.halted = 1u;
        return;
    }
    if LARGEST_NORM > 0.0 && root > LARGEST_NORM / scale {
        verdict.clipping = LARGEST_NORM / scale / root;
    }
    if verdict.fault != 0.0 || !is_finite(scale) || scale * verdict.clipping > LARGEST {
        skip();
    } else {
        advance();
    }
}
