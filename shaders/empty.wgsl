// The first layer's pre-activation before the first action, from the parameters:
//
//   start = bias + sum over columns of initial input * column
//
// One invocation a quad of units.

#import wgflow::constants::{BLOCK, COLUMNS}
#import wgflow::weights::initial_input
#import wgflow::work::{invocation_of, network}

@group(0) @binding(21) var<storage, read> parameters: array<vec4<f32>>;
@group(0) @binding(22) var<storage, read_write> start: array<vec4<f32>>;

@compute @workgroup_size(BLOCK)
fn empty(@builtin(global_invocation_id) launched: vec3<u32>) {
    let unit = invocation_of(launched).x;
    let layer = network[0];
    if unit >= layer.outputs {
        return;
    }
    var sum = parameters[layer.gradient_bias + unit];
    for (var column = 0u; column < COLUMNS; column++) {
        sum = fma(vec4(initial_input(column)), parameters[layer.gradient + column * layer.outputs + unit], sum);
    }
    start[unit] = sum;
}
