// The first layer's part of a trajectory's score where lib/walk.wgsl has written down what each step changes. Function as in
// lib/site_columns.wgsl.

#define_import_path wgflow::walk_columns
#import wgflow::constants::{COLUMNS, MAX_STEPS}
#import wgflow::later::later
#import wgflow::walk::{changes_of, walks}
#import wgflow::weights::initial_input
#import wgflow::work::work

fn first_layer_score(block: u32, trajectory: u32, unit: u32, column: u32) -> vec4<f32> {
    var h = later(block, work.scored_from, unit);
    if column < COLUMNS {
        h *= initial_input(column);
        for (var step = 0u; step < MAX_STEPS; step++) {
            let change = changes_of(trajectory, step);
            let state = max(work.scored_from, step + 1u);
            for (var i = change; i < change + 4u; i += 2u) {
                let amount = bitcast<f32>(walks[i + 1u]);
                if walks[i] == column && amount != 0.0 {
                    h = fma(vec4(amount), later(block, state, unit), h);
                }
            }
        }
    }
    return h;
}
