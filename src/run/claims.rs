//! Work that several processes, on several machines, divide among them by files in a directory that all of them see.
//!
//! A claim is a file that its holder makes where none must be, which one process does and no other, on shared file systems as
//! well; it names the holder. Claims are never removed: whoever takes over makes the next one, `NAME/2` after `NAME/1`, so that
//! of several who find a holder dead one gets what it held.
//!
//! A holder is dead where its own file in `processes` is gone; or, on this machine, where that is no longer locked; or, from
//! another machine, where the count in it has stood still for a minute. Locks would say that at once, but on some file systems
//! they reach no further than the machine, and there they say that everybody else is dead.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Seek, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use super::error::RunError;
use super::files;
use crate::stop::{Reason, Stop};

/// How often a process counts on.
const BEAT: Duration = Duration::from_secs(5);

/// A process of another machine whose count stands still for this long is dead.
const SILENCE: Duration = Duration::from_secs(60);

/// What became of a wish to have some work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is this process's now.
    Mine,
    /// Another process has it, or this one has it already.
    Held,
    /// Another process has it of which it is not yet known whether it is alive: to be asked again.
    Unclear,
}

/// The claims of one process.
pub struct Claims {
    directory: PathBuf,
    /// Name of this process's file.
    token: String,
    machine: String,
    silence: Duration,
    /// What others' files said, and since when.
    watched: Mutex<HashMap<PathBuf, Watched>>,
    /// Dropped to end the counting.
    alive: Option<Sender<()>>,
    counting: Option<JoinHandle<()>>,
}

struct Watched {
    content: Vec<u8>,
    since: Instant,
    /// Whether it has been seen to change.
    moves: bool,
}

impl Claims {
    /// Joins those who divide the work of this directory. Where this process can no longer show that it is alive, so that
    /// others take its work over, `stop` is raised.
    pub fn join(directory: &Path, stop: &Stop) -> Result<Self, RunError> {
        Self::join_with(directory, stop, BEAT, SILENCE)
    }

