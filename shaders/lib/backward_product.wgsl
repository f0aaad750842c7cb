// Back through a hidden layer: delta_l [row][k] times weight [k][unit].

#define_import_path wgflow::backward_product
#import wgflow::deltas::delta_at
#import wgflow::product::{Product, left_rows, right_rows}
#import wgflow::weights::weights

fn left_quad(product: Product, row: u32, k: u32) -> mat4x4<f32> {
    let at = left_rows(product, row, k);
    return mat4x4(delta_at(at.x), delta_at(at.y), delta_at(at.z), delta_at(at.w));
}

fn right_quad(product: Product, unit: u32, k: u32) -> mat4x4<f32> {
    let at = right_rows(product, unit, k);
    return mat4x4(weights[at.x], weights[at.y], weights[at.z], weights[at.w]);
}
