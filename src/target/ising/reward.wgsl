// log R of the Ising model: K * sum over the torus's bonds of x_i x_j, each bond once.
//
// A bond with equal ends counts +1, one with unequal ends -1; both of a site's bonds to the left and upwards are
// counted at the site. Integers until the last product, so the sum is exact.
//
// parameter(0): the side N; parameter(1): the coupling K.

fn log_reward(trajectory: u32) -> f32 {
    let side = u32(parameter(0u));
    var bonds = 0i;
    for (var row = 0u; row < side; row++) {
        let above = select(row, side, row == 0u) - 1u;
        var left = value(trajectory, row * side + side - 1u);
        for (var column = 0u; column < side; column++) {
            let here = value(trajectory, row * side + column);
            let upper = value(trajectory, above * side + column);
            bonds += select(-1i, 1i, here == left) + select(-1i, 1i, here == upper);
            left = here;
        }
    }
    return parameter(1u) * f32(bonds);
}
