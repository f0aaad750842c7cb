// The first layer's pre-activation where each chain of steps starts:
//
//   state[chain] = z_empty + sum over the steps before the chain's first one of amount * column
//
// Chains start at first_step, first_step + group_steps, .. below last_step.
// One invocation a quad of units of a trajectory, for all of its chains; (y) a block.

#import wgflow::constants::BLOCK
#import wgflow::weights::weights
#import wgflow::work::{invocation_of, network, work}
#ifdef WALK
#import wgflow::walk_steps::after_step
#else
#import wgflow::site_steps::after_step
#endif

@group(0) @binding(17) var<storage, read_write> state: array<vec4<f32>>;

@compute @workgroup_size(BLOCK)
fn start(@builtin(global_invocation_id) launched: vec3<u32>) {
    let id = invocation_of(launched);
    let width = network[0].outputs;
    let trajectory = (work.block + id.y) * BLOCK + id.x / width;
    let unit = id.x % width;
    var z = weights[network[0].bias + unit];
    var chain = 0u;
    for (var step = 0u; chain < work.chains; step++) {
        if step == work.first_step + chain * work.group_steps {
            state[(id.y * work.chains + chain) * BLOCK * width + id.x] = z;
            chain++;
        }
        z = after_step(z, unit, trajectory, step);
    }
}
