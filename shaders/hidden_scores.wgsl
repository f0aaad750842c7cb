// A hidden layer's part of what is made of single trajectories' gradients h, over a slice of the part: one block.
//
//   h of the weight [output][input] = sum over states of delta_l[output] * h_(l-1)[input]
//   h of the bias                   = sum over states of delta_l
//
// What is made of h, with the trajectory's coefficient, says the tally (lib/moments.wgsl, lib/left_out.wgsl), which stays
// in registers from trajectory to trajectory.
// `partials` [slice of this dispatch][list][weight and bias of all hidden layers]; fold.wgsl adds up the slices.
// Register tiles (lib/multiply.wgsl, and lib/tile.wgsl for $R and $U): one invocation a tile of (output, input), then one
// a quad of the bias; (y) a slice.

@group(0) @binding(2) var<storage, read> activations: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> slopes: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> coefficients: array<f32>;
@group(0) @binding(5) var<storage, read_write> partials: array<vec4<f32>>;

// delta_l transposed, [output][k], times h_(l-1), [k][input]; k runs over the states of one trajectory.
struct Product {
    // States, and quads of them.
    states: u32,
    depth: u32,
    outputs: u32,
    inputs: u32,
    left: u32,
    right: u32,
    // The weight in a gradient.
    weight: u32,
}

fn store(slice: u32, list: u32, place: u32, value: vec4<f32>) {
    partials[(slice * work.lists + list) * DENSE_SIZE + place - DENSE] = value;
}

// State 4k + j, and the last one in place of those that are beyond it, whose deltas then count as 0.
fn state(product: Product, k: u32, j: u32) -> u32 {
    return min(4u * k + j, product.states - 1u) * STEP_SIZE;
}

// A quad of outputs of delta_l at four states, a column each.
fn deltas(product: Product, row: u32, k: u32) -> mat4x4<f32> {
    let place = product.left + row;
    let left = product.states - 4u * k;
    return mat4x4(
        slopes[place + state(product, k, 0u)],
        select(vec4<f32>(), slopes[place + state(product, k, 1u)], left > 1u),
        select(vec4<f32>(), slopes[place + state(product, k, 2u)], left > 2u),
        select(vec4<f32>(), slopes[place + state(product, k, 3u)], left > 3u),
    );
}

fn left_quad(product: Product, row: u32, k: u32) -> mat4x4<f32> {
    return transpose(deltas(product, row, k));
}

fn right_quad(product: Product, unit: u32, k: u32) -> mat4x4<f32> {
    let place = product.right + unit;
    return mat4x4(
        activations[place + state(product, k, 0u)],
        activations[place + state(product, k, 1u)],
        activations[place + state(product, k, 2u)],
        activations[place + state(product, k, 3u)],
    );
}

// The tallies of a quad of outputs.
struct Tallies {
    a: Tally,
    b: Tally,
    c: Tally,
    d: Tally,
}

// Where the first output of the quad (row, unit) lies.
fn place_of(product: Product, row: u32, unit: u32) -> u32 {
    return product.weight + 4u * row * product.inputs + unit;
}

fn fresh_quad(product: Product, row: u32, unit: u32) -> Tallies {
    let place = place_of(product, row, unit);
    return Tallies(
        fresh(place),
        fresh(place + product.inputs),
        fresh(place + 2u * product.inputs),
        fresh(place + 3u * product.inputs),
    );
}

fn take_quad(tallies: Tallies, c: f32, h: mat4x4<f32>) -> Tallies {
    return Tallies(take(tallies.a, c, h[0]), take(tallies.b, c, h[1]), take(tallies.c, c, h[2]), take(tallies.d, c, h[3]));
}

fn finish_quad(product: Product, slice: u32, row: u32, unit: u32, tallies: Tallies) {
    let place = place_of(product, row, unit);
    finish(tallies.a, slice, place);
    finish(tallies.b, slice, place + product.inputs);
    finish(tallies.c, slice, place + 2u * product.inputs);
    finish(tallies.d, slice, place + 3u * product.inputs);
}

// The tile whose corner is the quad (row, unit), over all trajectories of a block.
fn score_tile(whole: Product, slice: u32, row: u32, unit: u32) {
    var product = whole;
    let block = work.first_slice + slice;
    let rows = rows_of(block);
    var tallies$R$U = fresh_quad(product, row + $Ru, unit + $Uu);
    for (var trajectory = 0u; trajectory < rows; trajectory++) {
        var sum$R$U = mat4x4<f32>();
        for (var k = 0u; k < product.depth; k++) {
            let left$R = left_quad(product, row + $Ru, k);
            let right$U = right_quad(product, unit + $Uu, k);
            sum$R$U = multiply(sum$R$U, left$R, right$U);
        }
        let c = coefficients[(work.block + block) * BLOCK + trajectory];
        tallies$R$U = take_quad(tallies$R$U, c, sum$R$U);
        product.left += product.outputs;
        product.right += product.inputs;
    }
    finish_quad(product, slice, row + $Ru, unit + $Uu, tallies$R$U);
}

// The quad `row` of the bias, at `place` in a gradient, over all trajectories of a block.
fn score_bias(whole: Product, slice: u32, row: u32, place: u32) {
    var product = whole;
    let block = work.first_slice + slice;
    let rows = rows_of(block);
    var tally = fresh(place);
    for (var trajectory = 0u; trajectory < rows; trajectory++) {
        var h = vec4<f32>();
        for (var k = 0u; k < product.depth; k++) {
            let delta = deltas(product, row, k);
            h += (delta[0] + delta[1]) + (delta[2] + delta[3]);
        }
        tally = take(tally, coefficients[(work.block + block) * BLOCK + trajectory], h);
        product.left += product.outputs;
    }
    finish(tally, slice, place);
}

@compute @workgroup_size(BLOCK)
fn hidden_scores(@builtin(global_invocation_id) launched: vec3<u32>) {
    let id = invocation_of(launched);
    let layer = network[work.layer];
    let before = network[work.layer - 1u];
    let across = layer.inputs / TILE_UNITS;
    let tiles = layer.outputs / TILE_ROWS * across;
    let states = STATES - work.scored_from;
    let depth = (states + 3u) / 4u;
    let here = slot(work.first_slice + id.y, work.scored_from) * STEP_SIZE;
    let left = here + layer.place;
    let right = here + before.place;
    let product = Product(states, depth, layer.outputs, layer.inputs, left, right, layer.gradient);
    if id.x < tiles {
        score_tile(product, id.y, id.x / across * TILE_ROWS, id.x % across * TILE_UNITS);
    } else if id.x < tiles + layer.outputs {
        score_bias(product, id.y, id.x - tiles, layer.gradient_bias + id.x - tiles);
    }
}
