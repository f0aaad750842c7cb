// What a rollout writes down step by step. Outputs of a state become probabilities; those of all trajectories of a workgroup are for
// its invocations to read: in the buffer itself, or in workgroup memory (SHARED), where they begin at 0.

#define_import_path wgflow::steps_taken

@group(0) @binding(7) var<storage, read_write> log_probs: array<f32>;
#ifdef SHARED
#import wgflow::constants::OUTPUTS
#import wgflow::shape::ROWS

@group(0) @binding(5) var<storage, read_write> actions: array<u32>;
@group(0) @binding(8) var<storage, read_write> probabilities: array<f32>;
var<workgroup> shared_outputs: array<f32, ROWS * OUTPUTS>;

fn output_at(i: u32) -> f32 {
    return shared_outputs[i];
}

fn set_output(i: u32, value: f32) {
    shared_outputs[i] = value;
}
#else
@group(0) @binding(5) @coherent var<storage, read_write> actions: array<u32>;
@group(0) @binding(8) @coherent var<storage, read_write> probabilities: array<f32>;

fn output_at(i: u32) -> f32 {
    return probabilities[i];
}

fn set_output(i: u32, value: f32) {
    probabilities[i] = value;
}
#endif
