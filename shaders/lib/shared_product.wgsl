// A matrix product of what a workgroup has of its ROWS trajectories, in its memory, and weights:
//
//   sum[trajectory][unit] = sum_k row[trajectory][k] * weight[k][unit]
//
// An invocation takes a quad of units and 4 * QUADS trajectories.

#define_import_path wgflow::shared_product
#import wgflow::constants::WIDEST
#import wgflow::multiply::multiply
#import wgflow::shape::{QUADS, ROWS}
#import wgflow::weights::weights

// Activations or deltas of the layer last gone through: [trajectory][quad of units].
var<workgroup> shared_rows: array<vec4<f32>, ROWS * WIDEST>;

// A matrix in `weights` by its place: `width` quads in each of 4 * `depth` rows.
struct Matrix {
    depth: u32,
    width: u32,
    offset: u32,
}

// Column r of tile [q] is trajectory 4 q + r of those of an invocation.
struct Rows {
    sum: array<mat4x4<f32>, QUADS>,
}

// The sums of a quad of units over k from 4 * `begin` to before 4 * `end`, as one chain of multiply-adds, for the trajectories of the
// workgroup from `first` on.
fn chain_of(matrix: Matrix, unit: u32, first: u32, begin: u32, end: u32) -> Rows {
    var rows = Rows();
    for (var k = begin; k < end; k++) {
        let w = matrix.offset + 4u * k * matrix.width + unit;
        let right = mat4x4(
            weights[w],
            weights[w + matrix.width],
            weights[w + 2u * matrix.width],
            weights[w + 3u * matrix.width],
        );
        for (var q = 0u; q < QUADS; q++) {
            let x = (first + 4u * q) * matrix.depth + k;
            let left = mat4x4(
                shared_rows[x],
                shared_rows[x + matrix.depth],
                shared_rows[x + 2u * matrix.depth],
                shared_rows[x + 3u * matrix.depth],
            );
            rows.sum[q] = multiply(rows.sum[q], left, right);
        }
    }
    return rows;
}
