// Back through one hidden layer, all steps at once:
//
//   delta_(l-1) = (W_l^T delta_l) * f'(z_(l-1))
//
// The deltas take the place of the slopes, layer after layer.
// Register tiles, see lib/tile.wgsl: one invocation a tile of (trajectory, unit), tiles of all steps in a row (x);
// (y) a block.

@group(0) @binding(2) var<storage, read> weights: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> slopes: array<vec4<f32>>;

// delta_l [row][k] times weight [k][unit].
struct Product {
    depth: u32,
    width: u32,
    left: u32,
    right: u32,
    output: u32,
}

fn left_quad(product: Product, row: u32, k: u32) -> mat4x4<f32> {
    let place = product.left + 4u * row * product.depth + k;
    return mat4x4(
        slopes[place],
        slopes[place + product.depth],
        slopes[place + 2u * product.depth],
        slopes[place + 3u * product.depth],
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
    let place = product.output + 4u * row * product.width + unit;
    put(place, sum[0]);
    put(place + product.width, sum[1]);
    put(place + 2u * product.width, sum[2]);
    put(place + 3u * product.width, sum[3]);
}

fn put(place: u32, sum: vec4<f32>) {
    slopes[place] = slopes[place] * sum;
}

@compute @workgroup_size(BLOCK)
fn dense_backward(@builtin(global_invocation_id) launched: vec3<u32>) {
    let id = invocation_of(launched);
    let layer = network[work.layer];
    let before = network[work.layer - 1u];
    let across = layer.inputs / TILE_UNITS;
    let tiles = BLOCK / (4u * TILE_ROWS) * across;
    let step = work.first_step + id.x / tiles;
    if step < work.last_step {
        let here = slot(id.y, step) * STEP_SIZE;
        let product = Product(layer.outputs, layer.inputs, here + layer.place, layer.backward, here + before.place);
        let i = id.x % tiles;
        tile(product, i / across * TILE_ROWS, i % across * TILE_UNITS);
    }
}
