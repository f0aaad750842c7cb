// The first layer's part of a trajectory's score where lib/walk.wgsl has written down what each step changes. Function as in
// lib/site_columns.wgsl.

fn first_layer_score(block: u32, trajectory: u32, place: u32, column: u32) -> vec4<f32> {
    var h = later(block, work.scored_from, place);
    if column < COLUMNS {
        h *= weights[INITIAL + column / 4u][column % 4u];
        for (var step = 0u; step < MAX_STEPS; step++) {
            let change = changes_of(trajectory, step);
            let state = max(work.scored_from, step + 1u);
            for (var i = change; i < change + 4u; i += 2u) {
                let amount = bitcast<f32>(walks[i + 1u]);
                if walks[i] == column && amount != 0.0 {
                    h = fma(vec4(amount), later(block, state, place), h);
                }
            }
        }
    }
    return h;
}
