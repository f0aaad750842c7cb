// Finished trajectories: the object of each (lib/site_object.wgsl, lib/walk_object.wgsl), and the log-probability of the
// scored steps.
//
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
    let row = trajectory * MAX_STEPS;
    note_object(trajectory);
    var sum = 0.0;
    var lost = 0.0;
    for (var step = work.scored_from; step < MAX_STEPS; step++) {
        let term = scores[row + step] - lost;
        let next = sum + term;
        lost = (next - sum) - term;
        sum = next;
    }
    log_forward[trajectory] = sum;
}
