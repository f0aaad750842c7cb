// Gradient of one hidden layer's weight and bias over a slice of the part: CHUNK steps of a block.
//
//   dW[output][input] = sum over steps and trajectories of c * delta_l[output] * h_(l-1)[input],   db = sum of c * delta_l
//
// `partials` [slice of this dispatch][weight and bias of all hidden layers]; fold.wgsl adds them up in their order.
// Slices are cut at multiples of CHUNK steps, so neither the part nor the dispatch shows in the sums.
// Register tiles, see lib/tile.wgsl: one invocation a tile of (output, input), then one a quad of the bias; (y) a slice.

@group(0) @binding(2) var<storage, read> activations: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> slopes: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> coefficients: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> partials: array<vec4<f32>>;

// c * delta_l transposed, [output][k], times h_(l-1), [k][input]; k runs over trajectories, then steps.
struct Product {
    depth: u32,
    // The block, counted in the batch.
    block: u32,
    outputs: u32,
    inputs: u32,
    left: u32,
    right: u32,
    output: u32,
}

// Where trajectory 4k of the slice's rows lies: 16 quads of trajectories a step.
fn place_of(base: u32, width: u32, k: u32) -> u32 {
    return base + k / (BLOCK / 4u) * STEP_SIZE + k % (BLOCK / 4u) * 4u * width;
}

// Coefficients of those trajectories.
fn weighing(block: u32, k: u32) -> vec4<f32> {
    return coefficients[block * (BLOCK / 4u) + k % (BLOCK / 4u)];
}

fn left_quad(product: Product, row: u32, k: u32) -> mat4x4<f32> {
    let c = weighing(product.block, k);
    let place = place_of(product.left, product.outputs, k) + row;
    return transpose(mat4x4(
        c.x * slopes[place],
        c.y * slopes[place + product.outputs],
        c.z * slopes[place + 2u * product.outputs],
        c.w * slopes[place + 3u * product.outputs],
    ));
}

fn right_quad(product: Product, unit: u32, k: u32) -> mat4x4<f32> {
    let place = place_of(product.right, product.inputs, k) + unit;
    return mat4x4(
        activations[place],
        activations[place + product.inputs],
        activations[place + 2u * product.inputs],
        activations[place + 3u * product.inputs],
    );
}

fn finish_quad(product: Product, row: u32, unit: u32, sum: mat4x4<f32>) {
    let place = product.output + 4u * row * product.inputs + unit;
    partials[place] = sum[0];
    partials[place + product.inputs] = sum[1];
    partials[place + 2u * product.inputs] = sum[2];
    partials[place + 3u * product.inputs] = sum[3];
}

@compute @workgroup_size(BLOCK)
fn weight_gradient(@builtin(global_invocation_id) launched: vec3<u32>) {
    let id = invocation_of(launched);
    let layer = network[work.layer];
    let before = network[work.layer - 1u];
    let across = layer.inputs / TILE_UNITS;
    let tiles = layer.outputs / TILE_ROWS * across;
    let chunks = (STATES + CHUNK - 1u) / CHUNK;
    let slice = work.first_slice + id.y;
    let begin = max(slice % chunks * CHUNK, work.scored_from);
    let end = max(min((slice % chunks + 1u) * CHUNK, STATES), begin);
    let block = work.block + slice / chunks;
    let here = slot(slice / chunks, begin) * STEP_SIZE;
    let depth = (end - begin) * (BLOCK / 4u);
    let partial = id.y * DENSE_SIZE;
    if id.x < tiles {
        let place = partial + layer.gradient - DENSE;
        let product =
            Product(depth, block, layer.outputs, layer.inputs, here + layer.place, here + before.place, place);
        tile(product, id.x / across * TILE_ROWS, id.x % across * TILE_UNITS);
    } else if id.x < tiles + layer.outputs {
        let unit = id.x - tiles;
        var sum = vec4<f32>();
        for (var k = 0u; k < depth; k++) {
            let place = place_of(here + layer.place, layer.outputs, k) + unit;
            let c = weighing(block, k);
            sum += (c.x * slopes[place] + c.y * slopes[place + layer.outputs])
                + (c.z * slopes[place + 2u * layer.outputs] + c.w * slopes[place + 3u * layer.outputs]);
        }
        partials[partial + layer.gradient_bias - DENSE + unit] = sum;
    }
}
