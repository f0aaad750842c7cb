// An accumulator of trajectories: sum of c h, over those it was given. lib/moments.wgsl and lib/left_out.wgsl declare the same
// for other sums.

#define_import_path wgflow::sum

// Sums that an accumulator comes to.
const LISTS = 1u;

struct Accumulator {
    sum: vec4<f32>,
}

// An empty one for an offset of the gradient.
fn accumulator_at(offset: u32) -> Accumulator {
    return Accumulator(vec4<f32>());
}

// With one more trajectory, of coefficient c, whose derivatives there are h.
fn accumulate(before: Accumulator, c: f32, h: vec4<f32>) -> Accumulator {
    return Accumulator(fma(vec4(c), h, before.sum));
}

// Its sum number `list`, below LISTS.
fn accumulated(accumulator: Accumulator, list: u32) -> vec4<f32> {
    return accumulator.sum;
}
