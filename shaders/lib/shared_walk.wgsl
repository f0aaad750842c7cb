// What a step has changed, told to the invocations of a workgroup in its memory. Functions as in lib/shared_sites.wgsl.
//
// A trajectory's own invocation alone reads and writes what is known of it (lib/walk.wgsl).

#define_import_path wgflow::shared_walk
#import wgflow::shape::ROWS
#import wgflow::walk::{changes_of, walks}

// Column, amount, column, amount.
var<workgroup> changed: array<vec4<u32>, ROWS>;

fn enter(trajectory: u32, step: u32) {}

fn pass_on(trajectory: u32, step: u32) {
    let at = changes_of(trajectory, step);
    changed[trajectory % ROWS] = vec4(walks[at], walks[at + 1u], walks[at + 2u], walks[at + 3u]);
}
