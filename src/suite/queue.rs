//! Who carries out which run of a suite: a process that has the directory to itself, or several that share it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::Duration;

use super::shard::Shard;
use super::work::{self, State};
use super::{Run, Suite};
use crate::run::claims::{Answer, Claims};
use crate::run::directory::RunDirectory;
use crate::run::error::RunError;
use crate::run::files;
use crate::stop::Stop;

/// Where the files of those who share a suite are, in its directory.
const SHARED: &str = ".shards";

/// How often it is asked again whether another machine's process is alive.
const AGAIN: Duration = Duration::from_millis(500);

/// Hands out runs, from any thread.
pub trait Queue: Sync {
    /// The next run to be carried out, by its number in the suite; none when nothing is left for this process.
    fn next(&self) -> Result<Option<usize>, RunError>;

    /// A run that was handed out has come to this.
    fn ended(&self, run: usize, state: &State) -> Result<(), RunError>;

    /// Whether a run that somebody else works on can be left to them.
    fn is_shared(&self) -> bool;
}

/// All runs that are unfinished.
pub struct Whole {
    pending: Vec<usize>,
    next: AtomicUsize,
}

impl Whole {
    /// Of runs in these states.
    pub fn new(states: &[State]) -> Self {
        let pending = (0..states.len()).filter(|&run| states[run] == State::Unfinished).collect();
        Self { pending, next: AtomicUsize::new(0) }
    }
}

impl Queue for Whole {
    fn next(&self) -> Result<Option<usize>, RunError> {
        Ok(self.pending.get(self.next.fetch_add(1, Ordering::SeqCst)).copied())
    }

    fn ended(&self, _: usize, _: &State) -> Result<(), RunError> {
        Ok(())
    }

    fn is_shared(&self) -> bool {
        false
    }
}

/// Runs that no other process has: first those of a shard, then whatever is left by others, who may have been killed.
pub struct Shared<'a> {
    suite: &'a Suite,
    out: PathBuf,
    stop: Stop,
    claims: Claims,
    /// Runs that are not known to be done, nor handed out here.
    open: Mutex<Vec<usize>>,
}

impl<'a> Shared<'a> {
    /// Joins those who share the suite's directory, until this is dropped.
    pub fn join(suite: &'a Suite, out: &Path, shard: Shard, stop: &Stop) -> Result<Self, RunError> {
        let claims = Claims::join(&out.join(SHARED), stop)?;
        let open = Mutex::new(shard.order(suite.runs.len()));
        Ok(Self { suite, out: out.to_owned(), stop: stop.clone(), claims, open })
    }

    fn is_done(&self, run: &Run) -> Result<bool, RunError> {
        let summary = RunDirectory::at(&self.out.join(&run.name)).summary(run.config.settings.training.iterations)?;
        Ok(summary.is_some() || failure(&self.out, run)?.is_some())
    }
}

impl Queue for Shared<'_> {
    fn next(&self) -> Result<Option<usize>, RunError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let mut unclear = false;
            let mut place = 0;
            while let Some(&run) = open.get(place) {
                if self.stop.reason().is_some() {
                    return Ok(None);
                }
                let found = &self.suite.runs[run];
                if self.is_done(found)? {
                    open.remove(place);
                    continue;
                }
                match self.claims.take(&found.name)? {
                    Answer::Mine => {
                        open.remove(place);
                        // Whoever had it may have come to its end between the two questions.
                        if !self.is_done(found)? {
                            return Ok(Some(run));
                        }
                        continue;
                    }
                    Answer::Held => {}
                    Answer::Unclear => unclear = true,
                }
                place += 1;
            }
            if !unclear {
                return Ok(None);
            }
            sleep(AGAIN);
        }
    }

    fn ended(&self, run: usize, state: &State) -> Result<(), RunError> {
        let State::Failed(reason) = state else { return Ok(()) };
        let failed = failures(&self.out);
        files::create_directory(&failed)?;
        Ok(files::write(&failed.join(&self.suite.runs[run].name), reason.as_bytes())?)
    }

    fn is_shared(&self) -> bool {
        true
    }
}

fn failures(out: &Path) -> PathBuf {
    out.join(SHARED).join("failed")
}

/// Why a run failed that was one of several processes'.
fn failure(out: &Path, run: &Run) -> Result<Option<String>, RunError> {
    let path = failures(out).join(&run.name);
    if files::look(&path)?.is_none() {
        return Ok(None);
    }
    let read = std::fs::read_to_string(&path);
    read.map(Some).map_err(|cause| RunError::Io { action: "read", path, cause })
}

/// What is known of each run, as [`work::survey`] says it, where several processes share the directory: they leave word of
/// what failed, so that none tries it again.
pub fn survey(suite: &Suite, out: &Path) -> Result<Vec<State>, RunError> {
    let mut states = work::survey(suite, out)?;
    for (run, state) in suite.runs.iter().zip(&mut states) {
        if *state == State::Unfinished
            && let Some(reason) = failure(out, run)?
        {
            *state = State::Failed(reason);
        }
    }
    Ok(states)
}
