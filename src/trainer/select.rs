//! Which engine a run gets, and why.

use std::sync::{Arc, OnceLock};
#[cfg(feature = "gpu")]
use std::time::Duration;

use crate::config::{EngineConfig, EngineKind, Precision};
use crate::engine::cpu::CpuEngine;
#[cfg(feature = "gpu")]
use crate::engine::gpu::{self, GpuEngine, GpuOptions};
use crate::engine::{AdapterKind, Engine, EngineError};
use crate::memory;
use crate::network::{Activation, Layout, Real};
use crate::process::Process;
use crate::targets::Target;
#[cfg(feature = "gpu")]
use crate::tuning::{self, Key};

/// An engine, and what is told of it.
pub(crate) struct Selected {
    pub engine: Box<dyn Engine>,
    /// Which it is and why.
    pub which: String,
    /// The sizes of a GPU's kernels, as the JSON text that a later engine of the same run gets them by.
    pub kernels: Option<String>,
}

/// An engine for this process, policy and target, for trainings on batches of so many trajectories, and a line that says which it is
/// and why.
///
/// `auto` takes a hardware GPU if there is one, else the native engine: a software adapter computes the same on the same
/// processor, only slower. The environment variable `WGFLOW_ADAPTER` stands in for an empty `engine.adapter`.
///
/// `local` is the process's number among the ranks of a job on this machine, and how many these are: where the settings say
/// nothing else, they take its GPUs in turns, and equal parts of its memory.
///
/// # Errors
/// `Limit` if f64 is asked for together with a GPU, which computes in f32; what the engine says otherwise.
pub fn select(
    config: &EngineConfig,
    local: (usize, usize),
    process: Arc<dyn Process>,
    layout: &Layout,
    activation: Activation,
    target: Arc<dyn Target>,
    batch: usize,
) -> Result<(Box<dyn Engine>, String), EngineError> {
    let selected = select_keeping(config, (local, None), process, layout, activation, target, batch)?;
    Ok((selected.engine, selected.which))
}

/// The same for a run that may have begun before, with kernels of these sizes ([`Selected::kernels`]).
pub(crate) fn select_keeping(
    config: &EngineConfig,
    ((number, ranks), kept): ((usize, usize), Option<&str>),
    process: Arc<dyn Process>,
    layout: &Layout,
    activation: Activation,
    target: Arc<dyn Target>,
    batch: usize,
) -> Result<Selected, EngineError> {
    refuse_f64_on_gpu(config, &environment())?;
    let memory_budget = config.memory_budget(memory::available().map(|bytes| bytes / ranks as u64));
    let layout = layout.clone();
    if let Some(why) = reason_for_gpu(config) {
        let adapter = adapter(config);
        let turn = || if ranks == 1 { 0 } else { number % alike(adapter.as_deref()).max(1) };
        let index = config.adapter_index.unwrap_or_else(turn);
        let options = Options { adapter, index, memory_budget, tune: config.tune && tunes(), kept };
        let (engine, kernels) = on_gpu(options, process, layout, activation, target)?;
        let which = format!("{} ({why})", engine.name());
        return Ok(Selected { engine, which, kernels });
    }
    let engine = match config.precision {
        Precision::F32 => native::<f32>(process, layout, activation, target, memory_budget, batch)?,
        Precision::F64 => native::<f64>(process, layout, activation, target, memory_budget, batch)?,
    };
    let why = match (config.kind, config.precision) {
        (EngineKind::Cpu, _) => "asked for",
        (_, Precision::F64) => "no GPU computes in f64",
        _ => "no hardware GPU was found",
    };
    let which = format!("{} ({why})", engine.name());
    Ok(Selected { engine, which, kernels: None })
}

fn native<T: Real>(
    process: Arc<dyn Process>,
    layout: Layout,
    activation: Activation,
    target: Arc<dyn Target>,
    memory_budget: u64,
    batch: usize,
) -> Result<Box<dyn Engine>, EngineError> {
    Ok(Box::new(CpuEngine::<T>::new(process, layout, activation, target, memory_budget)?.for_batches_of(batch)))
}

/// Whether a run with this configuration computes on a GPU (or a software adapter standing in for one).
pub fn takes_gpu(config: &EngineConfig) -> bool {
    reason_for_gpu(config).is_some()
}

/// What the adapter runs on that a run with this configuration takes, if it takes one and there is one.
pub fn adapter_kind(config: &EngineConfig) -> Option<AdapterKind> {
    reason_for_gpu(config).and_then(|_| kind(adapter(config).as_deref(), config.adapter_index.unwrap_or_default()))
}

#[cfg(feature = "gpu")]
use gpu::{alike, has_hardware_adapter, kind};

/// What a GPU's engine is made by, whatever it computes.
#[cfg_attr(not(feature = "gpu"), allow(dead_code))]
struct Options<'a> {
    adapter: Option<String>,
    index: usize,
    memory_budget: u64,
    tune: bool,
    kept: Option<&'a str>,
}

