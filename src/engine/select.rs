//! Which engine a run gets, and why.

use std::sync::{Arc, OnceLock};

use super::cpu::CpuEngine;
use super::gpu::{self, GpuEngine, GpuOptions};
use super::{Engine, EngineError};
use crate::config::{EngineConfig, EngineKind, Precision};
use crate::memory;
use crate::policy::{Activation, Layout};
use crate::process::SiteFilling;
use crate::target::Target;

/// An engine for this process, policy and target, and a line that says which it is and why.
///
/// `auto` takes a hardware GPU if there is one, else the native engine: a software adapter computes the same on the same
/// processor, only slower. The environment variable `WGFLOW_ADAPTER` stands in for an empty `engine.adapter`.
pub fn select(
    config: &EngineConfig,
    process: &SiteFilling,
    layout: &Layout,
    activation: Activation,
    target: Arc<dyn Target>,
) -> Result<(Box<dyn Engine>, String), EngineError> {
    let memory_budget = config.memory_budget(memory::available());
    let (process, layout) = (process.clone(), layout.clone());
    if let Some(why) = reason_for_gpu(config) {
        let adapter = adapter(config);
        let options = GpuOptions { adapter, memory_budget, ..GpuOptions::default() };
        let engine = GpuEngine::new(process, layout, activation, target, options)?;
        let line = format!("{} ({why})", engine.name());
        return Ok((Box::new(engine), line));
    }
    let engine: Box<dyn Engine> = match config.precision {
        Precision::F32 => Box::new(CpuEngine::<f32>::new(process, layout, activation, target, memory_budget)?),
        Precision::F64 => Box::new(CpuEngine::<f64>::new(process, layout, activation, target, memory_budget)?),
    };
    let why = match (config.kind, config.precision) {
        (EngineKind::Cpu, _) => "asked for",
        (_, Precision::F64) => "no GPU computes in f64",
        _ => "no hardware GPU was found",
    };
    let line = format!("{} ({why})", engine.name());
    Ok((engine, line))
}

/// Whether a run with this configuration computes on a GPU (or a software adapter standing in for one).
pub fn takes_gpu(config: &EngineConfig) -> bool {
    reason_for_gpu(config).is_some()
}

/// What the adapter runs on that a run with this configuration takes, if it takes one and there is one.
pub fn adapter_kind(config: &EngineConfig) -> Option<gpu::AdapterKind> {
    reason_for_gpu(config).and_then(|_| gpu::kind(adapter(config).as_deref()))
}

fn reason_for_gpu(config: &EngineConfig) -> Option<&'static str> {
    match config.kind {
        EngineKind::Gpu => Some("asked for"),
        EngineKind::Auto if adapter(config).is_some() => Some("an adapter was named"),
        EngineKind::Auto if config.precision == Precision::F32 && has_hardware() => Some("a hardware GPU was found"),
        EngineKind::Auto | EngineKind::Cpu => None,
    }
}

/// Whether there is a hardware GPU; looked up once a process, for asking drivers takes time.
fn has_hardware() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    *FOUND.get_or_init(gpu::has_hardware_adapter)
}

/// Part of the name of the adapter asked for, if any was.
fn adapter(config: &EngineConfig) -> Option<String> {
    let from_environment = std::env::var_os("WGFLOW_ADAPTER").map(|text| text.to_string_lossy().into_owned());
    let adapter = Some(config.adapter.clone()).filter(|text| !text.is_empty()).or(from_environment);
    adapter.filter(|text| !text.is_empty())
}
