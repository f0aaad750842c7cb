// Which trajectories an invocation adds up, and where their sum goes:
//
//   all of a dispatch's blocks one after the other, to be added to `gradient`; or, SLICED, SLICE_ROWS of a block, to `partials`
//   [slice of this dispatch][list][part of a gradient] (lib/part.wgsl), whose slices fold.wgsl adds up in their order
//
// The blocks, or the slices, are those from first_slice on.

#define_import_path wgflow::members
#import wgflow::work::{rows_of, work}
#ifdef SLICED
#import wgflow::constants::{BLOCK, SLICE_ROWS}
#import wgflow::part::{PART, PART_SIZE}

@group(0) @binding(13) var<storage, read_write> partials: array<vec4<f32>>;
#else
#import wgflow::constants::GRADIENT

@group(0) @binding(12) var<storage, read_write> gradient: array<vec4<f32>>;
#endif

// The first block and the first one after the last.
fn blocks_of(slice: u32) -> vec2<u32> {
#ifdef SLICED
    let block = (work.first_slice + slice) / (BLOCK / SLICE_ROWS);
    return vec2(block, block + 1u);
#else
    return vec2(work.first_slice, work.first_slice + work.slices);
#endif
}

// The first trajectory of a block, and the first one after the last.
fn members_of(slice: u32, block: u32) -> vec2<u32> {
#ifdef SLICED
    let first = (work.first_slice + slice) % (BLOCK / SLICE_ROWS) * SLICE_ROWS;
    return vec2(first, min(first + SLICE_ROWS, rows_of(block)));
#else
    return vec2(0u, rows_of(block));
#endif
}

// A sum of a block's, number `list` of `lists`, at an offset of a gradient.
fn add_sum(slice: u32, lists: u32, list: u32, offset: u32, sum: vec4<f32>) {
#ifdef SLICED
    partials[(slice * lists + list) * PART_SIZE + offset - PART] = sum;
#else
    gradient[list * GRADIENT + offset] += sum;
#endif
}
