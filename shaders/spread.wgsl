// The parameters of a network, in the order of a gradient, to the weights that kernels read: both directions of a hidden
// layer, and biases side by side.
//
//   forward [input][output] <- transposed,   backward [output][input] <- as it is,   HEAD_BIAS[output] <- first number of its quad
//
// `start` is the first layer's pre-activation before the first action. CHANGES is not touched.
// (x) a quad of a layer, the bias after the weight; (y) a layer, the head last.

#import wgflow::constants::{BLOCK, COLUMNS, HEAD, HEAD_BIAS, HEAD_BIAS_GRADIENT, HEAD_GRADIENT, HEAD_ROWS, LAYERS}
#import wgflow::work::{invocation_of, network}

@group(0) @binding(2) var<storage, read_write> weights: array<vec4<f32>>;
@group(0) @binding(21) var<storage, read> parameters: array<vec4<f32>>;
@group(0) @binding(22) var<storage, read> start: array<vec4<f32>>;

fn spread_first(i: u32) {
    let layer = network[0];
    let size = COLUMNS * layer.outputs;
    if i < size {
        weights[layer.forward + i] = parameters[layer.gradient + i];
    } else if i < size + layer.outputs {
        weights[layer.bias + i - size] = start[i - size];
    }
}

fn spread_hidden(index: u32, i: u32) {
    let layer = network[index];
    let size = 4u * layer.inputs * layer.outputs;
    if i < size {
        weights[layer.backward + i] = parameters[layer.gradient + i];
        let input = i / layer.outputs;
        let at = layer.gradient + 4u * (i % layer.outputs) * layer.inputs + input / 4u;
        weights[layer.forward + i] = vec4(
            parameters[at][input % 4u],
            parameters[at + layer.inputs][input % 4u],
            parameters[at + 2u * layer.inputs][input % 4u],
            parameters[at + 3u * layer.inputs][input % 4u],
        );
    } else if i < size + layer.outputs {
        weights[layer.bias + i - size] = parameters[layer.gradient_bias + i - size];
    }
}

fn spread_head(i: u32) {
    let size = HEAD_ROWS * network[LAYERS - 1u].outputs;
    if i < size {
        weights[HEAD + i] = parameters[HEAD_GRADIENT + i];
    } else if i < size + (HEAD_ROWS + 3u) / 4u {
        var bias = vec4<f32>();
        for (var j = 0u; j < 4u; j++) {
            let output = 4u * (i - size) + j;
            if output < HEAD_ROWS {
                bias[j] = parameters[HEAD_BIAS_GRADIENT + output].x;
            }
        }
        weights[HEAD_BIAS + i - size] = bias;
    }
}

@compute @workgroup_size(BLOCK)
fn spread(@builtin(global_invocation_id) launched: vec3<u32>) {
    let id = invocation_of(launched);
    if id.y == 0u {
        spread_first(id.x);
    } else if id.y < LAYERS {
        spread_hidden(id.y, id.x);
    } else {
        spread_head(id.x);
    }
}
