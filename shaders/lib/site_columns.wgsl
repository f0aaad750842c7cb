// The first layer's part of a trajectory's score where sites are filled: a column is changed by the step that sets its site.
// lib/walk_columns.wgsl declares the same function for all other processes.

#define_import_path wgflow::site_columns
#import wgflow::batch::fill_of
#import wgflow::constants::{COLUMNS, COLUMNS_A_SITE, FINISHED, UNSET}
#import wgflow::later::later
#import wgflow::weights::change_of
#import wgflow::work::work

// h of a column, or of the bias if `column` is COLUMNS; `unit` is a quad of units of the trajectory.
fn first_layer_score(block: u32, trajectory: u32, unit: u32, column: u32) -> vec4<f32> {
    var h = vec4<f32>();
    if column == COLUMNS || UNSET != 0.0 {
        h = later(block, work.scored_from, unit);
    }
    if column < COLUMNS {
        let fill = fill_of(trajectory, column / COLUMNS_A_SITE);
        let value = fill & 255u;
        // The first state that has the change; finished objects have them all.
        let state = select(max(work.scored_from, (fill >> 8u) + 1u), 0u, FINISHED);
        h *= UNSET;
        if COLUMNS_A_SITE == 1u || column % COLUMNS_A_SITE == value {
            let amount = change_of(value);
            h = fma(vec4(amount), later(block, state, unit), h);
        }
    }
    return h;
}
