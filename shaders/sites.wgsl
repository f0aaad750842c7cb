// The step at which each site will be set, which a guide asks for before there are values:
//
//   fills[trajectory][site of the action at step t] = 256 t
//
// One invocation a trajectory, one workgroup a block.

#import wgflow::constants::{BLOCK, MAX_STEPS, SITES, VALUES}
#import wgflow::work::{invocation_of, work}

@group(0) @binding(5) var<storage, read> actions: array<u32>;
@group(0) @binding(6) var<storage, read_write> fills: array<u32>;

@compute @workgroup_size(BLOCK)
fn sites(@builtin(global_invocation_id) launched: vec3<u32>) {
    let id = invocation_of(launched);
    let trajectory = work.block * BLOCK + id.x;
    for (var step = 0u; step < MAX_STEPS; step++) {
        fills[trajectory * SITES + actions[trajectory * MAX_STEPS + step] / VALUES] = 256u * step;
    }
}
