// How the invocations of a workgroup share trajectories and units (src/engine/gpu/shape.rs): LANES across the units of a layer, a
// quad each, times the SPLITS of a sum, times the TEAMS that take 4 * QUADS trajectories each.

#define_import_path wgflow::shape
#import wgflow::constants::{BACKWARD_TEAMS, LANES, LARGE_QUADS, LARGE_SPLITS, LARGE_TEAMS, SMALL_QUADS, SMALL_SPLITS, SMALL_TEAMS}

#ifdef BACKWARD
const SPLITS = 1u;
const TEAMS = BACKWARD_TEAMS;
const QUADS = 1u;
#else
#ifdef LARGE
const SPLITS = LARGE_SPLITS;
const TEAMS = LARGE_TEAMS;
const QUADS = LARGE_QUADS;
#else
const SPLITS = SMALL_SPLITS;
const TEAMS = SMALL_TEAMS;
const QUADS = SMALL_QUADS;
#endif
#endif

// Invocations and trajectories of a workgroup. Trajectories start at a multiple of ROWS.
const GROUP = LANES * SPLITS * TEAMS;
const ROWS = 4u * QUADS * TEAMS;
