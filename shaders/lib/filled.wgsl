// An object some of whose sites are set, as a guide sees it before a step of a trajectory (GuideKernel in src/process/guide.rs).

#define_import_path wgflow::filled
#import wgflow::constants::{GUIDE, MAX_STEPS, SITES, VALUES}
#import wgflow::weights::weights
#ifdef SHARED
#import wgflow::shape::ROWS
#else
#import wgflow::steps_taken::actions
#endif

const UNFILLED = 0xffffffffu;

struct Filled {
    trajectory: u32,
    step: u32,
}

#ifdef SHARED
// Of every trajectory of a workgroup, as it is before the step: the value of each site, plus one, in a byte.
const FILLED_WORDS = (SITES + 3u) / 4u;
var<workgroup> filled_sites: array<u32, ROWS * FILLED_WORDS>;

fn clear_filled(trajectory: u32) {
    for (var word = 0u; word < FILLED_WORDS; word++) {
        filled_sites[trajectory % ROWS * FILLED_WORDS + word] = 0u;
    }
}

fn note_filled(trajectory: u32, action: u32) {
    let site = action / VALUES;
    let word = trajectory % ROWS * FILLED_WORDS + site / 4u;
    filled_sites[word] |= (action % VALUES + 1u) << (8u * (site % 4u));
}

// The value of a site, or UNFILLED.
fn filled_value(filled: Filled, site: u32) -> u32 {
    let word = filled_sites[filled.trajectory % ROWS * FILLED_WORDS + site / 4u];
    return (word >> (8u * (site % 4u)) & 255u) - 1u;
}
#else
// In `fills` is the step that sets each site, times 256 (sites.wgsl).
@group(0) @binding(6) var<storage, read> fills: array<u32>;

// The value of a site, or UNFILLED.
fn filled_value(filled: Filled, site: u32) -> u32 {
    let step = fills[filled.trajectory * SITES + site] >> 8u;
    if step >= filled.step {
        return UNFILLED;
    }
    return actions[filled.trajectory * MAX_STEPS + step] % VALUES;
}
#endif

fn guide_parameter(index: u32) -> f32 {
    return weights[GUIDE + index / 4u][index % 4u];
}
