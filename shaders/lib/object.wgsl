// The object of a finished trajectory, to be written down piece by piece:
//
//   fills[site of the action at step t] = 256 t + value       where sites are filled: by step
//   fills[site] = what the state of the process says          else: by site

#define_import_path wgflow::object
#import wgflow::constants::{MAX_STEPS, SITES, VALUES}
#ifdef WALK
#import wgflow::rules::process_value
#endif

@group(0) @binding(5) var<storage, read> actions: array<u32>;
@group(0) @binding(6) var<storage, read_write> fills: array<u32>;

#ifdef WALK
const PIECES_OF_OBJECT = SITES;

fn note_piece(trajectory: u32, site: u32) {
    fills[trajectory * SITES + site] = process_value(trajectory, site);
}
#else
const PIECES_OF_OBJECT = MAX_STEPS;

fn note_piece(trajectory: u32, step: u32) {
    let action = actions[trajectory * MAX_STEPS + step];
    fills[trajectory * SITES + action / VALUES] = step * 256u + action % VALUES;
}
#endif
