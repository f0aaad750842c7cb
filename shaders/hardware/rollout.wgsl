// Trajectories step by step, as rollout.wgsl, whose equations these are; what invocations exchange goes through workgroup memory.
//
// Reads weights, and writes actions, log_probs, and for the gradient z as activations, and probabilities p.
// `state` holds z_0, from the start of each chain (start.wgsl) on; an invocation goes on from what it wrote itself.
//
// One workgroup takes ROWS trajectories through all of its steps. Actions known beforehand need no such long chain: then the steps
// are dealt out over workgroups (y). Layers are those of lib/shared_layers.wgsl; HEAD_LANES share an output; a trajectory's choice is
// that of one invocation, always the same one.
//
// Waves on gfx1100: at least 12

#import wgflow::constants::{BLOCK, HEAD_LANES, OUTPUTS, STEP_SIZE}
#import wgflow::shape::{GROUP, ROWS}
#import wgflow::shared_layers::{activate_at, head_output, head_part, head_sums, hidden_layers}
#import wgflow::steps_taken::{output_at, probabilities, set_output}
#import wgflow::work::{group_of, network, stored_step, work}
#ifdef WALK
#import wgflow::masked_choose::{choose, output_of}
#import wgflow::shared_walk::{enter, pass_on}
#import wgflow::walk_steps::after_step
#else
#import wgflow::shared_sites::{enter, pass_on}
#import wgflow::site_choose::{choose, output_of}
#import wgflow::site_steps::after_step
#endif
#ifdef GUIDED
#import wgflow::constants::VALUES
#import wgflow::filled::Filled
#import wgflow::guide::log_reward_increment
#endif

@group(0) @binding(17) var<storage, read_write> state: array<vec4<f32>>;

// Outputs that a workgroup takes at once.
const AT_ONCE = GROUP / HEAD_LANES;

// The outputs of all trajectories, a pass of AT_ONCE after the other.
fn heads(lane: u32, first_trajectory: u32, step: u32) {
    for (var first = 0u; first < ROWS * OUTPUTS; first += AT_ONCE) {
        let shared_one = first + lane / HEAD_LANES;
        if shared_one < ROWS * OUTPUTS {
            let row = shared_one / OUTPUTS;
            let output = output_of(first_trajectory + row, step, shared_one % OUTPUTS);
            head_sums[lane] = head_part(row, output, lane % HEAD_LANES);
        }
        workgroupBarrier();
        let own = first + lane;
        if lane < AT_ONCE && own < ROWS * OUTPUTS {
            let trajectory = first_trajectory + own / OUTPUTS;
            let output = output_of(trajectory, step, own % OUTPUTS);
            var logit = head_output(lane, output);
#ifdef GUIDED
            logit += log_reward_increment(Filled(trajectory, step), output / VALUES, output % VALUES);
#endif
            set_output(own, logit);
        }
        workgroupBarrier();
    }
}

@compute @workgroup_size(GROUP)
fn hardware_rollout(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) launched: vec3<u32>) {
    let group = group_of(launched);
    let block = group.x * ROWS / BLOCK;
    let first_row = group.x * ROWS % BLOCK;
    let first_trajectory = (work.block + block) * BLOCK + first_row;
    let begin = work.first_step + group.y * work.group_steps;
    let end = min(begin + work.group_steps, work.last_step);
    let width = network[0].outputs;
    let states = ((block * work.chains + group.y) * BLOCK + first_row) * width;

    if lane < ROWS {
        enter(first_trajectory + lane, begin);
    }
    for (var step = begin; step < end; step++) {
        let here = stored_step(block, step);
        let first_unit = here * STEP_SIZE + network[0].offset + first_row * width;
        for (var i = lane; i < ROWS * width; i += GROUP) {
            var z = state[states + i];
            if step > begin {
                z = after_step(z, i % width, first_trajectory + i / width, step - 1u);
                state[states + i] = z;
            }
            activate_at(first_unit + i, i, z);
        }
        hidden_layers(lane, here, first_row);
        heads(lane, first_trajectory, step);
        if lane < ROWS {
            choose(lane * OUTPUTS, first_trajectory + lane, step);
            pass_on(first_trajectory + lane, step);
        }
        workgroupBarrier();
        for (var i = lane; i < ROWS * OUTPUTS; i += GROUP) {
            probabilities[(here * BLOCK + first_row) * OUTPUTS + i] = output_at(i);
        }
    }
}
