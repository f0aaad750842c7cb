// A tally of trajectories: sum of h, of c h, of h^2 and of c h^2, over those it has taken, as lists 0 to 3.
// Functions as in lib/sum.wgsl.

struct Tally {
    sum: vec4<f32>,
    weighted_sum: vec4<f32>,
    squares: vec4<f32>,
    weighted_squares: vec4<f32>,
}

fn fresh(place: u32) -> Tally {
    return Tally();
}

fn take(tally: Tally, c: f32, h: vec4<f32>) -> Tally {
    let weighted = c * h;
    return Tally(
        tally.sum + h,
        tally.weighted_sum + weighted,
        fma(h, h, tally.squares),
        fma(weighted, h, tally.weighted_squares),
    );
}

fn finish(tally: Tally, slice: u32, place: u32) {
    store(slice, 0u, place, tally.sum);
    store(slice, 1u, place, tally.weighted_sum);
    store(slice, 2u, place, tally.squares);
    store(slice, 3u, place, tally.weighted_squares);
}
