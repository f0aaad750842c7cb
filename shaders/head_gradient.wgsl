// The head's part of what is added up over trajectories: the row and the bias of each output.
//
//   h of a row  = derivative * h_last at the state that uses the output
//   h of a bias = derivative
//
// An output is used once a trajectory. What is made of h, with the trajectory's coefficient, says the tally (lib/sum.wgsl
// and its likes). Trajectories are added up block by block, blocks one after the other.
// One invocation a quad of units, one more for the bias; (y) an output.

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
        for (var block = 0u; block < work.blocks; block++) {
            var tally = fresh(place);
            let rows = rows_of(block);
            for (var row = 0u; row < rows; row++) {
                let trajectory = (work.block + block) * BLOCK + row;
                let step = step_of(trajectory, output);
                if step >= work.scored_from {
                    let here = slot(block, step);
                    let error = derivative(here, trajectory, step, output % OUTPUTS);
                    // A bias has a quad to itself.
                    var h = vec4(error, 0.0, 0.0, 0.0);
                    if unit < last.outputs {
                        h = error * activations[here * STEP_SIZE + last.place + row * last.outputs + unit];
                    }
                    tally = take(tally, coefficients[trajectory], h);
                }
            }
            finish(tally, 0u, place);
        }
    }
}
