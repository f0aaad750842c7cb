// The first layer's part of what is added up over trajectories: its columns and its bias.
//
//   h of the bias = S_0                              S_s = sum of delta_0 over the scored states from s on
//   h of a column = UNSET * S_0 + amount * S_(s+1)   s the step that changed the column by amount, if one did
//
// `slopes` of the first layer hold S (first_backward.wgsl). What is made of h, with the trajectory's coefficient, says the
// tally (lib/sum.wgsl and its likes). Trajectories are added up block by block, blocks one after the other.
// One invocation a quad of units; (y) a column, the last one the bias.

@group(0) @binding(2) var<storage, read> weights: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> fills: array<u32>;
@group(0) @binding(4) var<storage, read> slopes: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> coefficients: array<f32>;
@group(0) @binding(6) var<storage, read_write> gradient: array<vec4<f32>>;

fn store(slice: u32, list: u32, place: u32, value: vec4<f32>) {
    gradient[list * GRADIENT + place] += value;
}

// The sum of deltas from a state on; there is none after the last.
fn later(block: u32, state: u32, place: u32) -> vec4<f32> {
    if state >= STATES {
        return vec4<f32>();
    }
    return slopes[slot(block, state) * STEP_SIZE + network[0].place + place];
}

@compute @workgroup_size(BLOCK)
fn first_gradient(@builtin(global_invocation_id) launched: vec3<u32>) {
    let id = invocation_of(launched);
    let width = network[0].outputs;
    let unit = id.x;
    let column = id.y;
    if unit < width {
        let place = network[0].gradient + column * width + unit;
        for (var block = 0u; block < work.blocks; block++) {
            var tally = fresh(place);
            let rows = rows_of(block);
            for (var row = 0u; row < rows; row++) {
                let trajectory = (work.block + block) * BLOCK + row;
                var h = vec4<f32>();
                if column == COLUMNS || UNSET != 0.0 {
                    h = later(block, work.scored_from, row * width + unit);
                }
                if column < COLUMNS {
                    let fill = fills[trajectory * SITES + column / COLUMNS_A_SITE];
                    let value = fill & 255u;
                    // The first state that has the change; finished objects have them all.
                    let state = select(max(work.scored_from, (fill >> 8u) + 1u), 0u, FINISHED);
                    h *= UNSET;
                    if COLUMNS_A_SITE == 1u || column % COLUMNS_A_SITE == value {
                        let amount = weights[CHANGES + value / 4u][value % 4u];
                        h = fma(vec4(amount), later(block, state, row * width + unit), h);
                    }
                }
                tally = take(tally, coefficients[trajectory], h);
            }
            finish(tally, 0u, place);
        }
    }
}
