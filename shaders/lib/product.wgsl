// A matrix product of a tile, sum[row][unit] = sum_k left[row][k] * right[k][unit], as addresses of its operands: offsets and
// distances of rows in quads. Which buffers these are is told by lib/forward_product.wgsl and its likes.

#define_import_path wgflow::product
#import wgflow::rows::rows

struct Product {
    // Quads of k.
    depth: u32,
    left: u32,
    left_stride: u32,
    right: u32,
    right_stride: u32,
    output: u32,
    output_stride: u32,
    // Where k runs over trajectories: the block of the batch that they are of.
    block: u32,
    // Where k runs over the states of one trajectory: how many there are.
    states: u32,
}

// Rows 4 row .. 4 row + 4 of the left matrix, its k-th quad.
fn left_rows(product: Product, row: u32, k: u32) -> vec4<u32> {
    return rows(product.left + 4u * row * product.left_stride + k, product.left_stride);
}

// Rows 4k .. 4k + 4 of the right matrix, its quad `unit`.
fn right_rows(product: Product, unit: u32, k: u32) -> vec4<u32> {
    return rows(product.right + 4u * k * product.right_stride + unit, product.right_stride);
}

// Rows 4 row .. 4 row + 4 of the output, its quad `unit`.
fn output_rows(product: Product, row: u32, unit: u32) -> vec4<u32> {
    return rows(product.output + 4u * row * product.output_stride + unit, product.output_stride);
}
