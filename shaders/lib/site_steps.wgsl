// What a step does to the first layer where sites are filled: what its action says. lib/walk_steps.wgsl declares the same
// function for all other processes.

#define_import_path wgflow::site_steps
#import wgflow::column::set_site
#ifdef SHARED
#import wgflow::shape::ROWS
#import wgflow::shared_sites::taken_actions
#else
#import wgflow::constants::MAX_STEPS
#import wgflow::steps_taken::actions
#endif

// z after a step (where it is SHARED, the one just taken), where `z` is a quad of units before it.
fn after_step(z: vec4<f32>, unit: u32, trajectory: u32, step: u32) -> vec4<f32> {
#ifdef SHARED
    return set_site(z, unit, taken_actions[trajectory % ROWS]);
#else
    return set_site(z, unit, actions[trajectory * MAX_STEPS + step]);
#endif
}
