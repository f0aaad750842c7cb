// A step's choice where sites are filled: one of the VALUES of its site. The kernel binds `actions`, `scores` and
// `probabilities`. lib/masked_choose.wgsl declares the same functions for all other processes.

// The i-th output that a state uses.
fn output_of(trajectory: u32, step: u32, i: u32) -> u32 {
    return actions[trajectory * MAX_STEPS + step] / VALUES * VALUES + i;
}

// Logits at probabilities[place ..] become probabilities; the value taken or drawn goes into `actions`.
fn choose(place: u32, trajectory: u32, step: u32) {
    var most = probabilities[place];
    for (var value = 1u; value < VALUES; value++) {
        most = max(most, probabilities[place + value]);
    }
    var total = 0.0;
    for (var value = 0u; value < VALUES; value++) {
        total += exponential(vec4(probabilities[place + value] - most)).x;
    }
    let site = actions[trajectory * MAX_STEPS + step] / VALUES;
    var taken = actions[trajectory * MAX_STEPS + step] % VALUES;
    if step >= work.sampled_from {
        let counter = vec4(work.iteration, work.first_trajectory + trajectory, step, work.stream);
        let threshold = uniform_of(philox(counter, work.key).y) * total;
        taken = VALUES - 1u;
        var cumulative = 0.0;
        for (var value = 0u; value < VALUES; value++) {
            cumulative += exponential(vec4(probabilities[place + value] - most)).x;
            if cumulative > threshold {
                taken = value;
                break;
            }
        }
        actions[trajectory * MAX_STEPS + step] = site * VALUES + taken;
    }
    scores[trajectory * MAX_STEPS + step] = probabilities[place + taken] - most - logarithm(total);
    for (var value = 0u; value < VALUES; value++) {
        probabilities[place + value] = exponential(vec4(probabilities[place + value] - most)).x / total;
    }
}
