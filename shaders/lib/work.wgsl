// What every kernel of the engine shares: the uniforms, and how buffers are laid out.
//
// Trajectories come in blocks of BLOCK. A part of the batch, some whole blocks, is worked on at once. Widths are padded
// so that a row is a whole number of tiles, and are counted in vec4s ("quads") everywhere.
//
//   activations, deltas   [block of the part][step][layer][trajectory of the block][unit]: see lib/signals.wgsl
//   probabilities         [block of the part][step][trajectory of the block][output]
//   actions, log_probs    [trajectory of the batch][step]
//   fills                 [trajectory of the batch][site]: the object's value, plus 256 times the step that filled the site
//                         where sites are filled
//
// A part that is not kept has room for one step a block, which each step overwrites.
//
// A policy sees the state before each of at most MAX_STEPS steps and has OUTPUTS outputs for each: the logits of the VALUES of
// the step's site, or of all ACTIONS.
// A network that gives log R sees finished objects only: then FINISHED is true, and there is one state with one output.
//
// A buffer has one name and one binding number wherever it is bound; src/engine/gpu/kernel.rs binds it by its name.

#define_import_path wgflow::work
#import wgflow::constants::{BLOCK, LAYERS}

struct Work {
    // Philox: the key, and three of the four words of the counter.
    key: vec2<u32>,
    iteration: u32,
    first_trajectory: u32,
    stream: u32,
    // First block of the part, counted in the batch.
    block: u32,
    // Steps that a block has room for in activations, deltas and probabilities.
    room: u32,
    scored_from: u32,
    sampled_from: u32,
    // The steps this dispatch works on, and how many of them a workgroup takes.
    first_step: u32,
    last_step: u32,
    group_steps: u32,
    // Chains of steps of a block, group_steps long.
    chains: u32,
    // The layer this dispatch works on.
    layer: u32,
    // The slices of the weight gradient, or the blocks of the part, that this dispatch works on.
    first_slice: u32,
    slices: u32,
    // Blocks of the part.
    blocks: u32,
    // Trajectories of the batch; the last block is filled up with others, which count for nothing.
    count: u32,
    // Whether activations of the part are h, where z is kept of them at first.
    activated: u32,
    // Lists of gradients that `fold` adds to.
    lists: u32,
    // The first workgroup of this launch among those of the whole dispatch.
    first_x: u32,
    first_y: u32,
    first_z: u32,
    // How choices are drawn (lib/behaviour.wgsl): the probability of one at random, and the reciprocal of the temperature.
    epsilon: f32,
    sharpness: f32,
    // What learning rates and log R are multiplied by in this iteration, where training is on the device.
    rate_factor: f32,
    beta: f32,
    unused: u32,
}

// A hidden layer; sizes and offsets in quads.
struct Layer {
    // Width of the layer before it (0 for the first layer, which is never multiplied out).
    inputs: u32,
    outputs: u32,
    // Transposed weight [input][output] in `weights`; for the first layer one row an input column.
    forward: u32,
    // Weight [output][input] in `weights`.
    backward: u32,
    // Bias in `weights`; for the first layer the pre-activation of the empty object.
    bias: u32,
    // Output, within a step of `activations` and of `deltas`.
    offset: u32,
    // Weight [output][input] in `gradient`, or [column][output] for the first layer, and bias.
    gradient: u32,
    gradient_bias: u32,
}

@group(0) @binding(0) var<uniform> work: Work;
@group(0) @binding(1) var<uniform> network: array<Layer, LAYERS>;

// A dispatch may be launched in pieces. The place of a workgroup in the whole of it:
fn group_of(launched: vec3<u32>) -> vec3<u32> {
    return launched + vec3(work.first_x, work.first_y, work.first_z);
}

// The place of an invocation, where workgroups are rows of BLOCK.
fn invocation_of(launched: vec3<u32>) -> vec3<u32> {
    return launched + vec3(BLOCK * work.first_x, work.first_y, work.first_z);
}

// Where a step of a block of the part is stored, in steps.
fn stored_step(block: u32, step: u32) -> u32 {
    return block * work.room + step % work.room;
}

// Trajectories of a block of the part that are of the batch.
fn rows_of(block: u32) -> u32 {
    return min(BLOCK, work.count - (work.block + block) * BLOCK);
}
