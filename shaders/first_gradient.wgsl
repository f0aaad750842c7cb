// The first layer's part of what is added up over trajectories: its columns and its bias.
//
//   h of the bias = S_0                                                 S_s = sum of delta_0 over the scored states from s on
//   h of a column = initial input * S_0 + sum of amount * S_(s+1)       over the steps s that change the column by amount
//
// Which these are: lib/site_columns.wgsl, lib/walk_columns.wgsl.
// `deltas` of the first layer hold S (first_backward.wgsl). What is made of h, with the trajectory's coefficient, says the
// accumulator (lib/sum.wgsl and its likes). Which trajectories: lib/members.wgsl.
// One invocation a quad of units; (y) a column, the last one the bias; (z) a slice, if there are some.

#import wgflow::constants::BLOCK
#import wgflow::members::{add_sum, blocks_of, members_of}
#import wgflow::work::{invocation_of, network, work}
#ifdef WALK
#import wgflow::walk_columns::first_layer_score
#else
#import wgflow::site_columns::first_layer_score
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
fn first_gradient(@builtin(global_invocation_id) launched: vec3<u32>) {
    let id = invocation_of(launched);
    let width = network[0].outputs;
    let unit = id.x;
    let column = id.y;
    if unit < width {
        let offset = network[0].gradient + column * width + unit;
        let blocks = blocks_of(id.z);
        for (var block = blocks.x; block < blocks.y; block++) {
            var accumulator = accumulator_at(offset);
            let rows = members_of(id.z, block);
            for (var row = rows.x; row < rows.y; row++) {
                let trajectory = (work.block + block) * BLOCK + row;
                let h = first_layer_score(block, trajectory, row * width + unit, column);
                accumulator = accumulate(accumulator, coefficients[trajectory], h);
            }
            for (var list = 0u; list < LISTS; list++) {
                add_sum(id.z, LISTS, list, offset, accumulated(accumulator, list));
            }
        }
    }
}
