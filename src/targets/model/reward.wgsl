// log R of a model, divided by the scale: the sum of an entry of each factor's table.
//
// parameter(0): where the factors over two variables begin; parameter(1): where all others; parameter(2): where these
// end; parameter(3): the constant; and from parameter(4) on, where some sites have fewer values than others, their
// numbers of values. Most factors are pairs, and loops are few in software: pairs come four at a time, each as where
// its table begins and for either variable its site and how far apart its values are. Another factor is the number of
// its variables, where its table begins, and for each variable its site and how far apart its values are. Then the
// tables.

fn pair_entry(trajectory: u32, at: u32) -> f32 {
    let row = u32(parameter(at)) + value(trajectory, u32(parameter(at + 1u))) * u32(parameter(at + 2u));
    return parameter(row + value(trajectory, u32(parameter(at + 3u))) * u32(parameter(at + 4u)));
}

fn log_reward(trajectory: u32) -> f32 {
    let pairs = u32(parameter(0u));
    let others = u32(parameter(1u));
    let end = u32(parameter(2u));
    var sum = parameter(3u);
    for (var site = 0u; site < pairs - 4u; site++) {
        if value(trajectory, site) >= u32(parameter(4u + site)) {
            return -3e38;
        }
    }
    for (var at = pairs; at < others; at += 20u) {
        let entries = vec4(
            pair_entry(trajectory, at),
            pair_entry(trajectory, at + 5u),
            pair_entry(trajectory, at + 10u),
            pair_entry(trajectory, at + 15u),
        );
        if any(entries <= vec4(-3e38)) {
            return -3e38;
        }
        sum += (entries.x + entries.y) + (entries.z + entries.w);
    }
    for (var at = others; at < end;) {
        let variables = u32(parameter(at));
        var entry = u32(parameter(at + 1u));
        for (var i = 0u; i < variables; i++) {
            entry += value(trajectory, u32(parameter(at + 2u + 2u * i))) * u32(parameter(at + 3u + 2u * i));
        }
        let log_phi = parameter(entry);
        if log_phi <= -3e38 {
            return -3e38;
        }
        sum += log_phi;
        at += 2u + 2u * variables;
    }
    return sum;
}
