// What the host fills in for one training: here as for trajectory balance. src/engine/gpu/resident/kernels.rs has the same names.

#define_import_path wgflow::training

// How log-weights become coefficients (shaders/weigh.wgsl), and the numbers of all ways there are.
const FORMULA = 8u;
const PLAIN = 0u;
const LEARNED = 1u;
const LEAVE_ONE_OUT = 2u;
const LEAVE_ONE_OUT_LOG_Z = 3u;
const SELF_NORMALISED = 4u;
const RENYI = 5u;
const TSALLIS = 6u;
const LOG_VARIANCE = 7u;
const SQUARED = 8u;
const HALF_SQUARED = 9u;
const HUBER = 10u;
const LINEX = 11u;
const SHIFTED_COSH = 12u;
// The order of a divergence, the threshold of Huber's loss, the scale of Linex.
const SHAPE = 1.0f;

// log P_B, less what log P_F has that the policy does not say; what the kernel of log R is multiplied by; what takes the place of
// any log R below it, if there is such a floor, and what a kernel says where R = 0.
const LOG_CONSTANT = vec2<u32>(0u, 0u);
const REWARD_SCALE = 1.0f;
const FLOORED = false;
const FLOOR = 0.0f;
const FORBIDDEN = -3e38f;

// Learning rates of the policy and of log Z, before the schedule.
const LEARNING_RATE = 0.001f;
const LOG_Z_RATE = 1.0f;
// Adam: 1 - beta and log(beta) of both running means.
const NEW_SHARE = vec2<f32>(0.1f, 0.001f);
const LOG_KEPT = vec2<f32>(-0.105360515f, -0.001000500f);
const EPSILON = 1e-8f;
const WEIGHT_DECAY = 0.0f;
// What is kept of the parameters' average at each step; 0 for no average.
const AVERAGE = 0.9f;
// Largest norm of a gradient; 0 for no bound.
const LARGEST_NORM = 0.0f;
// Iterations skipped in a row that end a training.
const PATIENCE = 10u;
