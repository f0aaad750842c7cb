// The head's part of the square norm of each trajectory's gradient. A state uses outputs that no other state uses:
//
//   sum over states of (sum over outputs of derivative^2) * (|h_last|^2 + 1)         rows and biases
//
// `pieces` [trajectory of this dispatch][piece]; the first pieces are those of the states, 0 where a state is not scored.
// (x) a trajectory of the block, (y) a state, (z) a block.

#import wgflow::backpropagated::activations
#import wgflow::constants::{BLOCK, LAYERS, OUTPUTS, PIECES, STEP_SIZE}
#import wgflow::work::{group_of, network, stored_step, work}
#ifdef OBJECTS
#import wgflow::single::{derivative}
#else
#ifdef WALK
#import wgflow::masked_choice::{derivative}
#else
#import wgflow::choice::{derivative}
#endif
#endif

@group(0) @binding(15) var<storage, read_write> pieces: array<f32>;

@compute @workgroup_size(BLOCK)
fn head_norms(@builtin(local_invocation_index) row: u32, @builtin(workgroup_id) launched: vec3<u32>) {
    let group = group_of(launched);
    let step = group.y;
    let block = work.first_slice + group.z;
    let trajectory = (work.block + block) * BLOCK + row;
    let last = network[LAYERS - 1u];
    var norm = 0.0;
    if step >= work.scored_from {
        let here = stored_step(block, step);
        var squares = 0.0;
        for (var value = 0u; value < OUTPUTS; value++) {
            let delta = derivative(here, trajectory, step, value);
            squares = fma(delta, delta, squares);
        }
        let first = here * STEP_SIZE + last.offset + row * last.outputs;
        var signal = vec4<f32>();
        for (var k = 0u; k < last.outputs; k++) {
            signal = fma(activations[first + k], activations[first + k], signal);
        }
        norm = squares * (1.0 + (signal.x + signal.y) + (signal.z + signal.w));
    }
    pieces[(group.z * BLOCK + row) * PIECES + step] = norm;
}
