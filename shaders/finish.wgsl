// Finished trajectories: what filled each site, and the log-probability of the scored steps.
//
//   fills[trajectory][site of the action at step t] = 256 t + value
//   log_forward[trajectory] = sum over t >= scored_from of scores[trajectory][t], with Kahan's compensation
//
// One invocation a trajectory, one workgroup a block.

@group(0) @binding(2) var<storage, read> actions: array<u32>;
@group(0) @binding(3) var<storage, read> scores: array<f32>;
@group(0) @binding(4) var<storage, read_write> fills: array<u32>;
@group(0) @binding(5) var<storage, read_write> log_forward: array<f32>;

@compute @workgroup_size(BLOCK)
fn finish(@builtin(global_invocation_id) launched: vec3<u32>) {
    let id = invocation_of(launched);
    let trajectory = work.block * BLOCK + id.x;
    let row = trajectory * SITES;
    for (var step = 0u; step < SITES; step++) {
        let action = actions[row + step];
        fills[row + action / VALUES] = step * 256u + action % VALUES;
    }
    var sum = 0.0;
    var lost = 0.0;
    for (var step = work.scored_from; step < SITES; step++) {
        let term = scores[row + step] - lost;
        let next = sum + term;
        lost = (next - sum) - term;
        sum = next;
    }
    log_forward[trajectory] = sum;
}
