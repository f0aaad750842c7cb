// From a batch's log-probabilities and log-rewards to what each trajectory weighs in the gradient, for objectives on whole
// trajectories whose coefficients are a closed form of log w = log R + log P_B - log P_F, and to the derivative by log Z.
//
//   PLAIN                -log w / B                       SELF_NORMALISED   1/B - v,            v = softmax(log w)
//   LEARNED              (log Z - log w) / B              RENYI             a/(a-1) (v - 1/B),  v = softmax((1-a) log w)
//   LEAVE_ONE_OUT        (mean - log w) / (B-1)           TSALLIS           a/(a-1) (r - mean r) / (B-1)
//   LEAVE_ONE_OUT_LOG_Z  (k - log w) / B                                    r = (w / mean w)^(1-a)
//   LOG_VARIANCE         2 (mean - log w) / (B-1)         all others        h'(log Z - log w) / B
//
// k is the log of the mean weight of the other trajectories, h a loss (src/objective/loss.rs). log w is a number of 53 bits; all
// else is told by x, how far it is from log Z, or from the largest of the batch. One workgroup, whose invocations take every 256th
// trajectory. `coefficients` has x until the last pass.

#import wgflow::constants::BLOCK
#import wgflow::elementary::{exponential, exponential_parts, less_one, logarithm}
#import wgflow::ledger::{counters, log_z, verdict}
#import wgflow::reduce::{REDUCED, largest_of_all, largest_word_of_all, sum_of_all, wide_sum_of_all}
#import wgflow::training::{FLOOR, FLOORED, FORBIDDEN, FORMULA, HALF_SQUARED, HUBER, LEARNED, LEAVE_ONE_OUT, LEAVE_ONE_OUT_LOG_Z}
#import wgflow::training::{LINEX, LOG_CONSTANT, LOG_VARIANCE, PLAIN, RENYI, REWARD_SCALE, SELF_NORMALISED, SHAPE, SHIFTED_COSH}
#import wgflow::training::{SQUARED, TSALLIS}
#import wgflow::wide::{narrowed, wide_difference, wide_product, wide_sum, widened}
#import wgflow::work::work

@group(0) @binding(9) var<storage, read_write> coefficients: array<f32>;
@group(0) @binding(18) var<storage, read> log_forward: array<f32>;
@group(0) @binding(19) var<storage, read> log_rewards: array<f32>;

// Stands for minus infinity.
const LEAST = -1e30f;

fn is_finite(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u;
}

fn exp_of(x: f32) -> f32 {
    return exponential(vec4(x)).x;
}

// exp(x) - 1.
fn excess(x: f32) -> f32 {
    return less_one(exponential_parts(vec4(x))).x;
}

// Whether an object with R = 0 has a coefficient: that of a weight of 0.
fn takes_nothing() -> bool {
    return FORMULA == SELF_NORMALISED || ((FORMULA == RENYI || FORMULA == TSALLIS) && SHAPE < 1.0);
}

// Whether R = 0, and no floor takes its place.
fn is_nothing(trajectory: u32) -> bool {
    return !FLOORED && log_rewards[trajectory] <= FORBIDDEN;
}

// log R as training takes it, of an object that has one.
fn log_reward(trajectory: u32) -> vec2<u32> {
    let told = log_rewards[trajectory];
    var log_reward = wide_product(told, REWARD_SCALE);
    if FLOORED && (told <= FORBIDDEN || narrowed(log_reward) < FLOOR) {
        log_reward = widened(FLOOR);
    }
    if work.beta < 1.0 {
        log_reward = wide_product(narrowed(log_reward), work.beta);
    }
    return log_reward;
}

fn log_weight(trajectory: u32) -> vec2<u32> {
    return wide_difference(wide_sum(log_reward(trajectory), LOG_CONSTANT), widened(log_forward[trajectory]));
}

// Of one trajectory: 1 if it has no finite coefficient, 2 if its log R is none.
fn fault_of(trajectory: u32) -> u32 {
    let told = log_rewards[trajectory];
    if !is_finite(told) && !(told <= FORBIDDEN) {
        return 2u;
    }
    return select(0u, 1u, !is_finite(log_forward[trajectory]) || (is_nothing(trajectory) && !takes_nothing()));
}

// Whether log Z starts from a trajectory: where log R is above the floor, or from all if there is no such.
fn starts_from(trajectory: u32, all: bool) -> bool {
    return all || narrowed(log_reward(trajectory)) > FLOOR;
}

