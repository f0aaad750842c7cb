//! wgflow trains Generative Flow Networks on the GPU, in Rust and WGSL.

pub mod engine;
pub mod objective;
pub mod optimizer;
pub mod policy;
pub mod process;
pub mod random;
pub mod schedule;
pub mod target;
