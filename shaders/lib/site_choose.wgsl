// A step's choice where sites are filled: one of the VALUES of its site. lib/masked_choose.wgsl declares the same functions for
// all other processes.

#define_import_path wgflow::site_choose
#import wgflow::behaviour::{drawn_weight, scale_of}
#import wgflow::constants::{MAX_STEPS, VALUES}
#import wgflow::elementary::{exponential, logarithm}
#import wgflow::philox::{philox, uniform_of}
#import wgflow::steps_taken::{actions, log_probs, output_at, set_output}
#import wgflow::work::work
#ifdef SHARED
#import wgflow::shape::ROWS
#import wgflow::shared_sites::first_outputs
#endif

// The i-th output that a state uses.
fn output_of(trajectory: u32, step: u32, i: u32) -> u32 {
#ifdef SHARED
    return first_outputs[trajectory % ROWS] + i;
#else
    return actions[trajectory * MAX_STEPS + step] / VALUES * VALUES + i;
#endif
}

// Logits from output_at(first) on become probabilities; the value taken or drawn goes into `actions`.
fn choose(first: u32, trajectory: u32, step: u32) {
    var most = output_at(first);
    for (var value = 1u; value < VALUES; value++) {
        most = max(most, output_at(first + value));
    }
    var total = 0.0;
    for (var value = 0u; value < VALUES; value++) {
        total += exponential(vec4(output_at(first + value) - most)).x;
    }
    let site = actions[trajectory * MAX_STEPS + step] / VALUES;
    var taken = actions[trajectory * MAX_STEPS + step] % VALUES;
    if step >= work.sampled_from {
        let counter = vec4(work.iteration, work.first_trajectory + trajectory, step, work.stream);
        let words = philox(counter, work.key);
        let scale = scale_of(words.z);
        var drawn_total = total;
        if scale != 1.0 {
            drawn_total = 0.0;
            for (var value = 0u; value < VALUES; value++) {
                drawn_total += drawn_weight(output_at(first + value) - most, scale);
            }
        }
        let threshold = uniform_of(words.y) * drawn_total;
        var cumulative = 0.0;
        for (var value = 0u; value < VALUES; value++) {
            let weight = drawn_weight(output_at(first + value) - most, scale);
            // What a guide forbids has the least weight there is, which a uniform of 0 would fall on.
            if weight < 1e-30 {
                continue;
            }
            taken = value;
            cumulative += weight;
            if cumulative > threshold {
                break;
            }
        }
        actions[trajectory * MAX_STEPS + step] = site * VALUES + taken;
    }
    log_probs[trajectory * MAX_STEPS + step] = output_at(first + taken) - most - logarithm(total);
    for (var value = 0u; value < VALUES; value++) {
        set_output(first + value, exponential(vec4(output_at(first + value) - most)).x / total);
    }
}
