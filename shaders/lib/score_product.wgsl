// A hidden layer's gradient of one trajectory's log P_F, its score: delta_l transposed, [output][k], times h_(l-1), [k][input];
// k runs over the states of the trajectory.

#define_import_path wgflow::score_product
#import wgflow::backpropagated::{activations, deltas}
#import wgflow::constants::STEP_SIZE
#import wgflow::product::Product

// States 4k .. 4k + 4 of the rows from `offset` on, and the last one in place of those that are beyond it.
fn states_of(product: Product, offset: u32, k: u32) -> vec4<u32> {
    return vec4(offset) + min(vec4(4u * k) + vec4(0u, 1u, 2u, 3u), vec4(product.states - 1u)) * STEP_SIZE;
}

// Quad `unit` of delta_l at those states, a column each; 0 beyond the last.
fn deltas_of(product: Product, unit: u32, k: u32) -> mat4x4<f32> {
    let at = states_of(product, product.left + unit, k);
    let left = product.states - 4u * k;
    return mat4x4(
        deltas[at.x],
        select(vec4<f32>(), deltas[at.y], left > 1u),
        select(vec4<f32>(), deltas[at.z], left > 2u),
        select(vec4<f32>(), deltas[at.w], left > 3u),
    );
}

fn left_quad(product: Product, row: u32, k: u32) -> mat4x4<f32> {
    return transpose(deltas_of(product, row, k));
}

fn right_quad(product: Product, unit: u32, k: u32) -> mat4x4<f32> {
    let at = states_of(product, product.right + unit, k);
    return mat4x4(activations[at.x], activations[at.y], activations[at.z], activations[at.w]);
}
