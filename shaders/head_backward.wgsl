// From the coefficients back through the head and the last nonlinearity.
//
//   d_value = c (1[value taken] - p[value])                     gradient of c * score at the logits of the step's site
//   slopes of the last layer <- f'(z) * sum over values of d_value * head row of (site, value)
//
// One invocation a quad of units, one workgroup row (y) a step, (z) a block.

@group(0) @binding(2) var<storage, read> weights: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> actions: array<u32>;
@group(0) @binding(4) var<storage, read> probabilities: array<f32>;
@group(0) @binding(5) var<storage, read> coefficients: array<f32>;
@group(0) @binding(6) var<storage, read_write> slopes: array<vec4<f32>>;

@compute @workgroup_size(BLOCK)
fn head_backward(@builtin(global_invocation_id) id: vec3<u32>) {
    let step = work.first_step + id.y;
    let here = slot(id.z, step);
    let last = network[LAYERS - 1u];
    let row = id.x / last.outputs;
    let unit = id.x % last.outputs;
    let trajectory = (work.block + id.z) * BLOCK + row;
    let action = actions[trajectory * SITES + step];
    let taken = action % VALUES;
    let coefficient = coefficients[trajectory];
    var sum = vec4<f32>();
    for (var value = 0u; value < VALUES; value++) {
        let hit = select(0.0, 1.0, value == taken);
        let delta = coefficient * (hit - probabilities[(here * BLOCK + row) * VALUES + value]);
        sum = fma(vec4(delta), weights[HEAD + (action - taken + value) * last.outputs + unit], sum);
    }
    let place = here * STEP + last.place + id.x;
    slopes[place] = slopes[place] * sum;
}