// Where log Z starts: the mean of log w. Its own step is of the size of the learning rate however small the derivative is, so the mean
// has all of its bits: what is left of it after a first one is added up without a rounding.
fn log_z_start(lane: u32, top: vec2<u32>) -> vec2<u32> {
    var above = vec2<f32>();
    var all = vec2<f32>();
    for (var i = lane; i < work.count; i += REDUCED) {
        let x = vec2(narrowed(wide_difference(log_weight(i), top)), 1.0);
        all += x;
        if FLOORED && starts_from(i, false) {
            above += x;
        }
    }
    all = sum_of_all(lane, all);
    above = sum_of_all(lane, above);
    let counted = select(all, above, above.y > 0.0);
    let mean = wide_sum(top, widened(counted.x / counted.y));
    var rest = vec2<u32>();
    for (var i = lane; i < work.count; i += REDUCED) {
        if starts_from(i, above.y == 0.0) {
            rest = wide_sum(rest, wide_difference(log_weight(i), mean));
        }
    }
    return wide_sum(mean, widened(narrowed(wide_sum_of_all(lane, rest)) / counted.y));
}

// The sum of exp(exponent x - most) - 1.
fn excesses(lane: u32, exponent: f32, most: f32) -> f32 {
    var sum = 0.0;
    for (var i = lane; i < work.count; i += REDUCED) {
        sum += excess(exponent * coefficients[i] - most);
    }
    return sum_of_all(lane, vec2(sum, 0.0)).x;
}

// The largest exponent x.
fn largest_of(lane: u32, exponent: f32) -> f32 {
    var most = -3e38;
    for (var i = lane; i < work.count; i += REDUCED) {
        most = max(most, exponent * coefficients[i]);
    }
    return largest_of_all(lane, most);
}

// The derivative of a loss at delta.
fn slope(delta: f32) -> f32 {
    switch FORMULA {
        case SQUARED: { return 2.0 * delta; }
        case HUBER: { return clamp(delta, -SHAPE, SHAPE); }
        case LINEX: { return -excess(-SHAPE * delta) / SHAPE; }
        case SHIFTED_COSH: { return excess(delta) - excess(-delta); }
        default: { return delta; }
    }
}

// log of the mean weight of the others, less log w, where `most` is the largest x and `sum` that of exp(x - most) of all. Of the first
// trajectory with the largest x, `alone`, the others are summed anew, with their own largest taken out: (it, their sum).
fn left_out(i: u32, most: f32, sum: f32, alone: u32, others: vec2<f32>) -> f32 {
    let x = coefficients[i];
    let log_count = logarithm(f32(work.count - 1u));
    if i == alone {
        return others.x + logarithm(others.y) - log_count - x;
    }
    return most + logarithm(sum - exp_of(x - most)) - log_count - x;
}

// The largest x of all but one, and the sum of exp(x - it) of them.
fn others_of(lane: u32, alone: u32) -> vec2<f32> {
    var most = -3e38;
    for (var i = lane; i < work.count; i += REDUCED) {
        most = max(most, select(coefficients[i], -3e38, i == alone));
    }
    most = largest_of_all(lane, most);
    var sum = 0.0;
    for (var i = lane; i < work.count; i += REDUCED) {
        sum += select(exp_of(coefficients[i] - most), 0.0, i == alone);
    }
    return vec2(most, sum_of_all(lane, vec2(sum, 0.0)).x);
}

// The first trajectory whose x is `most`.
fn first_with(lane: u32, most: f32) -> u32 {
    var place = 0u;
    for (var i = lane; i < work.count; i += REDUCED) {
        place = max(place, select(0u, ~i, coefficients[i] == most));
    }
    return ~largest_word_of_all(lane, place);
}

