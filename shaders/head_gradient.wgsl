// Gradient of the head: of the row and the bias of each action (site, value).
//
//   d row  = sum over trajectories of d * h_last at the step that filled the site,   d = c (1[value taken] - p[value])
//   d bias = sum over trajectories of d
//
// Trajectories are added up block by block, blocks one after the other.
// One invocation a quad of units, one more for the bias; (y) an action.

@group(0) @binding(2) var<storage, read> fills: array<u32>;
@group(0) @binding(3) var<storage, read> probabilities: array<f32>;
@group(0) @binding(4) var<storage, read> coefficients: array<f32>;
@group(0) @binding(5) var<storage, read> activations: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> gradient: array<vec4<f32>>;

@compute @workgroup_size(BLOCK)
fn head_gradient(@builtin(global_invocation_id) id: vec3<u32>) {
    let last = network[LAYERS - 1u];
    let unit = id.x;
    let action = id.y;
    if unit <= last.outputs {
        var place = HEAD_GRADIENT + action * last.outputs + unit;
        if unit == last.outputs {
            place = HEAD_BIAS_GRADIENT + action;
        }
        var total = gradient[place];
        for (var block = 0u; block < work.blocks; block++) {
            var sum = vec4<f32>();
            for (var row = 0u; row < BLOCK; row++) {
                let trajectory = (work.block + block) * BLOCK + row;
                let fill = fills[trajectory * SITES + action / VALUES];
                let step = fill >> 8u;
                if step >= work.scored_from {
                    let here = slot(block, step);
                    let value = action % VALUES;
                    let hit = select(0.0, 1.0, value == (fill & 255u));
                    let probability = probabilities[(here * BLOCK + row) * VALUES + value];
                    let delta = coefficients[trajectory] * (hit - probability);
                    var h = vec4(1.0);
                    if unit < last.outputs {
                        h = activations[here * STEP + last.place + row * last.outputs + unit];
                    }
                    sum = fma(vec4(delta), h, sum);
                }
            }
            total += sum;
        }
        gradient[place] = total;
    }
}
