// Forward through the layers of a network, for the ROLLOUT_ROWS trajectories of a workgroup at one state:
//
//   h_l = f(W_l h_(l-1) + b_l),  slopes f'(z_l),  from l = 1 on         h_0 is there already, by `keep`
//   output = <head row, h_last> + bias
//
// Hidden layers are register tiles, see lib/tile.wgsl: an invocation takes every ROLLOUT_GROUP-th tile of a layer.

#define_import_path wgflow::layers
#import wgflow::constants::{HEAD, HEAD_BIAS, LAYERS, ROLLOUT_GROUP, ROLLOUT_ROWS, STEP_SIZE, TILE_ROWS, TILE_UNITS}
#import wgflow::product::{Product, output_rows}
#import wgflow::signals::{activations, keep}
#import wgflow::tile::multiply_tile
#import wgflow::weights::weights
#import wgflow::work::network

// One output of the head; `row` is the offset of h_last.
fn head_output(row: u32, output: u32) -> f32 {
    let width = network[LAYERS - 1u].outputs;
    let head = HEAD + output * width;
    var sum = vec4<f32>();
    for (var k = 0u; k < width; k++) {
        sum = fma(activations[row + k], weights[head + k], sum);
    }
    return (sum.x + sum.y) + (sum.z + sum.w) + weights[HEAD_BIAS + output / 4u][output % 4u];
}

// The tile of a layer whose corner is the quad (row, unit).
fn layer_tile(product: Product, bias: u32, row: u32, unit: u32) {
    let tile = multiply_tile(product, row, unit);
    for (var r = 0u; r < TILE_ROWS; r++) {
        for (var u = 0u; u < TILE_UNITS; u++) {
            let b = weights[bias + unit + u];
            let sum = tile.sum[r][u];
            let at = output_rows(product, row + r, unit + u);
            keep(at.x, sum[0] + b);
            keep(at.y, sum[1] + b);
            keep(at.z, sum[2] + b);
            keep(at.w, sum[3] + b);
        }
    }
}

// Hidden layers above the first of the stored step `here`, for the trajectories from `first_row` of the block on.
fn hidden_layers(lane: u32, here: u32, first_row: u32) {
    for (var l = 1u; l < LAYERS; l++) {
        let layer = network[l];
        var product = Product();
        product.depth = layer.inputs;
        product.left = here * STEP_SIZE + network[l - 1u].offset + first_row * layer.inputs;
        product.left_stride = layer.inputs;
        product.right = layer.forward;
        product.right_stride = layer.outputs;
        product.output = here * STEP_SIZE + layer.offset + first_row * layer.outputs;
        product.output_stride = layer.outputs;
        let across = layer.outputs / TILE_UNITS;
        for (var i = lane; i < ROLLOUT_ROWS / (4u * TILE_ROWS) * across; i += ROLLOUT_GROUP) {
            layer_tile(product, layer.bias, i / across * TILE_ROWS, i % across * TILE_UNITS);
        }
        storageBarrier();
    }
}
