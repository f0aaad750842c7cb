//! What an adapter must be able to do.

use super::context::Context;
use super::recorder;
use super::tiling::Tiling;
use crate::engine::{BLOCK, EngineError};
use crate::process::{Head, Process};

/// Refuses an adapter whose limits the kernels of a process and a tiling exceed.
///
/// # Errors
/// `Limit`, with the limit's name, what it is and what is needed.
pub(super) fn check_adapter(context: &Context, process: &dyn Process, tiling: &Tiling) -> Result<(), EngineError> {
    let (limits, name) = (&context.limits, &context.adapter.name);
    let too_many = |what: &str, has: usize, limit: &str, most: usize, advice: &str| {
        let message = format!("{what} is {has}, and {limit} of {name} is {most}: {advice}");
        if has > most { Err(EngineError::Limit(message)) } else { Ok(()) }
    };
    if let Some(fault) = tiling.fault() {
        return Err(EngineError::Limit(fault));
    }
    // Philox takes most of the `order` kernel's iterations: 12 a step at most.
    let most = recorder::ITERATIONS / 13;
    too_many("the number of sites", process.sites(), "what a loop can do", most, "take fewer sites")?;
    let most = limits.max_compute_invocations_per_workgroup.min(limits.max_compute_workgroup_size_x) as usize;
    let group = tiling.group.max(BLOCK);
    too_many("a workgroup", group, "max_compute_invocations_per_workgroup", most, "take a smaller tiling")?;
    // Uniforms, and the buffers that the rollout kernel binds.
    let bound = limits.max_storage_buffers_per_shader_stage as usize;
    let needed = if process.head() == Head::Site { 7 } else { 8 };
    if bound < needed {
        let message = format!(
            "kernels bind {needed} storage buffers, and {name} takes {bound} (max_storage_buffers_per_shader_stage)"
        );
        return Err(EngineError::Limit(message));
    }
    Ok(())
}
