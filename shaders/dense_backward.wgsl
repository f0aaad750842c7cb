// Back through one hidden layer, all steps at once:
//
//   delta_(l-1) = (W_l^T delta_l) * f'(z_(l-1))
//
// Register tiles, see lib/tile.wgsl: one invocation a tile of (trajectory, unit), tiles of all steps in a row (x);
// (y) a block.

#import wgflow::constants::{BLOCK, STEP_SIZE, TILE_ROWS, TILE_UNITS}
#import wgflow::deltas::put_delta
#import wgflow::product::{Product, output_rows}
#import wgflow::tile::multiply_tile
#import wgflow::work::{invocation_of, network, stored_step, work}

@compute @workgroup_size(BLOCK)
fn dense_backward(@builtin(global_invocation_id) launched: vec3<u32>) {
    let id = invocation_of(launched);
    let layer = network[work.layer];
    let before = network[work.layer - 1u];
    let across = layer.inputs / TILE_UNITS;
    let tiles = BLOCK / (4u * TILE_ROWS) * across;
    let step = work.first_step + id.x / tiles;
    if step >= work.last_step {
        return;
    }
    let here = stored_step(id.y, step) * STEP_SIZE;
    var product = Product();
    product.depth = layer.outputs;
    product.left = here + layer.offset;
    product.left_stride = layer.outputs;
    product.right = layer.backward;
    product.right_stride = layer.inputs;
    product.output = here + before.offset;
    product.output_stride = layer.inputs;
    let row = id.x % tiles / across * TILE_ROWS;
    let unit = id.x % tiles % across * TILE_UNITS;
    let tile = multiply_tile(product, row, unit);
    for (var r = 0u; r < TILE_ROWS; r++) {
        for (var u = 0u; u < TILE_UNITS; u++) {
            let sum = tile.sum[r][u];
            let at = output_rows(product, row + r, unit + u);
            put_delta(at.x, sum[0]);
            put_delta(at.y, sum[1]);
            put_delta(at.z, sum[2]);
            put_delta(at.w, sum[3]);
        }
    }
}
