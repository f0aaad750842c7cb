// Back through one hidden layer, all steps at once, as dense_backward.wgsl:
//
//   delta_(l-1) = (W_l^T delta_l) * f'(z_(l-1))
//
// One workgroup takes the BLOCK trajectories of a step and 8 * BACKWARD_LANES units, an invocation a square of 8 x 8
// (lib/square.wgsl). Operands go through workgroup memory in slices of 8 outputs of the layer, the next one on its way
// while this one is multiplied. (x) a step and a tile of units, (y) a block.
//
// Waves on gfx1100: at least 14

#import wgflow::constants::{BACKWARD_LANES, BLOCK, STEP_SIZE}
#import wgflow::deltas::{delta_at, put_delta}
#import wgflow::square::{Square, add_to_square}
#import wgflow::weights::weights
#import wgflow::work::{group_of, network, stored_step, work}

const GROUP = 8u * BACKWARD_LANES;
// Quads of a slice: four trajectories of an output each, and four units of an output.
const ROW_QUADS = BLOCK / 4u;
const LEFT_SIZE = 8u * ROW_QUADS;
const UNIT_QUADS = 2u * BACKWARD_LANES;
const RIGHT_SIZE = 8u * UNIT_QUADS;

// [slice, alternately][output of the slice][quad]
var<workgroup> left: array<vec4<f32>, 2u * LEFT_SIZE>;
var<workgroup> right: array<vec4<f32>, 2u * RIGHT_SIZE>;

// Where operands lie, in quads: the deltas of the step's first trajectory, the weights of the tile's first unit, how many units there
// are from there on, and the sizes of the layer.
struct Operands {
    deltas: u32,
    matrix: u32,
    units: u32,
    inputs: u32,
    outputs: u32,
}

// What an invocation loads of a slice: a trajectory's deltas, where there is one for it, and a unit's weights from two outputs.
struct Loaded {
    deltas: vec4<f32>,
    upper: vec4<f32>,
    lower: vec4<f32>,
}

fn weights_at(operands: Operands, output: u32, unit: u32) -> vec4<f32> {
    let row = min(output, 4u * operands.outputs - 1u);
    return weights[operands.matrix + row * operands.inputs + min(unit, operands.units - 1u)];
}

// What lies beyond a layer has no deltas, and weights that do not matter.
fn load(operands: Operands, lane: u32, slice: u32) -> Loaded {
    var loaded = Loaded();
    let quad = 2u * slice + lane % 2u;
    if lane < 2u * BLOCK && quad < operands.outputs {
        loaded.deltas = delta_at(operands.deltas + lane / 2u * operands.outputs + quad);
    }
    let output = 8u * slice + lane / UNIT_QUADS;
    loaded.upper = weights_at(operands, output, lane % UNIT_QUADS);
    loaded.lower = weights_at(operands, output + GROUP / UNIT_QUADS, lane % UNIT_QUADS);
    return loaded;
}

// Puts it where slices of this parity are. Deltas are turned, so that four trajectories are a quad.
fn place(loaded: Loaded, lane: u32, parity: u32) {
    if lane < 2u * BLOCK {
        let row = lane / 2u;
        let at = parity * LEFT_SIZE + lane % 2u * 4u * ROW_QUADS + row / 4u;
        left[at][row % 4u] = loaded.deltas.x;
        left[at + ROW_QUADS][row % 4u] = loaded.deltas.y;
        left[at + 2u * ROW_QUADS][row % 4u] = loaded.deltas.z;
        left[at + 3u * ROW_QUADS][row % 4u] = loaded.deltas.w;
    }
    right[parity * RIGHT_SIZE + lane] = loaded.upper;
    right[parity * RIGHT_SIZE + lane + GROUP] = loaded.lower;
}

fn put(at: u32, unit: u32, operands: Operands, sum: mat4x4<f32>) {
    if unit < operands.units {
        put_delta(at + unit, sum[0]);
        put_delta(at + operands.inputs + unit, sum[1]);
        put_delta(at + 2u * operands.inputs + unit, sum[2]);
        put_delta(at + 3u * operands.inputs + unit, sum[3]);
    }
}

@compute @workgroup_size(GROUP)
fn hardware_dense_backward(
    @builtin(local_invocation_index) lane: u32,
    @builtin(workgroup_id) launched: vec3<u32>,
) {
    let group = group_of(launched);
    let layer = network[work.layer];
    let before = network[work.layer - 1u];
    let across = (layer.inputs + UNIT_QUADS - 1u) / UNIT_QUADS;
    let here = stored_step(group.y, work.first_step + group.x / across) * STEP_SIZE;
    let first_unit = group.x % across * UNIT_QUADS;
    let units = layer.inputs - first_unit;
    let operands = Operands(here + layer.offset, layer.backward + first_unit, units, layer.inputs, layer.outputs);
    let slices = (layer.outputs + 1u) / 2u;
    let column = lane % BACKWARD_LANES;
    let row = lane / BACKWARD_LANES;

    var square = Square();
    place(load(operands, lane, 0u), lane, 0u);
    workgroupBarrier();
    for (var slice = 0u; slice < slices; slice++) {
        let parity = slice % 2u;
        let next = load(operands, lane, slice + 1u);
        for (var k = 0u; k < 8u; k++) {
            let at = parity * LEFT_SIZE + k * ROW_QUADS + 2u * row;
            let to = parity * RIGHT_SIZE + k * UNIT_QUADS + column;
            square = add_to_square(square, left[at], left[at + 1u], right[to], right[to + BACKWARD_LANES]);
        }
        place(next, lane, 1u - parity);
        workgroupBarrier();
    }

    let at = here + before.offset + 8u * row * layer.inputs + first_unit;
    let below = at + 4u * layer.inputs;
    put(at, column, operands, square.upper_left);
    put(at, column + BACKWARD_LANES, operands, square.upper_right);
    put(below, column, operands, square.lower_left);
    put(below, column + BACKWARD_LANES, operands, square.lower_right);
}
