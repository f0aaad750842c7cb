// A column added at step s changes the first layer's pre-activation of every later state, so its gradient is a sum over
// those states. Written over the first layer's deltas, from the last state back:
//
//   deltas of the first layer at t  <-  sum over t' >= t of delta_0(t')
//
// One invocation a quad of units of a trajectory; (y) a block.

#import wgflow::constants::{BLOCK, STATES, STEP_SIZE}
#import wgflow::deltas::{delta_at, deltas}
#import wgflow::work::{invocation_of, network, stored_step, work}

@compute @workgroup_size(BLOCK)
fn first_backward(@builtin(global_invocation_id) launched: vec3<u32>) {
    let id = invocation_of(launched);
    var sum = vec4<f32>();
    for (var left = STATES; left > work.scored_from; left--) {
        let at = stored_step(id.y, left - 1u) * STEP_SIZE + network[0].offset + id.x;
        sum += delta_at(at);
        deltas[at] = sum;
    }
}
