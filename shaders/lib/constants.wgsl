// What the host fills in for one network, process and tiling, here as for a policy of five sites with three values, two
// hidden layers of 8 and 24 units. Files are read and checked with these numbers, and compiled with the host's (Sources in
// src/engine/gpu/source.rs), which has the same names.

#define_import_path wgflow::constants

// Trajectories of a block.
const BLOCK = 64u;

// The process: sites and values of an object, the longest trajectory, actions, columns of the policy's input.
const SITES = 5u;
const VALUES = 3u;
const MAX_STEPS = 5u;
const ACTIONS = 15u;
const BACKWARD_ACTIONS = 0u;
// In place of an action after the end of a trajectory.
const NO_ACTION = 0xffffffffu;
// Lists of numbers that there are for each step: those of log P_F, and those of log P_B and log F where the policy says more.
const STEP_LISTS = 1u;
// The action that stops in any state, where there is one.
const STOP = 0xffffffffu;
const COLUMNS = 15u;
// Where sites are filled: columns of a site, the input of a site that is not set, whether the order is drawn.
const COLUMNS_A_SITE = 3u;
const UNSET = 0.0f;
const UNIFORM_ORDER = true;
// What is written down of a trajectory of any other process (lib/walk.wgsl), in words.
const STATE_WORDS = 0u;
const MASK_WORDS = 1u;
const WALK_SIZE = 25u;

// The network. It sees the STATES states of a trajectory, or FINISHED objects, and has OUTPUTS outputs for each.
const LAYERS = 2u;
const STATES = 5u;
const OUTPUTS = 3u;
const FINISHED = false;
// The nonlinearity of hidden layers, and the numbers of all there are.
const ACTIVATION = 2u;
const RELU = 0u;
const LEAKY_RELU = 1u;
const SWISH = 2u;
const ELU = 3u;
const TANH = 4u;
const LEAK = 0.01f;

// Quads of one step of a block in activations and deltas.
const STEP_SIZE = 512u;
// Offsets in `weights`, in quads, and rows of the head.
const HEAD = 0u;
const HEAD_ROWS = 15u;
const HEAD_BIAS = 0u;
const CHANGES = 0u;
const INITIAL = 0u;
const GUIDE = 0u;
// Quads of a gradient, of its part that belongs to hidden layers above the first, and offsets in it.
const GRADIENT = 512u;
const DENSE = 32u;
const DENSE_SIZE = 54u;
const HEAD_GRADIENT = 0u;
const HEAD_BIAS_GRADIENT = 0u;
// Tiles of pairs of a trajectory's states, and pieces of the square norm of its gradient.
const PAIR_TILES = 1u;
const PIECES = 8u;
// Steps of a block that a slice of a gradient sums over.
const CHUNK = 32u;
// Trajectories of a block that a slice of the head's and of the first layer's gradient sums over.
const SLICE_ROWS = 16u;
// Lanes across tiles of hardware kernels: of units in dense_backward, of outputs and of inputs in weight_gradient.
const BACKWARD_LANES = 16u;
const GRADIENT_LANES = 8u;
// Hardware kernels that go through all layers (lib/shape.wgsl, lib/shared_product.wgsl): shapes forward, for small and for large batches,
// and backward, quads of the widest layer, parts of a sum over inputs, lanes that share an output of the head.
const LANES = 8u;
const SMALL_SPLITS = 4u;
const SMALL_TEAMS = 1u;
const SMALL_QUADS = 1u;
const LARGE_SPLITS = 1u;
const LARGE_TEAMS = 8u;
const LARGE_QUADS = 2u;
const BACKWARD_TEAMS = 8u;
const WIDEST = 6u;
// Trajectories of a workgroup of hardware/order.wgsl.
const ORDERED = 4u;
const CHAINS = 4u;
const HEAD_LANES = 8u;

// Tiling: invocations and trajectories of a rollout's workgroup, quads of a register tile.
const ROLLOUT_GROUP = 16u;
const ROLLOUT_ROWS = 16u;
const TILE_ROWS = 1u;
const TILE_UNITS = 2u;

// Philox4x32-10.
const PHILOX_MULTIPLIERS = vec2<u32>(0xd2511f53u, 0xcd9e8d57u);
const PHILOX_WEYL = vec2<u32>(0x9e3779b9u, 0xbb67ae85u);
const PHILOX_ROUNDS = 10u;
