// What a step's log-probability weighs in what is differentiated: as much as any other. What its trajectory weighs comes in
// where gradients are added up.
//
// lib/stepwise.wgsl declares the same function for coefficients of single steps.

#define_import_path wgflow::whole

// `list`: of log P_F (0), of taking the step back (1), of log F of the state before it (2). The last two count for single steps
// alone.
fn step_weight(trajectory: u32, list: u32, step: u32) -> f32 {
    return select(0.0, 1.0, list == 0u);
}
