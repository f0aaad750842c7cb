// Philox4x32-10, the twin of src/random.rs (Salmon et al., SC 2011).
//
//   round:  (c0, c1, c2, c3) <- (hi(M1 c2) ^ c1 ^ k0, lo(M1 c2), hi(M0 c0) ^ c3 ^ k1, lo(M0 c0)),  k <- k + W
//
// WGSL has no 64-bit product, so its upper half is put together from 16-bit halves.

#define_import_path wgflow::philox
#import wgflow::constants::{PHILOX_MULTIPLIERS, PHILOX_ROUNDS, PHILOX_WEYL}

// The upper 32 bits of a * b.
fn multiply_high(a: u32, b: u32) -> u32 {
    let a_low = a & 0xffffu;
    let a_high = a >> 16u;
    let b_low = b & 0xffffu;
    let b_high = b >> 16u;
    let low = a_low * b_low;
    let middle = a_high * b_low + (low >> 16u);
    let other = a_low * b_high + (middle & 0xffffu);
    return a_high * b_high + (middle >> 16u) + (other >> 16u);
}

fn philox(start: vec4<u32>, start_key: vec2<u32>) -> vec4<u32> {
    var counter = start;
    var key = start_key;
    for (var round = 0u; round < PHILOX_ROUNDS; round++) {
        counter = vec4(
            multiply_high(PHILOX_MULTIPLIERS.y, counter.z) ^ counter.y ^ key.x,
            PHILOX_MULTIPLIERS.y * counter.z,
            multiply_high(PHILOX_MULTIPLIERS.x, counter.x) ^ counter.w ^ key.y,
            PHILOX_MULTIPLIERS.x * counter.x,
        );
        key += PHILOX_WEYL;
    }
    return counter;
}

// A uniform number in [0, 1) with 24 bits.
fn uniform_of(word: u32) -> f32 {
    return f32(word >> 8u) * (1.0 / 16777216.0);
}

// floor(uniform_of(word) * n), in integers.
fn pick(word: u32, n: u32) -> u32 {
    return multiply_high(word & 0xffffff00u, n);
}
