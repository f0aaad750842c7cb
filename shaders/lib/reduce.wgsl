// What all invocations of a workgroup say, put together in pairs, pairs of pairs, .., through workgroup memory.

#define_import_path wgflow::reduce
#import wgflow::wide::wide_sum

const REDUCED = 256u;

var<workgroup> shared_numbers: array<vec2<f32>, REDUCED>;
var<workgroup> shared_wide: array<vec2<u32>, REDUCED>;
var<workgroup> shared_words: array<u32, REDUCED>;

// Sums of two numbers.
fn sum_of_all(lane: u32, x: vec2<f32>) -> vec2<f32> {
    workgroupBarrier();
    shared_numbers[lane] = x;
    for (var half = REDUCED / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if lane < half {
            shared_numbers[lane] += shared_numbers[lane + half];
        }
    }
    return workgroupUniformLoad(&shared_numbers[0]);
}

fn wide_sum_of_all(lane: u32, x: vec2<u32>) -> vec2<u32> {
    workgroupBarrier();
    shared_wide[lane] = x;
    for (var half = REDUCED / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if lane < half {
            shared_wide[lane] = wide_sum(shared_wide[lane], shared_wide[lane + half]);
        }
    }
    return workgroupUniformLoad(&shared_wide[0]);
}

fn largest_of_all(lane: u32, x: f32) -> f32 {
    workgroupBarrier();
    shared_numbers[lane] = vec2(x, 0.0);
    for (var half = REDUCED / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if lane < half {
            shared_numbers[lane].x = max(shared_numbers[lane].x, shared_numbers[lane + half].x);
        }
    }
    return workgroupUniformLoad(&shared_numbers[0]).x;
}

fn largest_word_of_all(lane: u32, x: u32) -> u32 {
    workgroupBarrier();
    shared_words[lane] = x;
    for (var half = REDUCED / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if lane < half {
            shared_words[lane] = max(shared_words[lane], shared_words[lane + half]);
        }
    }
    return workgroupUniformLoad(&shared_words[0]);
}
