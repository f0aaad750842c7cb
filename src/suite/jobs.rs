//! How many runs at a time pay, and what each gets of the machine.

use std::thread::available_parallelism;

use crate::config::{Config, Inputs};
use crate::engine::BLOCK;
use crate::memory;
use crate::targets::InputFiles;
use crate::trainer::memory::{Machine, Purpose, need};
use crate::trainer::select;

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
    let fitting = memory::available().map_or(cores, |available| {
        // Each job reckons by itself how much of the memory its activations may take.
        let machine = Machine { available, threads: 1, adapter: None, ranks: 1 };
        let bytes = |config: &&Config| {
            let target = config.target.build(&Inputs::Checkpoint(InputFiles::default()));
            let joint = config.target.energy_training().is_some();
            let purpose = if joint { Purpose::JointTraining } else { Purpose::Training };
            target.map_or(0, |target| need(&config.settings, &*target, machine, purpose))
        };
        (available / runs.iter().map(bytes).max().unwrap_or(0).max(1)) as usize
    });
    cores.min(fitting).min(runs.len()).max(1)
}
