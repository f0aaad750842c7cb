// A square of 8 x 8 numbers of a matrix product, held in registers: two quads of rows by two quads of units.
//
//   sum[row][unit] <- sum[row][unit] + left[row] * right[unit]              for one k
//
// Four loads of a quad are 64 multiply-adds. There are no arrays and no loops in it, so that every compiler keeps it in registers.

#define_import_path wgflow::square

// Column r of a part is its row r.
struct Square {
    upper_left: mat4x4<f32>,
    upper_right: mat4x4<f32>,
    lower_left: mat4x4<f32>,
    lower_right: mat4x4<f32>,
}

fn add_products(sum: mat4x4<f32>, left: vec4<f32>, right: vec4<f32>) -> mat4x4<f32> {
    return mat4x4(
        fma(left.xxxx, right, sum[0]),
        fma(left.yyyy, right, sum[1]),
        fma(left.zzzz, right, sum[2]),
        fma(left.wwww, right, sum[3]),
    );
}

// With one more k: `upper` and `lower` are left[row], `left` and `right` are right[unit].
fn add_to_square(
    square: Square,
    upper: vec4<f32>,
    lower: vec4<f32>,
    left: vec4<f32>,
    right: vec4<f32>,
) -> Square {
    return Square(
        add_products(square.upper_left, upper, left),
        add_products(square.upper_right, upper, right),
        add_products(square.lower_left, lower, left),
        add_products(square.lower_right, lower, right),
    );
}
