// The head's part of what is added up over trajectories: the row and the bias of each output.
//
//   h of a row  = sum over the states that use the output of derivative * h_last
//   h of a bias = sum of derivative
//
// What is made of h, with the trajectory's coefficient, says the accumulator (lib/sum.wgsl
// and its likes). Which trajectories: lib/members.wgsl.
// One invocation a quad of units, one more for the bias; (y) an output, (z) a slice, if there are some.

#import wgflow::backpropagated::signal
#import wgflow::constants::{BLOCK, HEAD_BIAS_GRADIENT, HEAD_GRADIENT, LAYERS, OUTPUTS, STEP_SIZE}
#import wgflow::members::{add_sum, blocks_of, members_of}
#import wgflow::work::{invocation_of, network, stored_step, work}
#ifdef OBJECTS
#import wgflow::single::{derivative, uses}
#else
#ifdef WALK
#import wgflow::masked_choice::{derivative, uses}
#else
#import wgflow::choice::{derivative, uses}
#endif
#endif
#ifdef MOMENTS
#import wgflow::moments::{LISTS, accumulate, accumulated, accumulator_at}
#endif
#ifdef LEFT_OUT
#import wgflow::left_out::{LISTS, accumulate, accumulated, accumulator_at}
#endif
#ifdef SUM
#import wgflow::sum::{LISTS, accumulate, accumulated, accumulator_at}
#endif

@group(0) @binding(9) var<storage, read> coefficients: array<f32>;

@compute @workgroup_size(BLOCK)
fn head_gradient(@builtin(global_invocation_id) launched: vec3<u32>) {
    let id = invocation_of(launched);
    let last = network[LAYERS - 1u];
    let unit = id.x;
    let output = id.y;
    if unit <= last.outputs {
        var offset = HEAD_GRADIENT + output * last.outputs + unit;
        if unit == last.outputs {
            offset = HEAD_BIAS_GRADIENT + output;
        }
        let blocks = blocks_of(id.z);
        for (var block = blocks.x; block < blocks.y; block++) {
            var accumulator = accumulator_at(offset);
            let rows = members_of(id.z, block);
            for (var row = rows.x; row < rows.y; row++) {
                let trajectory = (work.block + block) * BLOCK + row;
                let steps = uses(trajectory, output);
                let first = max(steps.x, work.scored_from);
                var h = vec4<f32>();
                for (var step = first; step < steps.y; step++) {
                    let here = stored_step(block, step);
                    let error = derivative(here, trajectory, step, output % OUTPUTS);
                    if unit < last.outputs {
                        h += error * signal(here * STEP_SIZE + last.offset + row * last.outputs + unit);
                    } else {
                        // A bias has a quad to itself.
                        h.x += error;
                    }
                }
                if first < steps.y {
                    accumulator = accumulate(accumulator, coefficients[trajectory], h);
                }
            }
            for (var list = 0u; list < LISTS; list++) {
                add_sum(id.z, LISTS, list, offset, accumulated(accumulator, list));
            }
        }
    }
}
