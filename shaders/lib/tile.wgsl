// A tile of a matrix product, held in registers: sum[row][unit] = sum_k left[row][k] * right[k][unit].
//
// Operands come as 4x4 quads, so that one invocation does 64 multiply-adds for 8 vec4 loads, and more for larger tiles:
// its tile is TILE_ROWS x TILE_UNITS quads. The host writes a line that mentions $R once for every row quad (0, 1, ..),
// a line that mentions $U once for every unit quad, a line with both once for every pair: registers have no index.
// k runs upwards in one chain of multiply-adds, so a sum has the same bits whatever the tile.
//
// The kernel defines
//   struct Product { depth: u32, .. }                                    depth: quads of k
//   fn left_quad(product, row, k) -> mat4x4<f32>                         column r: left[4 row + r][4k .. 4k + 4]
//   fn right_quad(product, unit, k) -> mat4x4<f32>                       column j: right[4k + j][4 unit .. 4 unit + 4]
//   fn finish_quad(product, row, unit, sum: mat4x4<f32>)                 column r: sum[4 row + r][4 unit .. 4 unit + 4]

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

// The tile whose corner is the quad (row, unit).
fn tile(product: Product, row: u32, unit: u32) {
    var sum$R$U = mat4x4<f32>();
    for (var k = 0u; k < product.depth; k++) {
        let left$R = left_quad(product, row + $Ru, k);
        let right$U = right_quad(product, unit + $Uu, k);
        sum$R$U = multiply(sum$R$U, left$R, right$U);
    }
    finish_quad(product, row + $Ru, unit + $Uu, sum$R$U);
}
