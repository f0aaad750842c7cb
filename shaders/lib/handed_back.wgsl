// What the derivatives at a network's outputs hand back to the last hidden layer:
//
//   sum over outputs of derivative * head row
//
// Outputs and their derivatives are those of lib/choice.wgsl, lib/masked_choice.wgsl or lib/single.wgsl.

#define_import_path wgflow::handed_back
#import wgflow::constants::{HEAD, LAYERS, OUTPUTS}
#import wgflow::weights::weights
#import wgflow::work::network
#ifdef OBJECTS
#import wgflow::single::{derivative, first_output}
#else
#ifdef WALK
#import wgflow::masked_choice::{derivative, first_output}
#else
#import wgflow::choice::{derivative, first_output}
#endif
#endif

// To a quad of units, from the state before a step of a trajectory; `here` is the stored step.
fn handed_back(here: u32, trajectory: u32, step: u32, unit: u32) -> vec4<f32> {
    let width = network[LAYERS - 1u].outputs;
    let first = first_output(trajectory, step);
    var sum = vec4<f32>();
    for (var value = 0u; value < OUTPUTS; value++) {
        let delta = derivative(here, trajectory, step, value);
        sum = fma(vec4(delta), weights[HEAD + (first + value) * width + unit], sum);
    }
    return sum;
}
