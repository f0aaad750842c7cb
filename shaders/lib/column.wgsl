// One step of the first layer where sites are filled: an action changes one input, so its pre-activation by one column of
// weights.

#define_import_path wgflow::column
#import wgflow::constants::{COLUMNS_A_SITE, VALUES}
#import wgflow::weights::{change_of, weights}
#import wgflow::work::network

// z after `action`, where `z` is a quad of units before it.
fn set_site(z: vec4<f32>, unit: u32, action: u32) -> vec4<f32> {
    let column = select(action, action / VALUES, COLUMNS_A_SITE == 1u);
    let amount = change_of(action % VALUES);
    return fma(vec4(amount), weights[network[0].forward + column * network[0].outputs + unit], z);
}
