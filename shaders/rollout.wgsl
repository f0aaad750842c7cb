// Trajectories step by step: the policy's log-probability of each action, and the action itself where it is drawn.
//
//   z_0   = z_empty + sum over the steps so far of amount * column          a column or two more a step
//   h_0   = f(z_0),   h_l = f(W_l h_(l-1) + b_l)                            all hidden layers
//   logit = <head row, h_last> + bias (+ g)                                 of the OUTPUTS that the state uses
//   p     = softmax(logit),   log prob = log p[choice]
//   choice = the first with p[0] + .. + p[choice] > u,   u the second word of (trajectory, step)
//
// g is what a guide knows of the state (lib/filled.wgsl), where there is one. Which outputs these are, and how one is chosen: lib/site_choose.wgsl, lib/masked_choose.wgsl.
//
// Reads weights, and writes actions, log_probs, and for the gradient activations h, slopes f'(z) (see lib/signals.wgsl) and probabilities p.
// `state` holds z_0, from the start of each chain (start.wgsl) on.
//
// One workgroup takes ROLLOUT_ROWS trajectories through all of its steps, with no other synchronisation than barriers
// between layers. Actions known beforehand need no such long chain: then the steps are dealt out over workgroups (y).
// Layers are those of lib/layers.wgsl.

#import wgflow::constants::{BLOCK, LAYERS, OUTPUTS, ROLLOUT_GROUP, ROLLOUT_ROWS, STEP_SIZE}
#import wgflow::layers::{head_output, hidden_layers}
#import wgflow::signals::keep
#import wgflow::steps_taken::probabilities
#import wgflow::work::{group_of, network, stored_step, work}
#ifdef WALK
#import wgflow::masked_choose::{choose, output_of}
#import wgflow::walk_steps::after_step
#else
#import wgflow::site_choose::{choose, output_of}
#import wgflow::site_steps::after_step
#endif
#ifdef GUIDED
#import wgflow::constants::VALUES
#import wgflow::filled::Filled
#import wgflow::guide::log_reward_increment
#endif

@group(0) @binding(17) var<storage, read_write> state: array<vec4<f32>>;

@compute @workgroup_size(ROLLOUT_GROUP)
fn rollout(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) launched: vec3<u32>) {
    let group = group_of(launched);
    let block = group.x * ROLLOUT_ROWS / BLOCK;
    let first_row = group.x * ROLLOUT_ROWS % BLOCK;
    let first_trajectory = (work.block + block) * BLOCK + first_row;
    let begin = work.first_step + group.y * work.group_steps;
    let end = min(begin + work.group_steps, work.last_step);
    let width = network[0].outputs;
    let states = ((block * work.chains + group.y) * BLOCK + first_row) * width;
    let last = network[LAYERS - 1u];

    for (var step = begin; step < end; step++) {
        let here = stored_step(block, step);
        let first_unit = here * STEP_SIZE + network[0].offset + first_row * width;
        for (var i = lane; i < ROLLOUT_ROWS * width; i += ROLLOUT_GROUP) {
            var z = state[states + i];
            if step > begin {
                z = after_step(z, i % width, first_trajectory + i / width, step - 1u);
            }
            state[states + i] = z;
            keep(first_unit + i, z);
        }
        storageBarrier();

        hidden_layers(lane, here, first_row);

        let heads = here * STEP_SIZE + last.offset + first_row * last.outputs;
        let logits = (here * BLOCK + first_row) * OUTPUTS;
        for (var i = lane; i < ROLLOUT_ROWS * OUTPUTS; i += ROLLOUT_GROUP) {
            let row = i / OUTPUTS;
            let output = output_of(first_trajectory + row, step, i % OUTPUTS);
            var logit = head_output(heads + row * last.outputs, output);
#ifdef GUIDED
            logit += log_reward_increment(Filled(first_trajectory + row, step), output / VALUES, output % VALUES);
#endif
            probabilities[logits + i] = logit;
        }
        storageBarrier();
        for (var row = lane; row < ROLLOUT_ROWS; row += ROLLOUT_GROUP) {
            choose(logits + row * OUTPUTS, first_trajectory + row, step);
        }
        storageBarrier();
    }
}
