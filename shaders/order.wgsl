// The order in which each trajectory fills its sites, the twin of SiteFilling::fill_order.
//
//   uniform order: for t = 0 .. D:  swap(order[t], order[t + floor(u_t (D - t))]),  u_t the first word of (trajectory, t)
//   fixed order:   order[t] = t
//
// Writes actions[trajectory][t] = order[t] * VALUES, the value still to be chosen.
// One invocation a trajectory, one workgroup a block.

#import wgflow::constants::{BLOCK, SITES, UNIFORM_ORDER, VALUES}
#import wgflow::philox::{philox, pick}
#import wgflow::work::{invocation_of, work}

@group(0) @binding(5) var<storage, read_write> actions: array<u32>;

@compute @workgroup_size(BLOCK)
fn order(@builtin(global_invocation_id) launched: vec3<u32>) {
    let id = invocation_of(launched);
    let trajectory = work.block * BLOCK + id.x;
    let row = trajectory * SITES;
    for (var site = 0u; site < SITES; site++) {
        actions[row + site] = site * VALUES;
    }
    if UNIFORM_ORDER {
        for (var step = 0u; step < SITES; step++) {
            let counter = vec4(work.iteration, work.first_trajectory + trajectory, step, work.stream);
            let other = step + pick(philox(counter, work.key).x, SITES - step);
            let action = actions[row + other];
            actions[row + other] = actions[row + step];
            actions[row + step] = action;
        }
    }
}
