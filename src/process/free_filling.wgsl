// The rules of site filling by one choice among all actions (free_filling.rs), line by line. A state is, for each site, 0 or its
// value plus 1, and then the number of sites that are set. Constants and amounts are put before.

fn process_allows(trajectory: u32, action: u32) -> bool {
    let filled = process_state(trajectory, SITES);
    if action == SITES * VALUES {
        return filled == SITES;
    }
    let site = action / VALUES;
    return process_state(trajectory, site) == 0u && (ANY_SITE || site == filled);
}

fn process_advance(trajectory: u32, action: u32) -> Advance {
    if action == SITES * VALUES {
        return Advance(0u, 0.0, 0u, 0.0, true);
    }
    let site = action / VALUES;
    let filled = process_state(trajectory, SITES) + 1u;
    set_process_state(trajectory, site, action % VALUES + 1u);
    set_process_state(trajectory, SITES, filled);
    var column = action;
    if A_COLUMN_A_SITE {
        column = site;
    }
    return Advance(column, filling_amount(action % VALUES), 0u, 0.0, !STOPS && filled == SITES);
}

fn process_value(trajectory: u32, site: u32) -> u32 {
    return process_state(trajectory, site) - 1u;
}
