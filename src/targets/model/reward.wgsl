// log R of a model, divided by the scale: the sum of an entry of each factor's table.
//
// parameter(0): where the factors end; parameter(1): the constant; parameter(2): how many sites are to be checked for values that
// they have not, and from parameter(3) on their numbers of values. Then each factor as its number of variables, where its table
// begins, and for each variable its site and how far apart its values are; and the tables.

fn log_reward(trajectory: u32) -> f32 {
    let end = u32(parameter(0u));
    var sum = parameter(1u);
    let checked = u32(parameter(2u));
    for (var site = 0u; site < checked; site++) {
        if value(trajectory, site) >= u32(parameter(3u + site)) {
            return -3e38;
        }
    }
    var at = 3u + checked;
    while at < end {
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
