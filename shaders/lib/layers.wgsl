// Forward through the layers of a network, for the ROLLOUT_ROWS trajectories of a workgroup at one state:
//
//   h_l = f(W_l h_(l-1) + b_l),  slopes f'(z_l),  from l = 1 on         h_0 is there already, by `put`
//   output = <head row, h_last> + bias
//
// Hidden layers are register tiles, see lib/tile.wgsl: an invocation takes every ROLLOUT_GROUP-th tile of a layer.

@group(0) @binding(2) var<storage, read> weights: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> activations: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> slopes: array<vec4<f32>>;

// A hidden layer at one step: activations [row][k] times transposed weight [k][unit].
struct Product {
    depth: u32,
    width: u32,
    left: u32,
    right: u32,
    bias: u32,
    output: u32,
}

fn left_quad(product: Product, row: u32, k: u32) -> mat4x4<f32> {
    let place = product.left + 4u * row * product.depth + k;
    return mat4x4(
        activations[place],
        activations[place + product.depth],
        activations[place + 2u * product.depth],
        activations[place + 3u * product.depth],
    );
}

fn right_quad(product: Product, unit: u32, k: u32) -> mat4x4<f32> {
    let place = product.right + 4u * k * product.width + unit;
    return mat4x4(
        weights[place],
        weights[place + product.width],
        weights[place + 2u * product.width],
        weights[place + 3u * product.width],
    );
}

fn finish_quad(product: Product, row: u32, unit: u32, sum: mat4x4<f32>) {
    let bias = weights[product.bias + unit];
    let place = product.output + 4u * row * product.width + unit;
    put(place, sum[0] + bias);
    put(place + product.width, sum[1] + bias);
    put(place + 2u * product.width, sum[2] + bias);
    put(place + 3u * product.width, sum[3] + bias);
}

fn put(place: u32, z: vec4<f32>) {
    let activated = activate(z);
    activations[place] = activated.value;
    slopes[place] = activated.slope;
}

// One output of the head; `row` is the place of h_last.
fn head_output(row: u32, output: u32) -> f32 {
    let width = network[LAYERS - 1u].outputs;
    let head = HEAD + output * width;
    var sum = vec4<f32>();
    for (var k = 0u; k < width; k++) {
        sum = fma(activations[row + k], weights[head + k], sum);
    }
    return (sum.x + sum.y) + (sum.z + sum.w) + weights[HEAD_BIAS + output / 4u][output % 4u];
}

// Hidden layers above the first of slot `here`, for the trajectories from `first_row` of the block on.
fn hidden_layers(lane: u32, here: u32, first_row: u32) {
    for (var l = 1u; l < LAYERS; l++) {
        let layer = network[l];
        let product = Product(
            layer.inputs,
            layer.outputs,
            here * STEP_SIZE + network[l - 1u].place + first_row * layer.inputs,
            layer.forward,
            layer.bias,
            here * STEP_SIZE + layer.place + first_row * layer.outputs,
        );
        let across = layer.outputs / TILE_UNITS;
        for (var i = lane; i < ROLLOUT_ROWS / (4u * TILE_ROWS) * across; i += ROLLOUT_GROUP) {
            tile(product, i / across * TILE_ROWS, i % across * TILE_UNITS);
        }
        storageBarrier();
    }
}
