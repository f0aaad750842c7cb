//! One writer a directory: a lock on a file in it, which ends with the process that holds it, however that ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::process;

use super::error::RunError;

/// The file that is locked. It stays when the lock is gone: removing it would let two processes lock two files.
const NAME: &str = ".lock";

/// A directory that nobody else writes to until this is dropped.
#[derive(Debug)]
pub struct Lock {
    /// Closing it releases the lock.
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Locks an existing directory.
    ///
    /// # Errors
    /// `Held` if somebody else has it, and who; `Io` if the file system has no locks or the directory cannot be written.
    pub fn take(directory: &Path) -> Result<Self, RunError> {
        let host = gethostname::gethostname();
        let holder = format!("process {} on {}\n", process::id(), host.display());
        Self::open(directory.join(NAME), File::try_lock, &holder)
    }

    /// Locks an existing directory against those who [`take`](Self::take) it, and not against others who share it.
    ///
    /// # Errors
    /// As `take`.
    pub fn share(directory: &Path) -> Result<Self, RunError> {
        Self::open(directory.join(NAME), File::try_lock_shared, "shards of its suite\n")
    }

    fn open(path: PathBuf, lock: fn(&File) -> Result<(), TryLockError>, note: &str) -> Result<Self, RunError> {
        let failed = |action| {
            let path = path.clone();
            move |cause| RunError::Io { action, path, cause }
        };
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open.map_err(failed("open"))?;
        match lock(&file) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Where a locked file cannot be read (Windows), its holder stays unnamed.
                let holder = file.read_to_string(&mut holder).ok().map(|_| holder.trim().to_string());
                let holder = holder.filter(|holder| !holder.is_empty()).unwrap_or("another process".into());
                return Err(RunError::Held { path: path.parent().unwrap_or(Path::new(".")).to_owned(), holder });
            }
            Err(TryLockError::Error(cause)) => return Err(failed("lock")(cause)),
        }
        let noted = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(note.as_bytes()));
        noted.map_err(failed("write"))?;
        Ok(Self { file, path })
    }

    /// Refuses to go on where the path that was locked no longer leads to what was locked: a directory can be moved or
    /// removed, and another one made in its place.
    pub fn check(&self) -> Result<(), RunError> {
        let moved = || RunError::Moved { path: self.path.parent().unwrap_or(Path::new(".")).to_owned() };
        if self.is_in_place() { Ok(()) } else { Err(moved()) }
    }

    /// What `write` gives in a directory that is in its place; where it is moved meanwhile, so that `write` fails, that is why.
    pub fn within<T, E: Into<RunError>>(&self, write: impl FnOnce() -> Result<T, E>) -> Result<T, RunError> {
        self.check()?;
        write().map_err(|error| self.check().err().unwrap_or_else(|| error.into()))
    }

    fn is_in_place(&self) -> bool {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let identity = |file: std::fs::Metadata| (file.dev(), file.ino());
            let (here, held) = (std::fs::metadata(&self.path), self.file.metadata());
            here.is_ok_and(|here| held.is_ok_and(|held| identity(here) == identity(held)))
        }
        // Elsewhere a directory with an open file in it cannot be moved.
        #[cfg(not(unix))]
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_one_holder_at_a_time_and_says_who() {
        let directory = tempfile::tempdir().unwrap();
        let lock = Lock::take(directory.path()).unwrap();
        let refused = Lock::take(directory.path()).unwrap_err();
        assert!(matches!(refused, RunError::Held { .. }), "{refused}");
        let (message, me) = (refused.to_string(), format!("process {}", process::id()));
        assert!(message.contains(&me) && message.contains(directory.path().to_str().unwrap()), "{message}");
        drop(lock);
        Lock::take(directory.path()).unwrap();
    }

    #[test]
    fn a_directory_is_shared_or_taken() {
        let directory = tempfile::tempdir().unwrap();
        let shared = [Lock::share(directory.path()).unwrap(), Lock::share(directory.path()).unwrap()];
        let refused = Lock::take(directory.path()).unwrap_err().to_string();
        assert!(refused.contains("shards of its suite"), "{refused}");
        drop(shared);
        let _taken = Lock::take(directory.path()).unwrap();
        assert!(matches!(Lock::share(directory.path()).unwrap_err(), RunError::Held { .. }));
    }

    #[cfg(unix)]
    #[test]
    fn a_write_that_a_move_gets_ahead_of_fails_for_that() {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path().join("run");
        std::fs::create_dir(&here).unwrap();
        let lock = Lock::take(&here).unwrap();
        assert!(lock.within(|| crate::run::files::write(&here.join("file"), b"")).is_ok());
        let error = lock.within(|| {
            std::fs::rename(&here, folder.path().join("moved")).unwrap();
            crate::run::files::write(&here.join("file"), b"")
        });
        assert!(error.unwrap_err().to_string().contains("was moved or removed"));
    }

    #[cfg(unix)]
    #[test]
    fn a_directory_that_was_moved_is_no_longer_its_holder_s_to_write_to() {
        let place = tempfile::tempdir().unwrap();
        let [here, there] = ["here", "there"].map(|name| place.path().join(name));
        std::fs::create_dir(&here).unwrap();
        let lock = Lock::take(&here).unwrap();
        lock.check().unwrap();
        let refused = || lock.check().unwrap_err().to_string();
        std::fs::rename(&here, &there).unwrap();
        assert!(refused().starts_with(&format!("{} was moved", here.display())), "{}", refused());
        std::fs::create_dir(&here).unwrap();
        assert!(refused().contains("moved"));
        let other = Lock::take(&here).unwrap();
        assert!(refused().contains("moved"), "another one's lock");
        other.check().unwrap();
    }

    #[test]
    fn a_directory_that_is_not_there_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let message = Lock::take(&directory.path().join("gone")).unwrap_err().to_string();
        assert!(message.contains("gone"), "{message}");
    }
}
