// An accumulator of trajectories: sum of h, of c h, of h^2 and of c h^2, over those it was given. Functions as in lib/sum.wgsl.

#define_import_path wgflow::moments

const LISTS = 4u;

struct Accumulator {
    sum: vec4<f32>,
    weighted_sum: vec4<f32>,
    squares: vec4<f32>,
    weighted_squares: vec4<f32>,
}

fn accumulator_at(offset: u32) -> Accumulator {
    return Accumulator();
}

fn accumulate(before: Accumulator, c: f32, h: vec4<f32>) -> Accumulator {
    let weighted = c * h;
    return Accumulator(
        before.sum + h,
        before.weighted_sum + weighted,
        fma(h, h, before.squares),
        fma(weighted, h, before.weighted_squares),
    );
}

fn accumulated(accumulator: Accumulator, list: u32) -> vec4<f32> {
    switch list {
        case 0u: {
            return accumulator.sum;
        }
        case 1u: {
            return accumulator.weighted_sum;
        }
        case 2u: {
            return accumulator.squares;
        }
        default: {
            return accumulator.weighted_squares;
        }
    }
}
