// What setting a variable adds to the log R of a model: the entries of those of its factors whose other variables are all set.
//
// guide_parameter(0): how far below all others a forbidden value is. Then for each site its number of values; for each
// site, and for the end, where its factors over two variables begin and where all others. Most are pairs, and loops are
// few in software: pairs come four at a time, each as its other site, how far apart that one's values are in its table,
// where the table begins, and how far apart the site's own values are. Another factor is the number of its other
// variables, where its table begins, how far apart the site's own values are, and for each other variable its site and
// how far apart its values are. Then the tables, where -1e30 is minus infinity and everything else is smaller by far.

// The entry of a pair, 0 as long as its other variable is not set.
fn pair_increment(filled: Filled, value: u32, at: u32) -> f32 {
    let other = filled_value(filled, u32(guide_parameter(at)));
    if other == UNFILLED {
        return 0.0;
    }
    let row = u32(guide_parameter(at + 2u)) + other * u32(guide_parameter(at + 1u));
    return guide_parameter(row + value * u32(guide_parameter(at + 3u)));
}

fn log_reward_increment(filled: Filled, site: u32, value: u32) -> f32 {
    if value >= u32(guide_parameter(1u + site)) {
        return -1e30;
    }
    let starts = 1u + SITES + 2u * site;
    let others = u32(guide_parameter(starts + 1u));
    let end = u32(guide_parameter(starts + 2u));
    var sum = 0.0;
    for (var at = u32(guide_parameter(starts)); at < others; at += 16u) {
        let one = pair_increment(filled, value, at) + pair_increment(filled, value, at + 4u);
        sum += one + (pair_increment(filled, value, at + 8u) + pair_increment(filled, value, at + 12u));
    }
    for (var at = others; at < end;) {
        let count = u32(guide_parameter(at));
        var entry = u32(guide_parameter(at + 1u)) + value * u32(guide_parameter(at + 2u));
        var complete = true;
        for (var i = 0u; i < count && complete; i++) {
            let other = filled_value(filled, u32(guide_parameter(at + 3u + 2u * i)));
            complete = other != UNFILLED;
            entry += select(0u, other, complete) * u32(guide_parameter(at + 4u + 2u * i));
        }
        if complete {
            sum += guide_parameter(entry);
        }
        at += 3u + 2u * count;
    }
    return select(sum, -guide_parameter(0u), sum < -5e29);
}
