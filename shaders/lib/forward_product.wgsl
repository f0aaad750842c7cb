// Forward through a hidden layer: activations [row][k] times transposed weight [k][unit].

#define_import_path wgflow::forward_product
#import wgflow::product::{Product, left_rows, right_rows}
#import wgflow::signals::activations
#import wgflow::weights::weights

fn left_quad(product: Product, row: u32, k: u32) -> mat4x4<f32> {
    let at = left_rows(product, row, k);
    return mat4x4(activations[at.x], activations[at.y], activations[at.z], activations[at.w]);
}

fn right_quad(product: Product, unit: u32, k: u32) -> mat4x4<f32> {
    let at = right_rows(product, unit, k);
    return mat4x4(weights[at.x], weights[at.y], weights[at.z], weights[at.w]);
}
