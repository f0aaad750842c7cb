// A hidden layer's part of the square norm of each trajectory's gradient, its weight and its bias:
//
//   |sum over states t of outer(delta_t, h_t)|^2 + |sum of delta_t|^2 = sum over t, u of <delta_t, delta_u> (<h_t, h_u> + 1)
//
// where delta is that of layer l and h that of layer l - 1. So no gradient is formed, only products of states: T^2 / 2 of
// them, each as long as a layer is wide. Pairs t < u count twice.
// `pieces` [trajectory of this dispatch][piece]; sum_norms.wgsl adds them up.
// Register tiles of pairs, as in lib/tile.wgsl: (x) a trajectory of the block, (y) a tile, (z) a block.
//
// Waves on gfx1100: at least 20

#import wgflow::backpropagated::{activations, deltas}
#import wgflow::constants::{BLOCK, PAIR_TILES, PIECES, STATES, STEP_SIZE, TILE_ROWS, TILE_UNITS}
#import wgflow::multiply::multiply
#import wgflow::work::{group_of, network, stored_step, work}

@group(0) @binding(15) var<storage, read_write> pieces: array<f32>;

// Tiles of <delta_t, delta_u> and of <h_t, h_u>.
struct Pairs {
    of_deltas: array<array<mat4x4<f32>, TILE_UNITS>, TILE_ROWS>,
    of_signals: array<array<mat4x4<f32>, TILE_UNITS>, TILE_ROWS>,
}

// Where the k-th quad of units of states 4 quad .. 4 quad + 4 of a trajectory lies; `last` in place of any beyond it.
fn states_of(offset: u32, last: u32, quad: u32, k: u32) -> vec4<u32> {
    return vec4(offset + k) + min(vec4(4u * quad) + vec4(0u, 1u, 2u, 3u), vec4(last)) * STEP_SIZE;
}

fn deltas_of(at: vec4<u32>) -> mat4x4<f32> {
    return mat4x4(deltas[at.x], deltas[at.y], deltas[at.z], deltas[at.w]);
}

fn signals_of(at: vec4<u32>) -> mat4x4<f32> {
    return mat4x4(activations[at.x], activations[at.y], activations[at.z], activations[at.w]);
}

// What a state t adds with four states u.
fn add_pairs(last: u32, t: u32, u: vec4<u32>, of_deltas: vec4<f32>, of_signals: vec4<f32>) -> f32 {
    let times = select(vec4(2.0), vec4(1.0), u == vec4(t));
    let counted = (u >= vec4(t)) & (u <= vec4(last));
    return dot(select(vec4<f32>(), times * of_deltas, counted), of_signals + 1.0);
}

// What four states t, from 4 * row on, add with four states u, from 4 * unit on.
fn add_quad(last: u32, row: u32, unit: u32, of_deltas: mat4x4<f32>, of_signals: mat4x4<f32>) -> f32 {
    let t = 4u * row;
    let u = vec4(4u * unit) + vec4(0u, 1u, 2u, 3u);
    return (add_pairs(last, t, u, of_deltas[0], of_signals[0]) + add_pairs(last, t + 1u, u, of_deltas[1], of_signals[1]))
        + (add_pairs(last, t + 2u, u, of_deltas[2], of_signals[2])
            + add_pairs(last, t + 3u, u, of_deltas[3], of_signals[3]));
}

@compute @workgroup_size(BLOCK)
fn hidden_norms(@builtin(local_invocation_index) row_of_block: u32, @builtin(workgroup_id) launched: vec3<u32>) {
    let group = group_of(launched);
    let layer = network[work.layer];
    let before = network[work.layer - 1u];
    let across = (STATES + 4u * TILE_UNITS - 1u) / (4u * TILE_UNITS);
    let row = group.y / across * TILE_ROWS;
    let unit = group.y % across * TILE_UNITS;
    let here = stored_step(work.first_slice + group.z, work.scored_from) * STEP_SIZE;
    let last = STATES - 1u - work.scored_from;
    var norm = 0.0;
    // Other tiles have no pair with t <= u.
    if row < unit + TILE_UNITS && 4u * unit <= last {
        var pairs = Pairs();
        let delta = here + layer.offset + row_of_block * layer.outputs;
        for (var k = 0u; k < layer.outputs; k++) {
            var left: array<mat4x4<f32>, TILE_ROWS>;
            for (var r = 0u; r < TILE_ROWS; r++) {
                left[r] = deltas_of(states_of(delta, last, row + r, k));
            }
            for (var u = 0u; u < TILE_UNITS; u++) {
                let right = transpose(deltas_of(states_of(delta, last, unit + u, k)));
                for (var r = 0u; r < TILE_ROWS; r++) {
                    pairs.of_deltas[r][u] = multiply(pairs.of_deltas[r][u], left[r], right);
                }
            }
        }
        let signal = here + before.offset + row_of_block * layer.inputs;
        for (var k = 0u; k < layer.inputs; k++) {
            var left: array<mat4x4<f32>, TILE_ROWS>;
            for (var r = 0u; r < TILE_ROWS; r++) {
                left[r] = signals_of(states_of(signal, last, row + r, k));
            }
            for (var u = 0u; u < TILE_UNITS; u++) {
                let right = transpose(signals_of(states_of(signal, last, unit + u, k)));
                for (var r = 0u; r < TILE_ROWS; r++) {
                    pairs.of_signals[r][u] = multiply(pairs.of_signals[r][u], left[r], right);
                }
            }
        }
        for (var r = 0u; r < TILE_ROWS; r++) {
            for (var u = 0u; u < TILE_UNITS; u++) {
                norm += add_quad(last, row + r, unit + u, pairs.of_deltas[r][u], pairs.of_signals[r][u]);
            }
        }
    }
    let piece = STATES + network[0].outputs + (work.layer - 1u) * PAIR_TILES + group.y;
    pieces[(group.z * BLOCK + row_of_block) * PIECES + piece] = norm;
}
