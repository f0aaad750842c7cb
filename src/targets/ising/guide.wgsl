// What setting a spin adds to the intermediate log-reward of the Ising model: K x_i times the sum of its set neighbours on the
// torus.
//
// guide_parameter(0): the side N; guide_parameter(1): K.

fn set_spin(filled: Filled, site: u32) -> f32 {
    let value = filled_value(filled, site);
    return select(2.0 * f32(value) - 1.0, 0.0, value == UNFILLED);
}

fn log_reward_increment(filled: Filled, site: u32, value: u32) -> f32 {
    let side = u32(guide_parameter(0u));
    let row = site / side * side;
    let column = site % side;
    let horizontal = set_spin(filled, row + (column + 1u) % side) + set_spin(filled, row + (column + side - 1u) % side);
    let size = side * side;
    let vertical = set_spin(filled, (site + side) % size) + set_spin(filled, (site + size - side) % size);
    let field = guide_parameter(1u) * (horizontal + vertical);
    return select(-field, field, value == 1u);
}
