// log R of the hypergrid (hypergrid.rs): log(r0 + r1 [all coordinates are outer ones] + r2 [all are of the ring]).
//
// parameter(0..2): r0, r1, r2; then for each value of a coordinate 1 if it is an outer one, plus 2 if it is of the ring.

fn log_reward(trajectory: u32) -> f32 {
    var met = 3u;
    for (var site = 0u; site < SITES; site++) {
        met &= u32(parameter(3u + value(trajectory, site)));
    }
    var reward = parameter(0u);
    if (met & 1u) != 0u {
        reward += parameter(1u);
    }
    if (met & 2u) != 0u {
        reward += parameter(2u);
    }
    return log(reward);
}
