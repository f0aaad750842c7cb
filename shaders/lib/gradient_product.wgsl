// A hidden layer's gradient: c * delta_l transposed, [output][k], times h_(l-1), [k][input]; k runs over the trajectories of a
// block, step after step.

#define_import_path wgflow::gradient_product
#import wgflow::backpropagated::{activations, deltas}
#import wgflow::constants::{BLOCK, STEP_SIZE}
#import wgflow::product::Product
#import wgflow::rows::rows

@group(0) @binding(9) var<storage, read> coefficients: array<vec4<f32>>;

// Trajectories 4k .. 4k + 4 of the rows from `offset` on: BLOCK / 4 quads of trajectories a step.
fn trajectories(offset: u32, stride: u32, k: u32) -> vec4<u32> {
    return rows(offset + k / (BLOCK / 4u) * STEP_SIZE + k % (BLOCK / 4u) * 4u * stride, stride);
}

// Quad `unit` of delta_l at those trajectories, times their coefficients, a column each.
fn weighted_deltas(product: Product, unit: u32, k: u32) -> mat4x4<f32> {
    let c = coefficients[product.block * (BLOCK / 4u) + k % (BLOCK / 4u)];
    let at = trajectories(product.left + unit, product.left_stride, k);
    return mat4x4(c.x * deltas[at.x], c.y * deltas[at.y], c.z * deltas[at.z], c.w * deltas[at.w]);
}

fn left_quad(product: Product, row: u32, k: u32) -> mat4x4<f32> {
    return transpose(weighted_deltas(product, row, k));
}

fn right_quad(product: Product, unit: u32, k: u32) -> mat4x4<f32> {
    let at = trajectories(product.right + unit, product.right_stride, k);
    return mat4x4(activations[at.x], activations[at.y], activations[at.z], activations[at.w]);
}
