// One step of Adam down a derivative g:
//
//   m += (1 - beta_1) (g - m),   v += (1 - beta_2) (g^2 - v),   p -= shrinking p + rate m / (sqrt(v) correction + epsilon)
//
// with rate and correction as below. Increments are f32; what they are added to is not (lib/wide.wgsl), so that an increment
// counts however small it is beside the sum.

#define_import_path wgflow::adam_rule
#import wgflow::elementary::{exponential_parts, less_one}
#import wgflow::training::{EPSILON, LOG_KEPT, NEW_SHARE}
#import wgflow::wide::{narrowed, wide_sum, widened}

// A number and its two running means.
struct Moved {
    value: vec2<u32>,
    first: vec2<u32>,
    second: vec2<u32>,
}

// 1 - beta^steps of both running means.
fn run(steps: u32) -> vec2<f32> {
    return -less_one(exponential_parts(vec4(f32(steps) * LOG_KEPT, 0.0, 0.0))).xy;
}

fn moved(before: Moved, g: f32, rate: f32, correction: f32, shrinking: f32) -> Moved {
    let first = wide_sum(before.first, widened(NEW_SHARE.x * (g - narrowed(before.first))));
    let second = wide_sum(before.second, widened(NEW_SHARE.y * (g * g - narrowed(before.second))));
    let change = shrinking * narrowed(before.value) + rate * narrowed(first) / (sqrt(narrowed(second)) * correction + EPSILON);
    return Moved(wide_sum(before.value, widened(-change)), first, second);
}
