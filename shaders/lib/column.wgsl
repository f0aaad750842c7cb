// One step of the first layer where sites are filled: an action changes one input, so its pre-activation by one column of
// weights.
//
// The kernel binds `weights`.

// z after `action`, where `z` is a quad of units before it.
fn set_site(z: vec4<f32>, unit: u32, action: u32) -> vec4<f32> {
    let value = action % VALUES;
    let column = select(action, action / VALUES, COLUMNS_A_SITE == 1u);
    let amount = weights[CHANGES + value / 4u][value % 4u];
    return fma(vec4(amount), weights[network[0].forward + column * network[0].outputs + unit], z);
}
