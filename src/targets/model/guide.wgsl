// What setting a variable adds to the log R of a model: the entries of those of its factors whose other variables are all set.
//
// guide_parameter(0): how far below all others a forbidden value is. Then for each site its number of values; for each site, and
// for the end, where its factors begin; each factor as the number of its other variables, where its table begins, how far apart the
// site's own values are in it, and for each other variable its site and how far apart its values are; and the tables.

fn log_reward_increment(filled: Filled, site: u32, value: u32) -> f32 {
    if value >= u32(guide_parameter(1u + site)) {
        return -1e30;
    }
    var at = u32(guide_parameter(1u + SITES + site));
    let end = u32(guide_parameter(2u + SITES + site));
    var sum = 0.0;
    var forbidden = false;
    while at < end {
        let others = u32(guide_parameter(at));
        var entry = u32(guide_parameter(at + 1u)) + value * u32(guide_parameter(at + 2u));
        var complete = true;
        if others == 1u {
            // Most are pairs, and loops are few in software.
            let other = filled_value(filled, u32(guide_parameter(at + 3u)));
            complete = other != UNFILLED;
            entry += select(0u, other, complete) * u32(guide_parameter(at + 4u));
        } else {
            for (var i = 0u; i < others && complete; i++) {
                let other = filled_value(filled, u32(guide_parameter(at + 3u + 2u * i)));
                complete = other != UNFILLED;
                entry += select(0u, other, complete) * u32(guide_parameter(at + 4u + 2u * i));
            }
        }
        if complete {
            let log_phi = guide_parameter(entry);
            forbidden = forbidden || log_phi <= -1e30;
            sum += select(log_phi, 0.0, log_phi <= -1e30);
        }
        at += 3u + 2u * others;
    }
    return select(sum, -guide_parameter(0u), forbidden);
}
