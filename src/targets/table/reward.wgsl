// log R of a sequence by a binary search for its number, the first site being the highest digit.
//
// parameter(0): the number of rows; parameter(1): log R of what is not in the table; then the rows' numbers in increasing order, and
// their log R.

fn log_reward(trajectory: u32) -> f32 {
    let rows = u32(parameter(0u));
    var number = 0u;
    for (var site = 0u; site < SITES; site++) {
        number = number * VALUES + value(trajectory, site);
    }
    var first = 0u;
    var end = rows;
    while first < end {
        let middle = first + (end - first) / 2u;
        if u32(parameter(2u + middle)) < number {
            first = middle + 1u;
        } else {
            end = middle;
        }
    }
    if first == rows || u32(parameter(2u + first)) != number {
        return parameter(1u);
    }
    return parameter(2u + rows + first);
}
