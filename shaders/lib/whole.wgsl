// What a step's log-probability weighs in what is differentiated: as much as any other. What its trajectory weighs comes in
// where gradients are added up.
//
// lib/stepwise.wgsl declares the same function for coefficients of single steps.

#define_import_path wgflow::whole

fn step_weight(trajectory: u32, step: u32) -> f32 {
    return 1.0;
}
