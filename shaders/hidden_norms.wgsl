// A hidden layer's part of the square norm of each trajectory's gradient, its weight and its bias:
//
//   |sum over states t of outer(delta_t, h_t)|^2 + |sum of delta_t|^2 = sum over t, u of <delta_t, delta_u> (<h_t, h_u> + 1)
//
// where delta is that of layer l and h that of layer l - 1. So no gradient is formed, only products of states: T^2 / 2 of
// them, each as long as a layer is wide. Pairs t < u count twice.
// `pieces` [trajectory of this dispatch][piece]; sum_norms.wgsl adds them up.
// Register tiles of pairs (lib/multiply.wgsl, and lib/tile.wgsl for $R and $U): (x) a trajectory of the block, (y) a tile,
// (z) a block.

@group(0) @binding(2) var<storage, read> activations: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> slopes: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> pieces: array<f32>;

// Four states of a trajectory from state 4 * quad on, at its k-th quad of units; `last` in place of any beyond it.
fn deltas(place: u32, last: u32, quad: u32, k: u32) -> mat4x4<f32> {
    let state = 4u * quad;
    return mat4x4(
        slopes[place + min(state, last) * STEP_SIZE + k],
        slopes[place + min(state + 1u, last) * STEP_SIZE + k],
        slopes[place + min(state + 2u, last) * STEP_SIZE + k],
        slopes[place + min(state + 3u, last) * STEP_SIZE + k],
    );
}

fn signals(place: u32, last: u32, quad: u32, k: u32) -> mat4x4<f32> {
    let state = 4u * quad;
    return mat4x4(
        activations[place + min(state, last) * STEP_SIZE + k],
        activations[place + min(state + 1u, last) * STEP_SIZE + k],
        activations[place + min(state + 2u, last) * STEP_SIZE + k],
        activations[place + min(state + 3u, last) * STEP_SIZE + k],
    );
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
    let here = slot(work.first_slice + group.z, work.scored_from) * STEP_SIZE;
    let last = STATES - 1u - work.scored_from;
    var norm = 0.0;
    // Other tiles have no pair with t <= u.
    if row < unit + TILE_UNITS && 4u * unit <= last {
        let delta = here + layer.place + row_of_block * layer.outputs;
        var of_deltas$R$U = mat4x4<f32>();
        for (var k = 0u; k < layer.outputs; k++) {
            let left$R = deltas(delta, last, row + $Ru, k);
            let right$U = transpose(deltas(delta, last, unit + $Uu, k));
            of_deltas$R$U = multiply(of_deltas$R$U, left$R, right$U);
        }
        let signal = here + before.place + row_of_block * layer.inputs;
        var of_signals$R$U = mat4x4<f32>();
        for (var k = 0u; k < layer.inputs; k++) {
            let left$R = signals(signal, last, row + $Ru, k);
            let right$U = transpose(signals(signal, last, unit + $Uu, k));
            of_signals$R$U = multiply(of_signals$R$U, left$R, right$U);
        }
        norm += add_quad(last, row + $Ru, unit + $Uu, of_deltas$R$U, of_signals$R$U);
    }
    let place = STATES + network[0].outputs + (work.layer - 1u) * PAIR_TILES + group.y;
    pieces[(group.z * BLOCK + row_of_block) * PIECES + place] = norm;
}
