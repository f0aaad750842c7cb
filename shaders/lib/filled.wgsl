// An object some of whose sites are set, as a guide sees it before a step of a trajectory (GuideKernel in src/process/guide.rs).

#define_import_path wgflow::filled
#import wgflow::constants::{GUIDE, MAX_STEPS, SITES, VALUES}
#import wgflow::steps_taken::actions
#import wgflow::weights::weights

// In `fills` is the step that sets each site, times 256 (sites.wgsl).
@group(0) @binding(6) var<storage, read> fills: array<u32>;

const UNFILLED = 0xffffffffu;

struct Filled {
    trajectory: u32,
    step: u32,
}

// The value of a site, or UNFILLED.
fn filled_value(filled: Filled, site: u32) -> u32 {
    let step = fills[filled.trajectory * SITES + site] >> 8u;
    if step >= filled.step {
        return UNFILLED;
    }
    return actions[filled.trajectory * MAX_STEPS + step] % VALUES;
}

fn guide_parameter(index: u32) -> f32 {
    return weights[GUIDE + index / 4u][index % 4u];
}
