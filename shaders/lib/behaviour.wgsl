// What a choice weighs where trajectories are not drawn from the policy itself but are to explore: exp(scale * logit), scale being
// 1 for the policy, less or more for another temperature, and 0 where all choices are as likely.

#define_import_path wgflow::behaviour
#import wgflow::elementary::exponential
#import wgflow::philox::uniform_of
#import wgflow::work::work

// The scale of a step, by a word of its own.
fn scale_of(word: u32) -> f32 {
    return select(work.sharpness, 0.0, uniform_of(word) < work.epsilon);
}

// The weight of a choice whose logit lies so far from the largest. What has no weight for the policy, to the precision of f32, is
// never chosen.
fn drawn_weight(difference: f32, scale: f32) -> f32 {
    let weight = exponential(vec4(difference)).x;
    if scale == 1.0 {
        return weight;
    }
    return select(exponential(vec4(scale * difference)).x, 0.0, weight < 1e-30);
}
