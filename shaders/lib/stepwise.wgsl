// What a step's log-probability weighs in what is differentiated, where every step has a coefficient of its own
// [trajectory of the batch][list][step]. See
// lib/whole.wgsl.

#define_import_path wgflow::stepwise
#import wgflow::constants::{MAX_STEPS, STEP_LISTS}

@group(0) @binding(10) var<storage, read> step_coefficients: array<f32>;

fn step_weight(trajectory: u32, list: u32, step: u32) -> f32 {
    return step_coefficients[(trajectory * STEP_LISTS + list) * MAX_STEPS + step];
}
