// The object that the state of a process is (lib/process.wgsl). The kernel binds `fills`.

fn note_object(trajectory: u32) {
    for (var site = 0u; site < SITES; site++) {
        fills[trajectory * SITES + site] = process_value(trajectory, site);
    }
}
