// log R / K of the Ising model: the sum over the torus's bonds of x_i x_j, each bond once. The host multiplies by K.
//
// A bond with equal ends counts +1, one with unequal ends -1; both of a site's bonds to the left and upwards are
// counted at the site. f32 holds whole numbers up to 2^24, and a torus has 2 * 256^2 bonds at most: all is exact.
//
// parameter(0): the side N.

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
    return f32(bonds);
}
