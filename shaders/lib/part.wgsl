// The part of a gradient that a kernel sums in slices: of the first layer, of the head, or of the hidden layers between them.

#define_import_path wgflow::part
#import wgflow::constants::{DENSE, DENSE_SIZE, GRADIENT, HEAD_GRADIENT}

#ifdef OF_FIRST
const PART = 0u;
const PART_SIZE = DENSE;
#else
#ifdef OF_HEAD
const PART = HEAD_GRADIENT;
const PART_SIZE = GRADIENT - HEAD_GRADIENT;
#else
const PART = DENSE;
const PART_SIZE = DENSE_SIZE;
#endif
#endif
