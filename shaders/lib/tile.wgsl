// A tile of a matrix product, held in registers: sum[row][unit] = sum_k left[row][k] * right[k][unit].
//
// Operands come as 4x4 quads, so that one invocation does 64 multiply-adds for 8 vec4 loads, and more for larger tiles:
// its tile is TILE_ROWS x TILE_UNITS quads. The host writes a line that mentions $R once for every row quad (0, 1, ..),
// a line that mentions $U once for every unit quad, a line with both once for every pair: registers have no index.
// k runs upwards in one chain of multiply-adds, so a sum has the same bits whatever the tile.
//
// The product of quads is that of lib/multiply.wgsl. The kernel defines
//   struct Product { depth: u32, .. }                                    depth: quads of k
//   fn left_quad(product, row, k) -> mat4x4<f32>                         column r: left[4 row + r][4k .. 4k + 4]
//   fn right_quad(product, unit, k) -> mat4x4<f32>                       column j: right[4k + j][4 unit .. 4 unit + 4]
//   fn finish_quad(product, row, unit, sum: mat4x4<f32>)                 column r: sum[4 row + r][4 unit .. 4 unit + 4]

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
