// The rules of the hypergrid (hypergrid.rs), line by line. A state is its coordinates; stopping is the last action.

fn process_allows(trajectory: u32, action: u32) -> bool {
    if action == SITES {
        return true;
    }
    return process_state(trajectory, action) < VALUES - 1u;
}

fn process_advance(trajectory: u32, action: u32) -> Advance {
    if action == SITES {
        return Advance(0u, 0.0, 0u, 0.0, true);
    }
    let coordinate = process_state(trajectory, action);
    set_process_state(trajectory, action, coordinate + 1u);
    let column = action * VALUES + coordinate;
    return Advance(column, -1.0, column + 1u, 1.0, false);
}

fn process_value(trajectory: u32, site: u32) -> u32 {
    return process_state(trajectory, site);
}
