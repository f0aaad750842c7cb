// The first layer's part of a trajectory's score where sites are filled: a column is changed by the step that sets its site.
// lib/walk_columns.wgsl declares the same function for all other processes.

@group(0) @binding(3) var<storage, read> fills: array<u32>;

// h of a column, or of the bias if `column` is COLUMNS; `place` is a quad of units of the trajectory.
fn first_layer_score(block: u32, trajectory: u32, place: u32, column: u32) -> vec4<f32> {
    var h = vec4<f32>();
    if column == COLUMNS || UNSET != 0.0 {
        h = later(block, work.scored_from, place);
    }
    if column < COLUMNS {
        let fill = fills[trajectory * SITES + column / COLUMNS_A_SITE];
        let value = fill & 255u;
        // The first state that has the change; finished objects have them all.
        let state = select(max(work.scored_from, (fill >> 8u) + 1u), 0u, FINISHED);
        h *= UNSET;
        if COLUMNS_A_SITE == 1u || column % COLUMNS_A_SITE == value {
            let amount = weights[CHANGES + value / 4u][value % 4u];
            h = fma(vec4(amount), later(block, state, place), h);
        }
    }
    return h;
}
