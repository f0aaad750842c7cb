// Square norms of trajectories' gradients:
//
//   norms[trajectory] = ((pieces[trajectory][0] + pieces[trajectory][1]) + pieces[trajectory][2]) + ..
//
// One invocation a trajectory, one workgroup a block.

#import wgflow::constants::{BLOCK, PIECES}
#import wgflow::work::{invocation_of, work}

@group(0) @binding(15) var<storage, read> pieces: array<f32>;
@group(0) @binding(23) var<storage, read_write> norms: array<f32>;

@compute @workgroup_size(BLOCK)
fn sum_norms(@builtin(global_invocation_id) launched: vec3<u32>) {
    let id = invocation_of(launched);
    var sum = 0.0;
    for (var piece = 0u; piece < PIECES; piece++) {
        sum += pieces[id.x * PIECES + piece];
    }
    norms[(work.block + work.first_slice) * BLOCK + id.x] = sum;
}
