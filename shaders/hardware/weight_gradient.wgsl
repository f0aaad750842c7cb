// Gradients of the hidden layers' weights and biases over a slice of the part, CHUNK steps of a block, as weight_gradient.wgsl:
//
//   dW[output][input] = sum over steps and trajectories of c * delta_l[output] * h_(l-1)[input],   db = sum of c * delta_l
//
// `partials` [slice of this dispatch][weight and bias of all hidden layers]; fold.wgsl adds them up in their order.
// Slices are cut at multiples of CHUNK steps, so neither the part nor the dispatch shows in the sums.
// One workgroup takes 8 * GRADIENT_LANES outputs by as many inputs, an invocation a square of 8 x 8 (lib/square.wgsl).
// Operands go through workgroup memory, DEPTH trajectories at a time, the next ones on their way while these are multiplied.
// (x) a tile, then some quads of the bias; (y) a slice, (z) a layer.
//
// Waves on gfx1100: at least 16

#import wgflow::backpropagated::{deltas, signal}
#import wgflow::constants::{BLOCK, CHUNK, DENSE, DENSE_SIZE, GRADIENT_LANES, STATES, STEP_SIZE}
#import wgflow::square::{Square, add_to_square}
#import wgflow::work::{group_of, network, stored_step, work}

@group(0) @binding(9) var<storage, read> coefficients: array<f32>;
@group(0) @binding(13) var<storage, read_write> partials: array<vec4<f32>>;

const GROUP = GRADIENT_LANES * GRADIENT_LANES;
// Quads of a side of a tile, and trajectories of which an invocation loads one quad each.
const SIDE = 2u * GRADIENT_LANES;
const DEPTH = GROUP / SIDE;
// Quads of a bias that a workgroup takes, each by four invocations.
const BIASES = GROUP / 4u;

// [trajectories, alternately][trajectory][quad]
var<workgroup> left: array<vec4<f32>, 2u * GROUP>;
var<workgroup> right: array<vec4<f32>, 2u * GROUP>;

// Where operands lie, in quads: the first step's deltas and signals from the tile on, how many there are from there, and how
// many in all; and the first trajectory of the block.
struct Operands {
    first_delta: u32,
    outputs: u32,
    delta_stride: u32,
    signals: u32,
    inputs: u32,
    signal_stride: u32,
    trajectory: u32,
}

struct Loaded {
    delta: vec4<f32>,
    signals: vec4<f32>,
}

// The `piece`-th DEPTH trajectories of the slice. What lies beyond a layer is not written down in the end.
fn load(operands: Operands, lane: u32, piece: u32) -> Loaded {
    let step = piece / (BLOCK / DEPTH) * STEP_SIZE;
    let row = piece % (BLOCK / DEPTH) * DEPTH + lane / SIDE;
    let output = min(lane % SIDE, operands.outputs - 1u);
    let input = min(lane % SIDE, operands.inputs - 1u);
    let delta = deltas[operands.first_delta + step + row * operands.delta_stride + output];
    let signals = signal(operands.signals + step + row * operands.signal_stride + input);
    return Loaded(coefficients[operands.trajectory + row] * delta, signals);
}

fn place(loaded: Loaded, lane: u32, parity: u32) {
    left[parity * GROUP + lane] = loaded.delta;
    right[parity * GROUP + lane] = loaded.signals;
}

// Writes four rows of a tile, those of the quad `output`, at the quad `input`.
fn put(tile: u32, operands: Operands, output: u32, input: u32, sum: mat4x4<f32>) {
    if output < operands.outputs && input < operands.inputs {
        let at = tile + 4u * output * operands.signal_stride + input;
        partials[at] = sum[0];
        partials[at + operands.signal_stride] = sum[1];
        partials[at + 2u * operands.signal_stride] = sum[2];
        partials[at + 3u * operands.signal_stride] = sum[3];
    }
}

// The sum of so many trajectories of deltas times their coefficients, of the quad `output`: every fourth one from `first` on.
fn bias_part(operands: Operands, output: u32, first: u32, count: u32) -> vec4<f32> {
    var sum = vec4<f32>();
    for (var i = first; i < count; i += 4u) {
        let row = i % BLOCK;
        let at = operands.first_delta + i / BLOCK * STEP_SIZE + row * operands.delta_stride + output;
        sum = fma(vec4(coefficients[operands.trajectory + row]), deltas[at], sum);
    }
    return sum;
}

@compute @workgroup_size(GROUP)
fn hardware_weight_gradient(
    @builtin(local_invocation_index) lane: u32,
    @builtin(workgroup_id) launched: vec3<u32>,
) {
    let group = group_of(launched);
    let layer = network[group.z + 1u];
    let before = network[group.z];
    let across = (layer.inputs + SIDE - 1u) / SIDE;
    let tiles = (layer.outputs + SIDE - 1u) / SIDE * across;
    let chunks = (STATES + CHUNK - 1u) / CHUNK;
    let slice = work.first_slice + group.y;
    let begin = max(slice % chunks * CHUNK, work.scored_from);
    let end = max(min((slice % chunks + 1u) * CHUNK, STATES), begin);
    let here = stored_step(slice / chunks, begin) * STEP_SIZE;
    let partial = group.y * DENSE_SIZE - DENSE;
    let trajectory = (work.block + slice / chunks) * BLOCK;

    if group.x < tiles {
        let output = group.x / across * SIDE;
        let input = group.x % across * SIDE;
        let operands = Operands(
            here + layer.offset + output,
            layer.outputs - output,
            layer.outputs,
            here + before.offset + input,
            layer.inputs - input,
            layer.inputs,
            trajectory,
        );
        let column = lane % GRADIENT_LANES;
        let row = lane / GRADIENT_LANES;
        let pieces = (end - begin) * (BLOCK / DEPTH);
        var square = Square();
        if pieces > 0u {
            place(load(operands, lane, 0u), lane, 0u);
        }
        workgroupBarrier();
        for (var piece = 0u; piece < pieces; piece++) {
            let parity = piece % 2u;
            let next = load(operands, lane, min(piece + 1u, pieces - 1u));
            for (var k = 0u; k < DEPTH; k++) {
                let at = parity * GROUP + k * SIDE + row;
                let to = parity * GROUP + k * SIDE + column;
                let lower = left[at + GRADIENT_LANES];
                square = add_to_square(square, left[at], lower, right[to], right[to + GRADIENT_LANES]);
            }
            place(next, lane, 1u - parity);
            workgroupBarrier();
        }
        let offset = partial + layer.gradient + 4u * output * layer.inputs + input;
        put(offset, operands, row, column, square.upper_left);
        put(offset, operands, row, column + GRADIENT_LANES, square.upper_right);
        put(offset, operands, row + GRADIENT_LANES, column, square.lower_left);
        put(offset, operands, row + GRADIENT_LANES, column + GRADIENT_LANES, square.lower_right);
    } else {
        let operands = Operands(here + layer.offset, layer.outputs, layer.outputs, 0u, 0u, 0u, trajectory);
        let output = (group.x - tiles) * BIASES + lane % BIASES;
        if output < layer.outputs {
            left[lane] = bias_part(operands, output, lane / BIASES, (end - begin) * BLOCK);
        }
        workgroupBarrier();
        if output < layer.outputs && lane < BIASES {
            let sum = (left[lane] + left[lane + BIASES]) + (left[lane + 2u * BIASES] + left[lane + 3u * BIASES]);
            partials[partial + layer.gradient_bias + output] = sum;
        }
    }
}
