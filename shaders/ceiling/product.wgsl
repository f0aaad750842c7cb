// sum[m][n] = sum over k of left[k][m] * right[k][n], matrices of SIZE x SIZE: what a device multiplies at best.
//
// One workgroup takes a tile of 8 LANES_Y rows by 8 LANES_X columns, an invocation 8 x 8 of them: two quads of each side, half
// a tile apart, so that neighbours read neighbouring quads. Both operands go through workgroup memory, DEPTH of k at a time, the
// next ones on their way while these are multiplied.

@group(0) @binding(0) var<storage, read> left: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> right: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> sum: array<vec4<f32>>;

const QUADS = SIZE / 4u;
const GROUP = LANES_X * LANES_Y;
// Quads of a row of k of each side's tile, and of each side that an invocation loads.
const ROWS = 2u * LANES_Y;
const COLUMNS = 2u * LANES_X;
const ROW_LOADS = DEPTH * ROWS / GROUP;
const COLUMN_LOADS = DEPTH * COLUMNS / GROUP;

// [k, alternately][k][quad]
var<workgroup> rows: array<vec4<f32>, 2u * DEPTH * ROWS>;
var<workgroup> columns: array<vec4<f32>, 2u * DEPTH * COLUMNS>;

struct Loaded {
    rows: array<vec4<f32>, ROW_LOADS>,
    columns: array<vec4<f32>, COLUMN_LOADS>,
}

fn load(group: vec2<u32>, lane: u32, first: u32) -> Loaded {
    var loaded: Loaded;
    for (var i = 0u; i < ROW_LOADS; i++) {
        let at = i * GROUP + lane;
        loaded.rows[i] = left[(first + at / ROWS) * QUADS + group.y * ROWS + at % ROWS];
    }
    for (var i = 0u; i < COLUMN_LOADS; i++) {
        let at = i * GROUP + lane;
        loaded.columns[i] = right[(first + at / COLUMNS) * QUADS + group.x * COLUMNS + at % COLUMNS];
    }
    return loaded;
}

fn place(loaded: Loaded, lane: u32, parity: u32) {
    for (var i = 0u; i < ROW_LOADS; i++) {
        rows[parity * DEPTH * ROWS + i * GROUP + lane] = loaded.rows[i];
    }
    for (var i = 0u; i < COLUMN_LOADS; i++) {
        columns[parity * DEPTH * COLUMNS + i * GROUP + lane] = loaded.columns[i];
    }
}

// A quad of rows times a quad of columns, row by row.
fn add(sum: mat4x4<f32>, row: vec4<f32>, column: vec4<f32>) -> mat4x4<f32> {
    return mat4x4(
        fma(vec4(row.x), column, sum[0]),
        fma(vec4(row.y), column, sum[1]),
        fma(vec4(row.z), column, sum[2]),
        fma(vec4(row.w), column, sum[3]),
    );
}

fn put(row: u32, column: u32, tile: mat4x4<f32>) {
    let at = 4u * row * QUADS + column;
    sum[at] = tile[0];
    sum[at + QUADS] = tile[1];
    sum[at + 2u * QUADS] = tile[2];
    sum[at + 3u * QUADS] = tile[3];
}

@compute @workgroup_size(GROUP)
fn product(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) launched: vec3<u32>) {
    let group = launched.xy;
    let x = lane % LANES_X;
    let y = lane / LANES_X;
    var upper_left = mat4x4<f32>();
    var upper_right = mat4x4<f32>();
    var lower_left = mat4x4<f32>();
    var lower_right = mat4x4<f32>();
    place(load(group, lane, 0u), lane, 0u);
    workgroupBarrier();
    for (var first = 0u; first < SIZE; first += DEPTH) {
        let parity = first / DEPTH % 2u;
        // The last ones are loaded once more, and not read.
        let next = load(group, lane, min(first + DEPTH, SIZE - DEPTH));
        for (var k = 0u; k < DEPTH; k++) {
            let row = (parity * DEPTH + k) * ROWS + y;
            let column = (parity * DEPTH + k) * COLUMNS + x;
            let upper = rows[row];
            let lower = rows[row + LANES_Y];
            let near = columns[column];
            let far = columns[column + LANES_X];
            upper_left = add(upper_left, upper, near);
            upper_right = add(upper_right, upper, far);
            lower_left = add(lower_left, lower, near);
            lower_right = add(lower_right, lower, far);
        }
        place(next, lane, 1u - parity);
        workgroupBarrier();
    }
    let row = group.y * ROWS + y;
    let column = group.x * COLUMNS + x;
    put(row, column, upper_left);
    put(row, column + LANES_X, upper_right);
    put(row + LANES_Y, column, lower_left);
    put(row + LANES_Y, column + LANES_X, lower_right);
}
