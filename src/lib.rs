//! wgflow trains Generative Flow Networks on the GPU, in Rust and WGSL.

pub mod data;
pub mod engine;
pub mod joint;
pub mod metrics;
pub mod policy;
pub mod process;
pub mod random;
pub mod target;
