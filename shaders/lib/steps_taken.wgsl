// What a rollout writes down step by step: actions and probabilities for other invocations of its workgroup to read.

#define_import_path wgflow::steps_taken

@group(0) @binding(5) @coherent var<storage, read_write> actions: array<u32>;
@group(0) @binding(7) var<storage, read_write> log_probs: array<f32>;
@group(0) @binding(8) @coherent var<storage, read_write> probabilities: array<f32>;
