//! wgflow trains Generative Flow Networks on the GPU, in Rust and WGSL compute shaders.
//!
//! It implements "A Variational Perspective on Generative Flow Networks" (Zimmermann, Lindsten, van de Meent, Naesseth;
//! arXiv:2210.07992): trajectory balance, reverse and forward KL, their convex combinations, and control variates that cut
//! the variance of the gradient. Data flows one way, and opening the modules in this order follows it:
//!
//! - [`config`]: an experiment file becomes settings, every key checked;
//! - [`models`] reads discrete models from files, and says what is exactly known of them;
//! - [`targets`] say log R of an object (and, if it can, log Z, samples, a WGSL kernel), [`process`] how objects are built step
//!   by step, [`network`] what the policy looks like;
//! - [`engine`] rolls out trajectories and gives their log-probabilities: natively in f32 or f64, or on a GPU;
//! - [`objective`] turns log-weights into one coefficient a trajectory, the whole difference between objectives;
//! - [`engine`] turns coefficients into a gradient, [`optimizer`] into new parameters; [`trainer`] repeats;
//! - [`metrics`] and [`evaluation`] hold the result against exact answers; [`joint`] trains an energy model along;
//! - [`session`] keeps a run in its directory ([`run`]) until it is done or asked to [`stop`], [`summary`] and [`report`] show it
//!   to people, [`suite`] compares many, [`watch`] shows them to a browser; [`memory`] says what the machine has for all that.
//!
//! Randomness is counter-based ([`random`]), so that runs are reproducible and resume bit for bit.
//!
//! ```no_run
//! use std::sync::Arc;
//! use wgflow::{config::Settings, evaluation::evaluate, targets::ising::Ising, trainer::Trainer};
//!
//! let settings: Settings = toml::from_str("training = { iterations = 1000 }")?;
//! let (mut trainer, engine) = Trainer::build(&settings, Arc::new(Ising::new(6, 0.3)?))?;
//! while !trainer.is_done() {
//!     trainer.step()?;
//! }
//! println!("{engine}: {:?}", evaluate(&mut trainer, 4096)?.evaluation);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![warn(missing_docs)]
// Printing panics where nothing can be written: what is said goes through `commands::output`.
#![cfg_attr(not(test), warn(clippy::print_stdout, clippy::print_stderr))]

// Unit tests share the comparisons of the integration tests, which know the crate by its name.
#[cfg(test)]
extern crate self as wgflow;
#[cfg(test)]
#[path = "../tests/common/compare.rs"]
mod compare;
#[cfg(test)]
#[path = "../tests/common/grid.rs"]
#[allow(dead_code)] // the target in it is for integration tests
mod grid;

// What `cli` brings is the program's own, public for its binary and its tests: no part of what others build on, which
// tests/public_api.txt lists, and not held to a docstring for everything.
#[cfg(feature = "cli")]
#[allow(missing_docs)]
#[doc(hidden)]
pub mod commands;
pub mod config;
pub mod data;
pub mod engine;
pub mod evaluation;
pub mod joint;
mod logs;
pub mod memory;
pub mod metrics;
pub mod models;
pub mod network;
pub mod objective;
pub mod optimizer;
mod out_of_range;
pub mod parallel;
#[cfg(feature = "cli")]
#[allow(missing_docs)]
#[doc(hidden)]
pub mod presets;
pub mod process;
pub mod random;
#[cfg(feature = "cli")]
#[allow(missing_docs)]
#[doc(hidden)]
pub mod report;
pub mod run;
pub mod schedule;
#[cfg(feature = "cli")]
#[allow(missing_docs)]
#[doc(hidden)]
pub mod session;
pub mod stop;
#[cfg(feature = "cli")]
#[allow(missing_docs)]
#[doc(hidden)]
pub mod suite;
#[cfg(feature = "cli")]
#[allow(missing_docs)]
#[doc(hidden)]
pub mod summary;
mod sums;
pub mod targets;
#[cfg(feature = "cli")]
#[allow(missing_docs)]
#[doc(hidden)]
pub mod throughput;
pub mod trainer;
#[cfg(feature = "gpu")]
mod tuning;
#[cfg(feature = "cli")]
#[allow(missing_docs)]
#[doc(hidden)]
pub mod variance;
#[cfg(feature = "cli")]
#[allow(missing_docs)]
#[doc(hidden)]
pub mod watch;

pub use config::Settings;
pub use engine::Batch;
pub use evaluation::evaluate;
pub use objective::Objective;
pub use process::Process;
pub use targets::{Target, TargetError};
pub use trainer::checkpoint::Checkpoint;
pub use trainer::{Builder, TrainError, Trainer};