#[cfg(feature = "gpu")]
fn on_gpu(
    Options { adapter, index, memory_budget, tune, kept }: Options,
    process: Arc<dyn Process>,
    layout: Layout,
    activation: Activation,
    target: Arc<dyn Target>,
) -> Result<(Box<dyn Engine>, Option<String>), EngineError> {
    let description = gpu::description(adapter.as_deref(), index);
    let options = GpuOptions { adapter, adapter_index: index, memory_budget, ..GpuOptions::default() };
    let make = |options| GpuEngine::new(process.clone(), layout.clone(), activation, target.clone(), options);
    let Some(adapter) = description else { return Ok((Box::new(make(options)?), None)) };
    let key = Key::new(&adapter, &layout.widths[1..layout.widths.len() - 1]);
    let choice = tuning::choose(key, (adapter.kind.is_hardware(), tune), kept, || {
        // Two engines are there at once.
        let memory_budget = memory_budget / 2;
        gpu::tune(tuning::LARGEST, Duration::from_secs_f64(tuning::SECONDS), |tiling| {
            make(GpuOptions { tiling, memory_budget, ..options.clone() })
        })
    });
    let kernels = serde_json::to_string(&choice).expect("texts and numbers have a JSON form");
    Ok((Box::new(make(GpuOptions { tiling: choice.tiling, ..options.clone() })?), Some(kernels)))
}

#[cfg(not(feature = "gpu"))]
fn on_gpu(
    _: Options,
    _: Arc<dyn Process>,
    _: Layout,
    _: Activation,
    _: Arc<dyn Target>,
) -> Result<(Box<dyn Engine>, Option<String>), EngineError> {
    let message =
        "wgflow was built without its GPU engine (the feature `gpu`): take engine.kind = \"cpu\", and no adapter";
    Err(EngineError::NoAdapter(message.into()))
}

#[cfg(not(feature = "gpu"))]
fn kind(_: Option<&str>, _: usize) -> Option<AdapterKind> {
    None
}

#[cfg(not(feature = "gpu"))]
fn alike(_: Option<&str>) -> usize {
    0
}

#[cfg(not(feature = "gpu"))]
fn has_hardware_adapter() -> bool {
    false
}

fn reason_for_gpu(config: &EngineConfig) -> Option<&'static str> {
    match config.kind {
        EngineKind::Gpu => Some("asked for"),
        EngineKind::Auto if adapter(config).is_some() || config.adapter_index.is_some() => Some("an adapter was named"),
        EngineKind::Auto if config.precision == Precision::F32 && has_hardware() => Some("a hardware GPU was found"),
        EngineKind::Auto | EngineKind::Cpu => None,
    }
}

/// Refuses f64 together with what names a GPU, `environment` being the value of `WGFLOW_ADAPTER`.
fn refuse_f64_on_gpu(config: &EngineConfig, environment: &str) -> Result<(), EngineError> {
    let gpu = match config.kind {
        _ if config.precision != Precision::F64 => return Ok(()),
        EngineKind::Cpu => return Ok(()),
        EngineKind::Gpu => "engine.kind = \"gpu\"".into(),
        EngineKind::Auto if !config.adapter.is_empty() => format!("engine.adapter = {:?}", config.adapter),
        EngineKind::Auto if !environment.is_empty() => {
            format!("an adapter named by the environment variable WGFLOW_ADAPTER = {environment:?}")
        }
        EngineKind::Auto => match config.adapter_index {
            Some(index) => format!("engine.adapter_index = {index}"),
            None => return Ok(()),
        },
    };
    Err(EngineError::Limit(format!(
        "engine.precision = \"f64\" together with {gpu}: a GPU computes in f32, only the native engine in f64. Take \
         engine.precision = \"f32\", or engine.kind = \"cpu\""
    )))
}

/// Whether there is a hardware GPU; looked up once a process, for asking drivers takes time.
fn has_hardware() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    *FOUND.get_or_init(has_hardware_adapter)
}

/// Part of the name of the adapter asked for, if any was.
pub(crate) fn adapter(config: &EngineConfig) -> Option<String> {
    [config.adapter.clone(), environment()].into_iter().find(|text| !text.is_empty())
}

/// Whether the environment allows that kernels are tuned.
fn tunes() -> bool {
    std::env::var_os("WGFLOW_TUNE").is_none_or(|value| value != "0")
}

/// The value of `WGFLOW_ADAPTER`, empty if it is not set.
fn environment() -> String {
    std::env::var_os("WGFLOW_ADAPTER").unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f64_is_refused_wherever_a_gpu_is_named_and_the_message_names_both() {
        let config = |kind, precision, adapter: &str| EngineConfig {
            kind,
            precision,
            adapter: adapter.into(),
            ..EngineConfig::default()
        };
        let cases = [
            (EngineKind::Gpu, "", "", "engine.kind = \"gpu\""),
            (EngineKind::Gpu, "llvm", "llvm", "engine.kind = \"gpu\""),
            (EngineKind::Auto, "llvm", "", "engine.adapter = \"llvm\""),
            (EngineKind::Auto, "", "llvm", "WGFLOW_ADAPTER = \"llvm\""),
        ];
        for (kind, adapter, environment, words) in cases {
            let error = refuse_f64_on_gpu(&config(kind, Precision::F64, adapter), environment).expect_err(words);
            assert!(matches!(error, EngineError::Limit(_)));
            let message = error.to_string();
            assert!(message.contains("engine.precision = \"f64\"") && message.contains(words), "{message}");
            assert!(refuse_f64_on_gpu(&config(kind, Precision::F32, adapter), environment).is_ok());
        }
        for (kind, environment) in [(EngineKind::Auto, ""), (EngineKind::Cpu, ""), (EngineKind::Cpu, "llvm")] {
            assert!(refuse_f64_on_gpu(&config(kind, Precision::F64, ""), environment).is_ok());
        }
    }
}
