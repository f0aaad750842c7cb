// Adam's step (lib/adam_rule.wgsl) of every parameter, if it is taken, the parameters as kernels read them, and their average:
//
//   average += (1 - min(AVERAGE, (1 + t) / (10 + t))) (parameter - average),   t the number of steps
//
//   optimizer   [parameter, running mean of its derivative, that of the square, average][place in a gradient]
//
// One invocation a place.

#import wgflow::adam_rule::{Moved, moved}
#import wgflow::constants::{BLOCK, GRADIENT}
#import wgflow::ledger::{counters, verdict}
#import wgflow::training::{AVERAGE, LEARNING_RATE, WEIGHT_DECAY}
#import wgflow::wide::{narrowed, wide_difference, wide_sum, widened}
#import wgflow::work::{invocation_of, work}

@group(0) @binding(12) var<storage, read> gradient: array<f32>;
@group(0) @binding(21) var<storage, read_write> parameters: array<f32>;
@group(0) @binding(28) var<storage, read_write> optimizer: array<vec2<u32>>;

@compute @workgroup_size(BLOCK)
fn adam(@builtin(global_invocation_id) launched: vec3<u32>) {
    let i = invocation_of(launched).x;
    let count = 4u * GRADIENT;
    if i >= count || verdict.applied == 0.0 {
        return;
    }
    let before = Moved(optimizer[i], optimizer[count + i], optimizer[2u * count + i]);
    let derivative = gradient[i] * verdict.clipping;
    let shrinking = work.rate_factor * LEARNING_RATE * WEIGHT_DECAY;
    let next = moved(before, derivative, verdict.rate, verdict.correction, shrinking);
    optimizer[i] = next.value;
    optimizer[count + i] = next.first;
    optimizer[2u * count + i] = next.second;
    parameters[i] = narrowed(next.value);
    if AVERAGE > 0.0 {
        let steps = f32(counters.steps);
        let taken = 1.0 - min(AVERAGE, (1.0 + steps) / (10.0 + steps));
        let average = optimizer[3u * count + i];
        let distance = narrowed(wide_difference(next.value, average));
        optimizer[3u * count + i] = wide_sum(average, widened(taken * distance));
    }
}
