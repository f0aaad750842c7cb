// The first layer's part of the square norm of each trajectory's gradient, its bias and its columns:
//
//   |S_0|^2 + sum over sites of |UNSET * S_0 + amount * S_(s+1)|^2            as in first_gradient.wgsl
//
// Columns that no step changes exist in one-hot inputs only, where UNSET is 0.
// `pieces` [trajectory of this dispatch][piece]; these come after those of the states.
// One invocation a quad of units of a trajectory; (y) a block.

@group(0) @binding(2) var<storage, read> weights: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> actions: array<u32>;
@group(0) @binding(4) var<storage, read> slopes: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> pieces: array<f32>;

@compute @workgroup_size(BLOCK)
fn first_norms(@builtin(global_invocation_id) launched: vec3<u32>) {
    let id = invocation_of(launched);
    let width = network[0].outputs;
    let row = id.x / width;
    let block = work.first_slice + id.y;
    let trajectory = (work.block + block) * BLOCK + row;
    let place = network[0].place + id.x;
    let all = slopes[slot(block, work.scored_from) * STEP_SIZE + place];
    var norm = dot(all, all);
    for (var step = 0u; step < SITES; step++) {
        var h = UNSET * all;
        let state = max(work.scored_from, step + 1u);
        if state < STATES {
            let value = actions[trajectory * SITES + step] % VALUES;
            let amount = weights[CHANGES + value / 4u][value % 4u];
            h = fma(vec4(amount), slopes[slot(block, state) * STEP_SIZE + place], h);
        }
        norm += dot(h, h);
    }
    pieces[(id.y * BLOCK + row) * PIECES + STATES + id.x % width] = norm;
}
