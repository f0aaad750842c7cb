//! The processes of an MPI job that `wgflow train` is one of: with the feature `mpi`; without it there is one process.

use super::signals;
use crate::parallel::Ranks;
use crate::session::Session;

#[cfg(feature = "mpi")]
pub use crate::parallel::Job;

/// Nothing that there could be ranks in.
#[cfg(not(feature = "mpi"))]
pub struct Job;

#[cfg(not(feature = "mpi"))]
impl Job {
    pub fn ranks(&self) -> Option<Ranks> {
        None
    }
}

/// Begins the job, which ends with what this gives.
///
/// # Errors
/// If the process was started as one of several by MPI, and wgflow is built without it: each would train the same.
#[cfg(not(feature = "mpi"))]
pub fn job() -> anyhow::Result<Job> {
    for size in ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"] {
        let started = std::env::var(size).ok().and_then(|text| text.parse().ok()).unwrap_or(1);
        if started > 1_usize {
            let how = "this wgflow is built without MPI: build it with `cargo build --release --features mpi`";
            return Err(crate::config::ConfigError::new(format!(
                "{size} = {started} processes were started, and {how}"
            ))
            .into());
        }
    }
    Ok(Job)
}

#[cfg(feature = "mpi")]
pub fn job() -> anyhow::Result<Job> {
    anyhow::Context::context(Job::begin(), "MPI cannot be initialised in this process")
}

/// Does what rank 0 says. Signals are told to it, which decides.
pub fn serve(ranks: Ranks) -> anyhow::Result<()> {
    let stop = signals::stop()?;
    Session::serve(ranks.heeding(&stop));
    Ok(())
}
