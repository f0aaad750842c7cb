//! Engines on a GPU: with the kernels asked for, and each stage by the device's own clock.

use super::{Adapter, Asked, Ceiling, Problem, STAGES, Share, Stage};
use crate::engine::gpu::{self, GpuEngine, GpuOptions, KernelSet};
use crate::engine::resident::{Formula, Launch, Plan, Resident, State};
use crate::engine::{Differentiate, EngineError};
use crate::memory;
use crate::network::{Activation, Initialisation, initialise};
use crate::random::{Draw, Stream};
use crate::trainer::select;

fn place(asked: &Asked) -> (Option<String>, usize) {
    (select::adapter(&asked.config), asked.config.adapter_index.unwrap_or_default())
}

pub fn open(asked: &Asked, problem: &Problem) -> Result<GpuEngine, EngineError> {
    let (adapter, adapter_index) = place(asked);
    let memory_budget = asked.config.memory_budget(memory::available());
    let options = GpuOptions { adapter, adapter_index, memory_budget, kernels: asked.kernels, ..GpuOptions::default() };
    GpuEngine::new(problem.process(), problem.layout(), Activation::Swish, problem.target(), options)
}

pub fn ceiling(asked: &Asked, seconds: f64) -> Result<Ceiling, EngineError> {
    let (adapter, index) = place(asked);
    let gpu::Ceiling { flops, size, tile: [rows, columns, depth], bytes } =
        gpu::ceiling(adapter.as_deref(), index, seconds)?;
    let product = format!("WGSL, {size} rows in tiles of {rows}x{columns}x{depth}");
    Ok(Ceiling { flops, bytes, product })
}

/// What the engine runs on; and each stage of an iteration that stays there, where its dispatches can be timed.
pub fn look(asked: &Asked, problem: &Problem, ceiling: &Ceiling) -> Result<(Adapter, Option<Vec<Stage>>), EngineError> {
    let mut engine = open(asked, problem)?;
    let adapter = engine.description();
    let kernels = match engine.kernels() {
        KernelSet::Software => "software",
        KernelSet::Hardware => "hardware",
    };
    let adapter = Adapter {
        name: adapter.name.clone(),
        backend: adapter.backend.into(),
        kind: adapter.kind.to_string(),
        driver: adapter.driver.clone(),
        kernels: kernels.into(),
    };
    Ok((adapter, stages(&mut engine, problem, ceiling)?))
}

/// Over a flight of four iterations, or of one.
fn stages(engine: &mut GpuEngine, problem: &Problem, ceiling: &Ceiling) -> Result<Option<Vec<Stage>>, EngineError> {
    let parameters = initialise(&problem.layout(), Initialisation::SmallNormal, 1, Stream::Initialisation);
    let state = State {
        parameters: engine.arrangement().arrange(&parameters),
        moments: [(); 2].map(|()| vec![0.0; engine.arrangement().length()]),
        ..State::default()
    };
    engine.settle(&plan(problem.batch))?;
    engine.put(&state)?;
    let launches = |first: u32, count: u32| {
        let launch =
            |iteration| Launch { draw: Draw::new(1, iteration, Stream::Training), rate_factor: 1.0, beta: 1.0 };
        (first..first + count).map(launch).collect::<Vec<_>>()
    };
    engine.launch(&launches(0, 1))?;
    engine.land()?;
    // A flight's dispatches have to fit what can be timed at once.
    let mut measure = |count: u32| {
        if !engine.time_passes() {
            return Ok(None);
        }
        engine.launch(&launches(1, count))?;
        engine.land()?;
        engine.passes().map(|passes| passes.map(|passes| (passes, f64::from(count))))
    };
    let measured = match measure(4)? {
        None => measure(1)?,
        measured => measured,
    };
    let Some((passes, count)) = measured else { return Ok(None) };
    let mut stages = Vec::new();
    for (name, kernels) in STAGES {
        let of_stage = passes.iter().filter(|pass| kernels.contains(&plain(&pass.kernel)));
        let (dispatches, nanoseconds) = of_stage.fold((0, 0.0), |(n, sum), pass| (n + 1, sum + pass.nanoseconds));
        let milliseconds = nanoseconds / 1e6 / count;
        stages.push(Stage {
            name,
            milliseconds,
            dispatches: Some(f64::from(dispatches) / count),
            share: Share::of(problem.work(name), milliseconds, ceiling),
        });
    }
    Ok(Some(stages))
}

/// A kernel of either set.
fn plain(kernel: &str) -> &str {
    kernel.strip_prefix("hardware_").unwrap_or(kernel)
}

/// Reverse KL with the leave-one-out control variate, as `training` runs it.
fn plan(batch: usize) -> Plan {
    Plan {
        formula: Formula::LeaveOneOut,
        batch,
        log_reward_floor: None,
        log_prefix: 0.0,
        learning_rates: [1e-3; 2],
        betas: [0.9, 0.999],
        epsilon: 1e-8,
        weight_decay: 0.0,
        average: None,
        clip_norm: None,
        patience: 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{EngineConfig, EngineKind};
    use crate::engine::Roll;
    use crate::throughput::Task;

    /// Every dispatch of an iteration belongs to a stage, and takes time; together they are what the engine says it launched.
    #[test]
    fn stages_are_all_of_an_iteration() {
        let problem = Problem { task: Task::Ising(4), width: 32, layers: 3, batch: 128 };
        let config = EngineConfig { kind: EngineKind::Gpu, ..EngineConfig::default() };
        let ceiling = Ceiling { flops: 1e9, bytes: 1e9, product: String::new() };
        for kernels in [KernelSet::Software, KernelSet::Hardware] {
            let asked = Asked { config: config.clone(), kernels: Some(kernels) };
            let (_, stages) = look(&asked, &problem, &ceiling).expect("an adapter");
            let stages = stages.expect("lavapipe has a clock");
            assert!(stages.iter().all(|stage| stage.milliseconds > 0.0), "{kernels:?}: {stages:?}");
            let mut engine = open(&asked, &problem).unwrap();
            engine.settle(&plan(problem.batch)).unwrap();
            let zeros = vec![0.0; engine.arrangement().length()];
            engine
                .put(&State { parameters: zeros.clone(), moments: [zeros.clone(), zeros], ..State::default() })
                .unwrap();
            let before = engine.counts().unwrap().dispatches;
            let launch = Launch { draw: Draw::new(1, 0, Stream::Training), rate_factor: 1.0, beta: 1.0 };
            engine.launch(&[launch]).unwrap();
            engine.land().unwrap();
            let launched = (engine.counts().unwrap().dispatches - before) as f64;
            let timed: f64 = stages.iter().filter_map(|stage| stage.dispatches).sum();
            assert!((timed - launched).abs() < 1e-9, "{kernels:?}: {timed} of {launched}: {stages:?}");
        }
    }
}
