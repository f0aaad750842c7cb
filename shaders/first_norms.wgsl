// The first layer's part of the square norm of each trajectory's gradient, its bias and its columns:
//
//   |S_0|^2 + sum over sites of |UNSET * S_0 + amount * S_(s+1)|^2            as in first_gradient.wgsl
//
// Columns that no step changes exist in one-hot inputs only, where UNSET is 0.
// `pieces` [trajectory of this dispatch][piece]; these come after those of the states.
// One invocation a quad of units of a trajectory; (y) a block.

#import wgflow::backpropagated::deltas
#import wgflow::batch::action_of
#import wgflow::constants::{BLOCK, PIECES, SITES, STATES, STEP_SIZE, UNSET, VALUES}
#import wgflow::weights::change_of
#import wgflow::work::{invocation_of, network, stored_step, work}

@group(0) @binding(15) var<storage, read_write> pieces: array<f32>;

@compute @workgroup_size(BLOCK)
fn first_norms(@builtin(global_invocation_id) launched: vec3<u32>) {
    let id = invocation_of(launched);
    let width = network[0].outputs;
    let row = id.x / width;
    let block = work.first_slice + id.y;
    let trajectory = (work.block + block) * BLOCK + row;
    let unit = network[0].offset + id.x;
    let all = deltas[stored_step(block, work.scored_from) * STEP_SIZE + unit];
    var norm = dot(all, all);
    for (var step = 0u; step < SITES; step++) {
        var h = UNSET * all;
        let state = max(work.scored_from, step + 1u);
        if state < STATES {
            let amount = change_of(action_of(trajectory, step) % VALUES);
            h = fma(vec4(amount), deltas[stored_step(block, state) * STEP_SIZE + unit], h);
        }
        norm += dot(h, h);
    }
    pieces[(id.y * BLOCK + row) * PIECES + STATES + id.x % width] = norm;
}
