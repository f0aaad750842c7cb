// The head's part of what is added up over trajectories: the row and the bias of each output.
//
//   h of a row  = sum over the states that use the output of derivative * h_last
//   h of a bias = sum of derivative
//
// What is made of h, with the trajectory's coefficient, says the tally (lib/sum.wgsl
// and its likes). Trajectories are added up block by block, blocks one after the other.
// One invocation a quad of units, one more for the bias; (y) an output. The blocks are those from first_slice on.

@group(0) @binding(5) var<storage, read> coefficients: array<f32>;
@group(0) @binding(6) var<storage, read> activations: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> gradient: array<vec4<f32>>;

fn store(slice: u32, list: u32, place: u32, value: vec4<f32>) {
    gradient[list * GRADIENT + place] += value;
}

@compute @workgroup_size(BLOCK)
fn head_gradient(@builtin(global_invocation_id) launched: vec3<u32>) {
    let id = invocation_of(launched);
    let last = network[LAYERS - 1u];
    let unit = id.x;
    let output = id.y;
    if unit <= last.outputs {
        var place = HEAD_GRADIENT + output * last.outputs + unit;
        if unit == last.outputs {
            place = HEAD_BIAS_GRADIENT + output;
        }
        for (var block = work.first_slice; block < work.first_slice + work.slices; block++) {
            var tally = fresh(place);
            let rows = rows_of(block);
            for (var row = 0u; row < rows; row++) {
                let trajectory = (work.block + block) * BLOCK + row;
                let steps = uses(trajectory, output);
                let first = max(steps.x, work.scored_from);
                var h = vec4<f32>();
                for (var step = first; step < steps.y; step++) {
                    let here = slot(block, step);
                    let error = derivative(here, trajectory, step, output % OUTPUTS);
                    if unit < last.outputs {
                        h += error * activations[here * STEP_SIZE + last.place + row * last.outputs + unit];
                    } else {
                        // A bias has a quad to itself.
                        h.x += error;
                    }
                }
                if first < steps.y {
                    tally = take(tally, coefficients[trajectory], h);
                }
            }
            finish(tally, 0u, place);
        }
    }
}
