// An accumulator of trajectories: sum of h (c - k), where k comes from all trajectories of the batch but the one added:
//
//   k = (sum_j c_j h_j^2 - c h^2) / (sum_j h_j^2 - h^2), or 0 where the divisor is within the rounding of its terms
//
// `totals` hold sum_j h_j^2, then sum_j c_j h_j^2, both laid out as a gradient. Functions as in lib/sum.wgsl.

#define_import_path wgflow::left_out
#import wgflow::constants::{BLOCK, GRADIENT}

@group(0) @binding(16) var<storage, read> totals: array<vec4<f32>>;

const LISTS = 1u;

// A sum over a block is good to this much of itself: BLOCK units in the last place.
const ROUNDING = f32(BLOCK) * 1.1920929e-7;

struct Accumulator {
    sum: vec4<f32>,
    squares: vec4<f32>,
    weighted_squares: vec4<f32>,
}

fn accumulator_at(offset: u32) -> Accumulator {
    return Accumulator(vec4<f32>(), totals[offset], totals[GRADIENT + offset]);
}

fn accumulate(before: Accumulator, c: f32, h: vec4<f32>) -> Accumulator {
    let square = h * h;
    let others = before.squares - square;
    let ratio = fma(vec4(-c), square, before.weighted_squares) / others;
    let k = select(vec4<f32>(), ratio, others > ROUNDING * before.squares);
    return Accumulator(fma(h, c - k, before.sum), before.squares, before.weighted_squares);
}

fn accumulated(accumulator: Accumulator, list: u32) -> vec4<f32> {
    return accumulator.sum;
}
