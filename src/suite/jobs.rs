//! How many runs at a time pay, and what each gets of the machine.

use std::thread::available_parallelism;

use crate::config::{Config, Inputs};
use crate::engine::{BLOCK, select};
use crate::trainer::shape;

/// From this many blocks a thread on, a run alone keeps all cores about as busy as several would.
const AMPLE: usize = 16;

/// Cores of this machine that the process may use.
pub fn cores() -> usize {
    available_parallelism().map_or(1, |cores| cores.get())
}

/// How many of `runs` to carry out at a time: one on a GPU or where batches are large, else one a core, as far as
/// memory goes. Each of n jobs gets a pool of [`cores`]/n threads: with few blocks a batch, threads of one run would
/// wait for each other.
pub fn usual(runs: &[&Config]) -> usize {
    let cores = cores();
    let one = runs.iter().any(|config| {
        select::takes_gpu(&config.settings.engine) || config.settings.training.batch.div_ceil(BLOCK) >= AMPLE * cores
    });
    if one {
        return 1;
    }
    let largest = runs.iter().map(|config| bytes(config)).max().unwrap_or(0);
    let fitting = available_memory().map_or(cores, |available| (available / largest.max(1)) as usize);
    cores.min(fitting).min(runs.len()).max(1)
}

/// About the memory that a run on the native engine takes: activations, their budget given, and parameters with their
/// optimizer state and gradients.
fn bytes(config: &Config) -> u64 {
    let Ok(target) = config.target.build(Inputs::Checkpoint) else { return 0 };
    let (process, layout) = shape(&config.settings, target.as_ref());
    let widths: usize = config.settings.policy.hidden.iter().sum();
    // Two numbers an activation, its value and its slope, in at most f64.
    let activations = (config.settings.training.batch * process.steps() * widths * 2 * size_of::<f64>()) as u64;
    let blocks = (config.settings.training.batch.div_ceil(BLOCK)) as u64;
    activations.min(config.settings.engine.memory_mib << 20)
        + (8 + blocks) * (layout.parameters() * size_of::<f64>()) as u64
}

/// Bytes of memory that the system says are free for use, where it does (Linux).
fn available_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes << 10)
}
