// Gradient of one hidden layer's weight and bias over a slice of the part: CHUNK steps of a block.
//
//   dW[output][input] = sum over steps and trajectories of c * delta_l[output] * h_(l-1)[input],   db = sum of c * delta_l
//
// `partials` [slice of this dispatch][weight and bias of all hidden layers]; fold.wgsl adds them up in their order.
// Slices are cut at multiples of CHUNK steps, so neither the part nor the dispatch shows in the sums.
// Register tiles, see lib/tile.wgsl: one invocation a tile of (output, input), then one a quad of the bias; (y) a slice.

#import wgflow::constants::{BLOCK, CHUNK, DENSE, DENSE_SIZE, STATES, STEP_SIZE, TILE_ROWS, TILE_UNITS}
#import wgflow::gradient_product::weighted_deltas
#import wgflow::product::{Product, output_rows}
#import wgflow::tile::multiply_tile
#import wgflow::work::{invocation_of, network, stored_step, work}

@group(0) @binding(13) var<storage, read_write> partials: array<vec4<f32>>;

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
    let here = stored_step(slice / chunks, begin) * STEP_SIZE;
    let partial = id.y * DENSE_SIZE;
    var product = Product();
    product.depth = (end - begin) * (BLOCK / 4u);
    product.left = here + layer.offset;
    product.left_stride = layer.outputs;
    product.right = here + before.offset;
    product.right_stride = layer.inputs;
    product.output = partial + layer.gradient - DENSE;
    product.output_stride = layer.inputs;
    product.block = work.block + slice / chunks;
    if id.x < tiles {
        let row = id.x / across * TILE_ROWS;
        let unit = id.x % across * TILE_UNITS;
        let tile = multiply_tile(product, row, unit);
        for (var r = 0u; r < TILE_ROWS; r++) {
            for (var u = 0u; u < TILE_UNITS; u++) {
                let sum = tile.sum[r][u];
                let at = output_rows(product, row + r, unit + u);
                partials[at.x] = sum[0];
                partials[at.y] = sum[1];
                partials[at.z] = sum[2];
                partials[at.w] = sum[3];
            }
        }
    } else if id.x < tiles + layer.outputs {
        let unit = id.x - tiles;
        var sum = vec4<f32>();
        for (var k = 0u; k < product.depth; k++) {
            let deltas = weighted_deltas(product, unit, k);
            sum += (deltas[0] + deltas[1]) + (deltas[2] + deltas[3]);
        }
        partials[partial + layer.gradient_bias - DENSE + unit] = sum;
    }
}
