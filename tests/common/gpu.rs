//! GPU engines for tests, and what they are asked for. Every one is for both sets of kernels.

use wgflow::engine::gpu::{GpuEngine, GpuOptions, KernelSet};
use wgflow::engine::{Differentiate, EngineError, Given, Rollout};
use wgflow::process::Trajectories;
use wgflow::random::{Draw, Stream};

use super::Setting;

/// What an adapter may run: the one as well as the other.
pub const KERNEL_SETS: [KernelSet; 2] = [KernelSet::Software, KernelSet::Hardware];

pub const DRAW: Draw =
    Draw { seed: 0x1234_5678_9abc_def0, iteration: 3, stream: Stream::Training, first_trajectory: 5 };

pub fn open(setting: &Setting, options: GpuOptions) -> Result<GpuEngine, EngineError> {
    let (process, layout) = (setting.process.clone(), setting.layout.clone());
    let adapter = options.adapter.or_else(|| std::env::var("WGFLOW_ADAPTER").ok());
    let options = GpuOptions { adapter, ..options };
    let mut engine = GpuEngine::new(process, layout, setting.activation, setting.target.clone(), options)?;
    engine.set_parameters(&setting.parameters())?;
    Ok(engine)
}

pub fn gpu_with(setting: &Setting, options: GpuOptions) -> GpuEngine {
    open(setting, options).unwrap_or_else(|error| match error {
        EngineError::NoAdapter(_) => panic!("{error}: to run the GPU tests, install the package mesa-vulkan-drivers"),
        _ => panic!("{error}"),
    })
}

pub fn gpu(setting: &Setting, kernels: KernelSet) -> GpuEngine {
    gpu_with(setting, GpuOptions { kernels: Some(kernels), ..GpuOptions::default() })
}

/// Demands an error about sizes that says this.
pub fn assert_refused<T>(result: Result<T, EngineError>, words: &str) {
    match result {
        Err(EngineError::Limit(message)) => assert!(message.contains(words), "{message:?} does not say {words:?}"),
        Err(other) => panic!("another error: {other:?}"),
        Ok(_) => panic!("it was accepted, where {words:?} was to be said"),
    }
}

pub fn replay_of(trajectories: &Trajectories, scored_from: usize) -> Rollout<'_> {
    let given = Given { trajectories, scored_from, sampled_from: trajectories.max_steps() };
    Rollout { given: Some(given), ..Rollout::replay(DRAW, trajectories).kept() }
}
