// The head's part of the square norm of each trajectory's gradient. A state uses outputs that no other state uses:
//
//   sum over states of (sum over outputs of derivative^2) * (|h_last|^2 + 1)         rows and biases
//
// `pieces` [trajectory of this dispatch][piece]; the first pieces are those of the states, 0 where a state is not scored.
// (x) a trajectory of the block, (y) a state, (z) a block.

@group(0) @binding(5) var<storage, read> activations: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> pieces: array<f32>;

@compute @workgroup_size(BLOCK)
fn head_norms(@builtin(local_invocation_index) row: u32, @builtin(workgroup_id) launched: vec3<u32>) {
    let group = group_of(launched);
    let step = group.y;
    let block = work.first_slice + group.z;
    let trajectory = (work.block + block) * BLOCK + row;
    let last = network[LAYERS - 1u];
    var norm = 0.0;
    if step >= work.scored_from {
        let here = slot(block, step);
        var squares = 0.0;
        for (var value = 0u; value < OUTPUTS; value++) {
            let delta = derivative(here, trajectory, step, value);
            squares = fma(delta, delta, squares);
        }
        let place = here * STEP_SIZE + last.place + row * last.outputs;
        var signal = vec4<f32>();
        for (var k = 0u; k < last.outputs; k++) {
            signal = fma(activations[place + k], activations[place + k], signal);
        }
        norm = squares * (1.0 + (signal.x + signal.y) + (signal.z + signal.w));
    }
    pieces[(group.z * BLOCK + row) * PIECES + step] = norm;
}
