// A tile of a matrix product, held in registers: sum[row][unit] = sum_k left[row][k] * right[k][unit].
//
// Operands come as 4x4 quads, so that one invocation does 64 multiply-adds for 8 vec4 loads, and more for larger tiles:
// its tile is TILE_ROWS x TILE_UNITS quads. Loops over a tile have constant bounds, so that compilers unroll them and keep it
// in registers. k runs upwards in one chain of multiply-adds, so a sum has the same bits whatever the tile.
//
// Which matrices these are is told by a definition:
//   fn left_quad(product, row, k) -> mat4x4<f32>                         column r: left[4 row + r][4k .. 4k + 4]
//   fn right_quad(product, unit, k) -> mat4x4<f32>                       column j: right[4k + j][4 unit .. 4 unit + 4]

#define_import_path wgflow::tile
#import wgflow::constants::{TILE_ROWS, TILE_UNITS}
#import wgflow::multiply::multiply
#import wgflow::product::Product
#ifdef FORWARD
#import wgflow::forward_product::{left_quad, right_quad}
#endif
#ifdef BACKWARD
#import wgflow::backward_product::{left_quad, right_quad}
#endif
#ifdef GRADIENT
#import wgflow::gradient_product::{left_quad, right_quad}
#endif
#ifdef SCORES
#import wgflow::score_product::{left_quad, right_quad}
#endif

// Column r of quad [row][unit] is row r of that part of the sum.
struct Tile {
    sum: array<array<mat4x4<f32>, TILE_UNITS>, TILE_ROWS>,
}

// A left quad for each row of a tile.
struct Column {
    quads: array<mat4x4<f32>, TILE_ROWS>,
}

// The tile whose corner is the quad (row, unit).
fn multiply_tile(product: Product, row: u32, unit: u32) -> Tile {
    var tile = Tile();
    for (var k = 0u; k < product.depth; k++) {
        var left = Column();
        for (var r = 0u; r < TILE_ROWS; r++) {
            left.quads[r] = left_quad(product, row + r, k);
        }
        for (var u = 0u; u < TILE_UNITS; u++) {
            let right = right_quad(product, unit + u, k);
            for (var r = 0u; r < TILE_ROWS; r++) {
                tile.sum[r][u] = multiply(tile.sum[r][u], left.quads[r], right);
            }
        }
    }
    return tile;
}