    fn join_with(directory: &Path, stop: &Stop, beat: Duration, silence: Duration) -> Result<Self, RunError> {
        let processes = directory.join("processes");
        files::create_directory(&processes)?;
        let host = gethostname::gethostname();
        let time = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_nanos());
        let token = format!("{}-{}-{time}", host.display(), process::id());
        let path = processes.join(&token);
        let machine = machine();
        let begin = || {
            let mut file = OpenOptions::new().write(true).create_new(true).open(&path)?;
            file.lock()?;
            count(&mut file, &machine, 0)?;
            Ok(file)
        };
        let failed = |cause| RunError::Io { action: "write and lock", path: path.clone(), cause };
        let file = begin().map_err(failed)?;
        let (alive, ended) = channel();
        let (stop, name) = (stop.clone(), machine.clone());
        let counting = thread::Builder::new().spawn(move || keep_counting(file, &name, &ended, beat, silence, &stop));
        Ok(Self {
            directory: directory.to_owned(),
            token,
            machine,
            silence,
            watched: Mutex::default(),
            alive: Some(alive),
            counting: Some(counting.map_err(failed)?),
        })
    }

    /// Asks for the work of this name.
    pub fn take(&self, name: &str) -> Result<Answer, RunError> {
        let claims = self.directory.join("claims").join(name);
        files::create_directory(&claims)?;
        let (mut path, mut last) = (claims.join("1"), None);
        for number in 2.. {
            match fs::read(&path) {
                Ok(holder) => last = Some((path, holder)),
                Err(error) if error.kind() == ErrorKind::NotFound => break,
                Err(cause) => return Err(RunError::Io { action: "read", path, cause }),
            }
            path = claims.join(number.to_string());
        }
        if let Some((claim, holder)) = last {
            match self.life(&claim, &holder)? {
                Life::Dead => {}
                Life::Alive => return Ok(Answer::Held),
                Life::Unclear => return Ok(Answer::Unclear),
            }
        }
        let claim = || {
            let mut file = OpenOptions::new().write(true).create_new(true).open(&path)?;
            file.write_all(self.token.as_bytes())?;
            file.sync_all()
        };
        match claim() {
            Ok(()) => Ok(Answer::Mine),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(Answer::Held),
            Err(cause) => Err(RunError::Io { action: "write", path, cause }),
        }
    }

    /// Whether the holder that a claim names is alive.
    fn life(&self, claim: &Path, holder: &[u8]) -> Result<Life, RunError> {
        let name = String::from_utf8_lossy(holder);
        if *name == *self.token {
            return Ok(Life::Alive);
        }
        if name.is_empty() {
            // Its maker has not come to write its name yet, or never will.
            return Ok(self.watch(claim, holder));
        }
        let path = self.directory.join("processes").join(&*name);
        let looked = || {
            let content = fs::read(&path)?;
            if content.split(|byte| *byte == b'\n').next() != Some(self.machine.as_bytes()) {
                return Ok(self.watch(&path, &content));
            }
            // Shared, so that two who look at the same time do not take each other for the holder.
            match File::open(&path)?.try_lock_shared() {
                Ok(()) => Ok(Life::Dead),
                Err(TryLockError::WouldBlock) => Ok(Life::Alive),
                Err(TryLockError::Error(cause)) => Err(cause),
            }
        };
        match looked() {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Life::Dead),
            looked => looked.map_err(|cause| RunError::Io { action: "look at", path, cause }),
        }
    }

    /// What the contents of a file say about its writer, by when they changed.
    fn watch(&self, path: &Path, content: &[u8]) -> Life {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let first = || Watched { content: content.to_owned(), since: now, moves: false };
        let entry = watched.entry(path.to_owned()).or_insert_with(first);
        if entry.content != content {
            *entry = Watched { content: content.to_owned(), since: now, moves: true };
        }
        match entry.since.elapsed() >= self.silence {
            true => Life::Dead,
            false if entry.moves => Life::Alive,
            false => Life::Unclear,
        }
    }
}

impl Drop for Claims {
    /// Gives up what this process holds: others need not wait to be sure of its end.
    fn drop(&mut self) {
        self.alive = None;
        if let Some(counting) = self.counting.take() {
            // It does not panic; and where the file cannot be removed, its lock or its silence says the same.
            let _ = counting.join();
        }
        let _ = fs::remove_file(self.directory.join("processes").join(&self.token));
    }
}

enum Life {
    Alive,
    Dead,
    Unclear,
}

/// Counts on until the other end of `ended` is dropped, the file locked all the while.
fn keep_counting(mut file: File, machine: &str, ended: &Receiver<()>, beat: Duration, silence: Duration, stop: &Stop) {
    let mut last = Instant::now();
    for number in 1.. {
        if ended.recv_timeout(beat) != Err(RecvTimeoutError::Timeout) {
            return;
        }
        // Frozen for so long, or without the file, it is dead to others.
        if count(&mut file, machine, number).is_err() || last.elapsed() >= silence {
            stop.raise(Reason::Interrupt);
        }
        last = Instant::now();
    }
}

/// Writes the machine and a count of fixed width, over what the file has.
fn count(file: &mut File, machine: &str, number: u64) -> io::Result<()> {
    file.rewind()?;
    file.write_all(format!("{machine}\n{number:020}\n").as_bytes())?;
    file.sync_data()
}

