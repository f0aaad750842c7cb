// Gradient of the first layer's columns and of the empty object's pre-activation.
//
//   d column  = sum over trajectories of amount * (sum of the deltas after the step that added the column)
//   d z_empty = sum over trajectories of (sum of the deltas of all scored steps)
//
// A site is filled once a trajectory, so a column gathers one sum from each trajectory.
// Trajectories are added up block by block, blocks one after the other.
// One invocation a quad of units; (y) a column, the last one z_empty.

@group(0) @binding(2) var<storage, read> weights: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> fills: array<u32>;
@group(0) @binding(4) var<storage, read> slopes: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> gradient: array<vec4<f32>>;

@compute @workgroup_size(BLOCK)
fn first_gradient(@builtin(global_invocation_id) id: vec3<u32>) {
    let first = network[0];
    let unit = id.x;
    let column = id.y;
    if unit < first.outputs {
        let place = first.gradient + column * first.outputs + unit;
        var total = gradient[place];
        for (var block = 0u; block < work.blocks; block++) {
            var sum = vec4<f32>();
            for (var row = 0u; row < BLOCK; row++) {
                var step = work.scored_from;
                var amount = 1.0;
                if column < COLUMNS {
                    let trajectory = (work.block + block) * BLOCK + row;
                    let fill = fills[trajectory * SITES + column / COLUMNS_A_SITE];
                    let value = fill & 255u;
                    step = max(step, (fill >> 8u) + 1u);
                    let changed = COLUMNS_A_SITE == 1u || column % COLUMNS_A_SITE == value;
                    amount = select(0.0, weights[CHANGES + value / 4u][value % 4u], changed);
                }
                if step < SITES && amount != 0.0 {
                    let place = slot(block, step) * STEP + first.place + row * first.outputs + unit;
                    sum = fma(vec4(amount), slopes[place], sum);
                }
            }
            total += sum;
        }
        gradient[place] = total;
    }
}
