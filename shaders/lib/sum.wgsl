// A tally of trajectories: sum of c h, over those it has taken.
//
// The kernel defines
//   fn store(slice: u32, list: u32, place: u32, value: vec4<f32>)        `place` in a gradient, for list 0, 1, ..

struct Tally {
    sum: vec4<f32>,
}

// An empty tally for a place of the gradient.
fn fresh(place: u32) -> Tally {
    return Tally(vec4<f32>());
}

// Takes a trajectory with coefficient c, and h its derivatives there.
fn take(tally: Tally, c: f32, h: vec4<f32>) -> Tally {
    return Tally(fma(vec4(c), h, tally.sum));
}

fn finish(tally: Tally, slice: u32, place: u32) {
    store(slice, 0u, place, tally.sum);
}
