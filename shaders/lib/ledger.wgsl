// What a training on the device goes on from beside its parameters, and what an iteration of it has found.

#define_import_path wgflow::ledger

struct Counters {
    // Steps of the policy's Adam, and of log Z's.
    steps: u32,
    log_z_steps: u32,
    // Whether the learned log Z has started.
    log_z_started: u32,
    // Iterations skipped one after the other.
    skipped_in_a_row: u32,
    // Not 0 once nothing more is to be done before the host has looked.
    halted: u32,
}

struct Verdict {
    // Of the coefficients: 0 for none, 1 if one is not finite, 2 if a log R is none.
    fault: f32,
    // Whether there is a learned log Z, and the derivative by it.
    log_z_known: f32,
    log_z_derivative: f32,
    // Whether the iteration's step is taken.
    applied: f32,
    // The gradient's norm: scale * root.
    scale: f32,
    root: f32,
    // What the gradient is multiplied by to keep to the bound of its norm.
    clipping: f32,
    // Adam's: the learning rate and the root of the second moment, both corrected for how short the running means have run.
    rate: f32,
    correction: f32,
}

// log Z, and the running means of its derivative and of the derivative's square.
@group(0) @binding(24) var<storage, read_write> log_z: array<vec2<u32>>;
@group(0) @binding(25) var<storage, read_write> counters: Counters;
@group(0) @binding(26) var<storage, read_write> verdict: Verdict;
