// The order in which each trajectory fills its sites, as order.wgsl: the same swaps of the same numbers.
//
//   uniform order: for t = 0 .. D:  swap(order[t], order[t + floor(u_t (D - t))]),  u_t the first word of (trajectory, t)
//   fixed order:   order[t] = t
//
// Writes actions[trajectory][t] = order[t] * VALUES, the value still to be chosen.
// One workgroup takes ORDERED trajectories. All random numbers are drawn side by side; swaps, which are not, are done in workgroup
// memory, by one invocation a trajectory.
//
// Waves on gfx1100: at least 16

#import wgflow::constants::{BLOCK, ORDERED, SITES, UNIFORM_ORDER, VALUES}
#import wgflow::philox::{philox, pick}
#import wgflow::work::{group_of, work}

@group(0) @binding(5) var<storage, read_write> actions: array<u32>;

// [trajectory][step]: the site, and the step whose site it is swapped with.
var<workgroup> sites: array<u32, ORDERED * SITES>;
var<workgroup> others: array<u32, ORDERED * SITES>;

@compute @workgroup_size(BLOCK)
fn hardware_order(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) launched: vec3<u32>) {
    let first = work.block * BLOCK + group_of(launched).x * ORDERED;
    for (var i = lane; i < ORDERED * SITES; i += BLOCK) {
        let step = i % SITES;
        sites[i] = step;
        if UNIFORM_ORDER {
            let counter = vec4(work.iteration, work.first_trajectory + first + i / SITES, step, work.stream);
            others[i] = step + pick(philox(counter, work.key).x, SITES - step);
        }
    }
    workgroupBarrier();
    if UNIFORM_ORDER && lane < ORDERED {
        for (var step = lane * SITES; step < (lane + 1u) * SITES; step++) {
            let other = lane * SITES + others[step];
            let site = sites[other];
            sites[other] = sites[step];
            sites[step] = site;
        }
    }
    workgroupBarrier();
    for (var i = lane; i < ORDERED * SITES; i += BLOCK) {
        actions[first * SITES + i] = sites[i] * VALUES;
    }
}
