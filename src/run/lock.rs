//! One writer a directory: a lock on a file in it, which ends with the process that holds it, however that ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::process;

use super::error::RunError;

/// The file that is locked. It stays when the lock is gone: removing it would let two processes lock two files.
const NAME: &str = ".lock";

/// A directory that nobody else writes to until this is dropped.
#[derive(Debug)]
pub struct Lock {
    /// Closing it releases the lock.
    _file: File,
}

impl Lock {
    /// Locks an existing directory.
    ///
    /// # Errors
    /// `Held` if somebody else has it, and who; `Io` if the file system has no locks or the directory cannot be written.
    pub fn take(directory: &Path) -> Result<Self, RunError> {
        let path = directory.join(NAME);
        let failed = |action| {
            let path = path.clone();
            move |cause| RunError::Io { action, path, cause }
        };
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open.map_err(failed("open"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Where a locked file cannot be read (Windows), its holder stays unnamed.
                let holder = file.read_to_string(&mut holder).ok().map(|_| holder.trim().to_string());
                let holder = holder.filter(|holder| !holder.is_empty()).unwrap_or("another process".into());
                return Err(RunError::Held { path: directory.to_owned(), holder });
            }
            Err(TryLockError::Error(cause)) => return Err(failed("lock")(cause)),
        }
        let host = gethostname::gethostname();
        let holder = format!("process {} on {}\n", process::id(), host.display());
        let note = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(holder.as_bytes()));
        note.map_err(failed("write"))?;
        Ok(Self { _file: file })
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
    fn a_directory_that_is_not_there_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let message = Lock::take(&directory.path().join("gone")).unwrap_err().to_string();
        assert!(message.contains("gone"), "{message}");
    }
}
