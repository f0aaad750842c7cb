// A hidden layer's part of what is made of single trajectories' gradients h, over a slice of the part: one block.
//
//   h of the weight [output][input] = sum over states of delta_l[output] * h_(l-1)[input]
//   h of the bias                   = sum over states of delta_l
//
// What is made of h, with the trajectory's coefficient, says the accumulator (lib/moments.wgsl, lib/left_out.wgsl), which stays
// in registers from trajectory to trajectory.
// `partials` [slice of this dispatch][list][weight and bias of all hidden layers]; fold.wgsl adds up the slices.
// Register tiles, see lib/tile.wgsl: one invocation a tile of (output, input), then one a quad of the bias; (y) a slice.
//
// Waves on gfx1100: at least 12

#import wgflow::constants::{BLOCK, DENSE, DENSE_SIZE, STATES, STEP_SIZE, TILE_ROWS, TILE_UNITS}
#import wgflow::product::{Product, output_rows}
#import wgflow::score_product::deltas_of
#import wgflow::tile::multiply_tile
#import wgflow::work::{invocation_of, network, rows_of, stored_step, work}
#ifdef MOMENTS
#import wgflow::moments::{Accumulator, LISTS, accumulate, accumulated, accumulator_at}
#endif
#ifdef LEFT_OUT
#import wgflow::left_out::{Accumulator, LISTS, accumulate, accumulated, accumulator_at}
#endif
#ifdef SUM
#import wgflow::sum::{Accumulator, LISTS, accumulate, accumulated, accumulator_at}
#endif

@group(0) @binding(13) var<storage, read_write> partials: array<vec4<f32>>;
@group(0) @binding(9) var<storage, read> coefficients: array<f32>;

fn store(slice: u32, offset: u32, accumulator: Accumulator) {
    for (var list = 0u; list < LISTS; list++) {
        partials[(slice * LISTS + list) * DENSE_SIZE + offset - DENSE] = accumulated(accumulator, list);
    }
}

// Accumulators of a tile, one for each row of each of its quads.
struct Accumulators {
    rows: array<array<array<Accumulator, 4>, TILE_UNITS>, TILE_ROWS>,
}

// The tile whose corner is the quad (row, unit), over all trajectories of a block.
fn score_tile(whole: Product, slice: u32, row: u32, unit: u32) {
    var product = whole;
    let block = work.first_slice + slice;
    let count = rows_of(block);
    var accumulators = Accumulators();
    for (var r = 0u; r < TILE_ROWS; r++) {
        for (var u = 0u; u < TILE_UNITS; u++) {
            let at = output_rows(product, row + r, unit + u);
            accumulators.rows[r][u][0] = accumulator_at(at.x);
            accumulators.rows[r][u][1] = accumulator_at(at.y);
            accumulators.rows[r][u][2] = accumulator_at(at.z);
            accumulators.rows[r][u][3] = accumulator_at(at.w);
        }
    }
    for (var trajectory = 0u; trajectory < count; trajectory++) {
        let tile = multiply_tile(product, row, unit);
        let c = coefficients[(work.block + block) * BLOCK + trajectory];
        for (var r = 0u; r < TILE_ROWS; r++) {
            for (var u = 0u; u < TILE_UNITS; u++) {
                for (var i = 0u; i < 4u; i++) {
                    accumulators.rows[r][u][i] = accumulate(accumulators.rows[r][u][i], c, tile.sum[r][u][i]);
                }
            }
        }
        product.left += product.left_stride;
        product.right += product.right_stride;
    }
    for (var r = 0u; r < TILE_ROWS; r++) {
        for (var u = 0u; u < TILE_UNITS; u++) {
            let at = output_rows(product, row + r, unit + u);
            store(slice, at.x, accumulators.rows[r][u][0]);
            store(slice, at.y, accumulators.rows[r][u][1]);
            store(slice, at.z, accumulators.rows[r][u][2]);
            store(slice, at.w, accumulators.rows[r][u][3]);
        }
    }
}

// The quad `unit` of the bias, at `offset` in a gradient, over all trajectories of a block.
fn score_bias(whole: Product, slice: u32, unit: u32, offset: u32) {
    var product = whole;
    let block = work.first_slice + slice;
    let count = rows_of(block);
    var accumulator = accumulator_at(offset);
    for (var trajectory = 0u; trajectory < count; trajectory++) {
        var h = vec4<f32>();
        for (var k = 0u; k < product.depth; k++) {
            let delta = deltas_of(product, unit, k);
            h += (delta[0] + delta[1]) + (delta[2] + delta[3]);
        }
        accumulator = accumulate(accumulator, coefficients[(work.block + block) * BLOCK + trajectory], h);
        product.left += product.left_stride;
    }
    store(slice, offset, accumulator);
}

@compute @workgroup_size(BLOCK)
fn hidden_scores(@builtin(global_invocation_id) launched: vec3<u32>) {
    let id = invocation_of(launched);
    let layer = network[work.layer];
    let before = network[work.layer - 1u];
    let across = layer.inputs / TILE_UNITS;
    let tiles = layer.outputs / TILE_ROWS * across;
    let here = stored_step(work.first_slice + id.y, work.scored_from) * STEP_SIZE;
    var product = Product();
    product.states = STATES - work.scored_from;
    product.depth = (product.states + 3u) / 4u;
    product.left = here + layer.offset;
    product.left_stride = layer.outputs;
    product.right = here + before.offset;
    product.right_stride = layer.inputs;
    product.output = layer.gradient;
    product.output_stride = layer.inputs;
    if id.x < tiles {
        score_tile(product, id.y, id.x / across * TILE_ROWS, id.x % across * TILE_UNITS);
    } else if id.x < tiles + layer.outputs {
        score_bias(product, id.y, id.x - tiles, layer.gradient_bias + id.x - tiles);
    }
}
