// The square norm of each piece of a gradient, NORM_PIECE quads long, beside a power of two that keeps it from overflowing:
//
//   norm_pieces[piece] = (s, sum of (g / s)^2),   s <= the largest |g| < 2 s
//
// s is infinite if any derivative is not finite. One workgroup a piece, whose invocations take every 256th quad of it.

#import wgflow::constants::GRADIENT
#import wgflow::reduce::{REDUCED, largest_word_of_all, sum_of_all}
#import wgflow::work::group_of

// Quads of a piece: the host has the same number.
const NORM_PIECE = 1024u;

@group(0) @binding(12) var<storage, read> gradient: array<vec4<f32>>;
@group(0) @binding(27) var<storage, read_write> norm_pieces: array<vec2<f32>>;

@compute @workgroup_size(256)
fn gradient_norm(@builtin(workgroup_id) launched: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let piece = group_of(launched).x;
    let end = min((piece + 1u) * NORM_PIECE, GRADIENT);
    var most = vec4<u32>();
    for (var i = piece * NORM_PIECE + lane; i < end; i += REDUCED) {
        most = max(most, bitcast<vec4<u32>>(gradient[i]) & vec4(0x7fffffffu));
    }
    let largest = largest_word_of_all(lane, max(max(most.x, most.y), max(most.z, most.w)));
    // Powers of two whose reciprocal is a normal number as well.
    let exponent = clamp(largest >> 23u, 1u, 253u);
    let reciprocal = bitcast<f32>((254u - exponent) << 23u);
    var squares = 0.0;
    for (var i = piece * NORM_PIECE + lane; i < end; i += REDUCED) {
        let scaled = gradient[i] * reciprocal;
        squares += dot(scaled, scaled);
    }
    let sum = sum_of_all(lane, vec2(squares, 0.0)).x;
    if lane == 0u {
        let infinite = largest >= 0x7f800000u;
        norm_pieces[piece] = vec2(bitcast<f32>(select(exponent << 23u, 0x7f800000u, infinite)), select(sum, 0.0, infinite));
    }
}