/// A name of this machine, from one start of it to the next: what shares a kernel shares locks.
fn machine() -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
    boot.map_or_else(|| gethostname::gethostname().display().to_string(), |id| id.trim().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn join(directory: &Path) -> Claims {
        Claims::join(directory, &Stop::default()).unwrap()
    }

    #[test]
    fn of_many_who_ask_at_once_one_gets_it() {
        let directory = tempfile::tempdir().unwrap();
        let claims: Vec<Claims> = (0..4).map(|_| join(directory.path())).collect();
        for round in 0..20 {
            let name = format!("run-{round}");
            let ask = |claims: &Claims| claims.take(&name).unwrap();
            let answers: Vec<Answer> = thread::scope(|scope| {
                let asked: Vec<_> =
                    claims.iter().flat_map(|one| [one, one]).map(|one| scope.spawn(move || ask(one))).collect();
                asked.into_iter().map(|asked| asked.join().unwrap()).collect()
            });
            assert_eq!(answers.iter().filter(|answer| **answer == Answer::Mine).count(), 1, "{answers:?}");
            assert!(claims.iter().all(|claims| ask(claims) != Answer::Mine));
        }
    }

    #[test]
    fn who_is_done_leaves_its_claims_to_one_other() {
        let directory = tempfile::tempdir().unwrap();
        let [first, second, third] = [0; 3].map(|_| join(directory.path()));
        assert_eq!(first.take("run").unwrap(), Answer::Mine);
        assert_eq!((second.take("run").unwrap(), first.take("run").unwrap()), (Answer::Held, Answer::Held));
        drop(first);
        assert_eq!((third.take("run").unwrap(), second.take("run").unwrap()), (Answer::Mine, Answer::Held));
        drop(third);
        assert_eq!(second.take("run").unwrap(), Answer::Mine);
    }

    /// What a killed process leaves: its file, unlocked.
    #[test]
    fn the_dead_of_this_machine_are_known_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let claims = join(directory.path());
        let dead = directory.path().join("processes/dead");
        fs::write(&dead, format!("{}\n{:020}\n", machine(), 7)).unwrap();
        fs::create_dir_all(directory.path().join("claims/run")).unwrap();
        fs::write(directory.path().join("claims/run/1"), "dead").unwrap();
        let locked = File::open(&dead).unwrap();
        locked.lock().unwrap();
        assert_eq!(claims.take("run").unwrap(), Answer::Held);
        drop(locked);
        assert_eq!(claims.take("run").unwrap(), Answer::Mine);
    }

    /// A process of another machine is held to be alive as long as it counts, whatever its locks look like from here.
    #[test]
    fn others_machines_are_dead_when_they_are_silent() {
        let directory = tempfile::tempdir().unwrap();
        let stop = Stop::default();
        let claims = Claims::join_with(directory.path(), &stop, BEAT, Duration::from_millis(400)).unwrap();
        fs::create_dir_all(directory.path().join("claims/run")).unwrap();
        fs::write(directory.path().join("claims/run/1"), "far").unwrap();
        let far = directory.path().join("processes/far");
        let mut file = File::create(&far).unwrap();
        count(&mut file, "another machine", 0).unwrap();
        assert_eq!(claims.take("run").unwrap(), Answer::Unclear);
        for number in 1..20 {
            count(&mut file, "another machine", number).unwrap();
            assert_eq!(claims.take("run").unwrap(), Answer::Held);
            thread::sleep(Duration::from_millis(50));
        }
        thread::sleep(Duration::from_millis(400));
        assert_eq!(claims.take("run").unwrap(), Answer::Mine);
        // A claim whose maker was killed before it wrote its name.
        fs::create_dir_all(directory.path().join("claims/other")).unwrap();
        fs::write(directory.path().join("claims/other/1"), "").unwrap();
        assert_eq!(claims.take("other").unwrap(), Answer::Unclear);
        thread::sleep(Duration::from_millis(400));
        assert_eq!(claims.take("other").unwrap(), Answer::Mine);
        assert_eq!(stop.reason(), None);
    }

    #[test]
    fn who_was_silent_for_too_long_gives_up() {
        let directory = tempfile::tempdir().unwrap();
        let stop = Stop::default();
        // Every beat is later than the silence that others bear.
        let _claims =
            Claims::join_with(directory.path(), &stop, Duration::from_millis(20), Duration::from_millis(1)).unwrap();
        let begun = Instant::now();
        while stop.reason().is_none() {
            assert!(begun.elapsed() < Duration::from_secs(60), "it goes on");
            thread::sleep(Duration::from_millis(5));
        }
    }
}
