//! wgflow trains Generative Flow Networks on the GPU, in Rust and WGSL.

pub mod commands;
pub mod config;
pub mod data;
pub mod engine;
pub mod evaluation;
pub mod joint;
pub mod metrics;
pub mod objective;
pub mod optimizer;
pub mod policy;
pub mod process;
pub mod random;
pub mod report;
pub mod run;
pub mod schedule;
pub mod session;
pub mod summary;
pub mod target;
pub mod throughput;
pub mod trainer;
