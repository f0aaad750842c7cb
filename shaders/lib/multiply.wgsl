// A product of 4x4 quads, the piece that register tiles are made of: sum + left * right, where column r of `sum` and of
// `left` is row r of the matrix, and column j of `right` is its row j: one chain of multiply-adds a number.

#define_import_path wgflow::multiply

fn multiply(sum: mat4x4<f32>, left: mat4x4<f32>, right: mat4x4<f32>) -> mat4x4<f32> {
    return mat4x4(
        multiply_row(sum[0], left[0], right),
        multiply_row(sum[1], left[1], right),
        multiply_row(sum[2], left[2], right),
        multiply_row(sum[3], left[3], right),
    );
}

fn multiply_row(sum: vec4<f32>, left: vec4<f32>, right: mat4x4<f32>) -> vec4<f32> {
    let first = fma(right[1], left.yyyy, fma(right[0], left.xxxx, sum));
    return fma(right[3], left.wwww, fma(right[2], left.zzzz, first));
}
