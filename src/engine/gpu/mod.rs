use super::*;
use crate::policy::*;
use crate::process::*;
use crate::target::*;
use std::sync::Arc;
#[derive(Default)]
pub struct GpuOptions {
    pub adapter: Option<String>,
    pub memory_budget: u64,
    pub tile: u32,
}
pub struct GpuEngine;
pub struct A {
    pub name: String,
    pub backend: String,
    pub kind: String,
    pub driver: String,
}
pub fn adapters(_: bool) -> Vec<A> {
    vec![]
}
pub fn has_hardware() -> bool {
    false
}
impl GpuEngine {
    pub fn new(
        _: SiteFilling,
        _: Layout,
        _: Activation,
        _: Arc<dyn Target>,
        _: GpuOptions,
    ) -> Result<crate::engine::cpu::CpuEngine<f32>, EngineError> {
        Err(EngineError::NoAdapter("x".into()))
    }
}
