// A tally of trajectories: sum of h (c - k), where k comes from all trajectories of the batch but the one taken:
//
//   k = (sum_j c_j h_j^2 - c h^2) / (sum_j h_j^2 - h^2), or 0 where the divisor is within the rounding of its terms
//
// `known` holds sum_j h_j^2, then sum_j c_j h_j^2, both laid out as a gradient. Functions as in lib/sum.wgsl.

@group(0) @binding(8) var<storage, read> known: array<vec4<f32>>;

// A sum over a block is good to this much of itself: BLOCK units in the last place.
const ROUNDING = f32(BLOCK) * 1.1920929e-7;

struct Tally {
    sum: vec4<f32>,
    squares: vec4<f32>,
    weighted_squares: vec4<f32>,
}

fn fresh(place: u32) -> Tally {
    return Tally(vec4<f32>(), known[place], known[GRADIENT + place]);
}

fn take(tally: Tally, c: f32, h: vec4<f32>) -> Tally {
    let square = h * h;
    let others = tally.squares - square;
    let ratio = fma(vec4(-c), square, tally.weighted_squares) / others;
    let k = select(vec4<f32>(), ratio, others > ROUNDING * tally.squares);
    return Tally(fma(h, c - k, tally.sum), tally.squares, tally.weighted_squares);
}

fn finish(tally: Tally, slice: u32, place: u32) {
    store(slice, 0u, place, tally.sum);
}