// Puts the coefficients in the place of the x.
fn finish(lane: u32) {
    let size = f32(work.count);
    var factor = 1.0 / size;
    var mean = 0.0;
    var exponent = 1.0;
    var most = 0.0;
    var sum = 0.0;
    var alone = 0u;
    var others = vec2<f32>();
    if FORMULA == LEAVE_ONE_OUT || FORMULA == LOG_VARIANCE {
        for (var i = lane; i < work.count; i += REDUCED) {
            sum += coefficients[i];
        }
        mean = sum_of_all(lane, vec2(sum, 0.0)).x / size;
        factor = select(1.0, 2.0, FORMULA == LOG_VARIANCE) / (size - 1.0);
    }
    if FORMULA == LEAVE_ONE_OUT_LOG_Z {
        most = largest_of(lane, 1.0);
        sum = excesses(lane, 1.0, most) + size;
        alone = first_with(lane, most);
        others = others_of(lane, alone);
    }
    if FORMULA == SELF_NORMALISED || FORMULA == RENYI || FORMULA == TSALLIS {
        exponent = select(1.0 - SHAPE, 1.0, FORMULA == SELF_NORMALISED);
        most = largest_of(lane, exponent);
        mean = excesses(lane, exponent, most) / size;
        factor = -1.0 / ((1.0 + mean) * size);
        if FORMULA == RENYI {
            factor *= SHAPE / exponent;
        }
    }
    if FORMULA == TSALLIS {
        // r = exp((1-a) (x - log mean exp(x))), as far above its mean as the softmax's terms are above theirs.
        let top = largest_of(lane, 1.0);
        let log_mean = top + logarithm((excesses(lane, 1.0, top) + size) / size);
        factor = -SHAPE / exponent / (size - 1.0) * exp_of(most - exponent * log_mean);
    }
    for (var i = lane; i < work.count; i += REDUCED) {
        let x = coefficients[i];
        switch FORMULA {
            case PLAIN, LEARNED: { coefficients[i] = -factor * x; }
            case LEAVE_ONE_OUT, LOG_VARIANCE: { coefficients[i] = factor * (mean - x); }
            case LEAVE_ONE_OUT_LOG_Z: { coefficients[i] = factor * left_out(i, most, sum, alone, others); }
            case SELF_NORMALISED, RENYI, TSALLIS: {
                coefficients[i] = factor * (excess(exponent * x - most) - mean);
            }
            default: { coefficients[i] = factor * slope(-x); }
        }
    }
}

@compute @workgroup_size(256)
fn weigh(@builtin(local_invocation_index) lane: u32) {
    var fault = select(0u, 1u, counters.halted != 0u);
    var largest = LEAST;
    for (var i = lane; i < work.count; i += REDUCED) {
        let own = fault_of(i);
        fault = max(fault, own);
        if own == 0u && !is_nothing(i) {
            largest = max(largest, narrowed(log_weight(i)));
        }
    }
    fault = largest_word_of_all(lane, fault);
    let top = largest_of_all(lane, largest);
    if top == LEAST {
        fault = max(fault, 1u);
    }
    let learns = FORMULA == LEARNED || FORMULA >= SQUARED;
    var reference = widened(top);
    if FORMULA == PLAIN {
        reference = vec2<u32>();
    }
    if learns && fault == 0u {
        if counters.log_z_started == 0u {
            let start = log_z_start(lane, reference);
            if lane == 0u {
                log_z[0] = start;
            }
            reference = start;
        } else {
            reference = log_z[0];
        }
    }
    var distance = vec2<u32>();
    // Blocks are filled up with trajectories that count for nothing.
    for (var i = lane; i < work.blocks * BLOCK; i += REDUCED) {
        var x = 0.0;
        if fault == 0u && i < work.count {
            x = LEAST;
            if !is_nothing(i) {
                let own = wide_difference(log_weight(i), reference);
                distance = wide_sum(distance, own);
                x = narrowed(own);
            }
        }
        coefficients[i] = x;
    }
    var derivative = 0.0;
    if fault == 0u {
        finish(lane);
        var bad = 0u;
        for (var i = lane; i < work.count; i += REDUCED) {
            derivative += coefficients[i];
            bad = max(bad, select(1u, 0u, is_finite(coefficients[i])));
        }
        fault = largest_word_of_all(lane, bad);
        derivative = sum_of_all(lane, vec2(derivative, 0.0)).x;
        if FORMULA == LEARNED || FORMULA == SQUARED || FORMULA == HALF_SQUARED {
            derivative = -narrowed(wide_sum_of_all(lane, distance)) / f32(work.count);
        }
    }
    if fault == 1u {
        for (var i = lane; i < work.count; i += REDUCED) {
            coefficients[i] = 0.0;
        }
    }
    if lane == 0u {
        verdict.fault = f32(fault);
        verdict.log_z_known = select(0.0, 1.0, learns && (fault == 0u || counters.log_z_started != 0u));
        // What fits the control variate is the mean of (log Z - log w)^2 as well.
        let factor = select(1.0, 2.0, FORMULA == LEARNED || FORMULA == SQUARED);
        verdict.log_z_derivative = select(0.0, factor * derivative, learns);
    }
}
