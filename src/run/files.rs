//! Files that are either the old ones or the complete new ones, whenever the program is killed.
//!
//! The new contents go into a temporary file in the same directory, are forced to the disk, and take the old file's
//! place in one rename, which is then forced to the disk as well. A write that fails removes its temporary file; one
//! cut off by `kill -9` cannot, and [`sweep`] removes what it left.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::Builder;

/// How names of temporary files end.
const SUFFIX: &str = ".partial";

/// What kept a file from being written or a directory from being read, with its path and the cause.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {cause}", path.display())]
pub struct FileError {
    action: &'static str,
    path: PathBuf,
    cause: io::Error,
}

impl FileError {
    /// The file or directory concerned.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the operating system said.
    pub fn cause(&self) -> &io::Error {
        &self.cause
    }
}

/// Replaces `path` by a file with these contents.
pub fn write(path: &Path, contents: &[u8]) -> Result<(), FileError> {
    write_with(path, |file| file.write_all(contents))
}

/// Replaces `path` by what `fill` writes; if `fill` fails, `path` stays as it was.
///
/// A symbolic link at `path` is replaced, not followed. On Unix the new file has the permissions that the umask leaves.
pub fn write_with(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), FileError> {
    replace(path, fill).map_err(|cause| FileError { action: "write", path: path.to_owned(), cause })
}

fn replace(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let Some(name) = path.file_name() else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "this is not the name of a file"));
    };
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // A part of the name, so that the temporary one is not too long where the name itself is not.
    let prefix = format!(".{}.", name.to_string_lossy().chars().take(32).collect::<String>());
    let mut builder = Builder::new();
    builder.prefix(&prefix).suffix(SUFFIX);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));

    // tempfile's errors name its temporary file, which means nothing to the reader of the message: keep the kind only.
    let mut temporary = builder.tempfile_in(directory).map_err(|error| io::Error::from(error.kind()))?;
    let mut writer = BufWriter::new(temporary.as_file_mut());
    fill(&mut writer)?;
    writer.flush()?;
    drop(writer);
    temporary.as_file().sync_all()?;
    temporary.persist(path).map_err(|error| error.error)?;
    sync_directory(directory)
}

/// Forces a rename to the disk. Only Unix lets a directory be opened for that; elsewhere the file system decides.
fn sync_directory(directory: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(directory)?.sync_all() } else { Ok(()) }
}

/// What is at `path`, links followed, or none where nothing is.
///
/// # Errors
/// If that cannot be told: what may not be looked at is not absent.
pub fn look(path: &Path) -> Result<Option<fs::Metadata>, FileError> {
    match fs::metadata(path) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(FileError { action: "look at", path: path.to_owned(), cause }),
    }
}

/// Makes a directory, and those it lies in, unless it is there.
pub fn create_directory(path: &Path) -> Result<(), FileError> {
    fs::create_dir_all(path).map_err(|cause| FileError { action: "create the directory", path: path.to_owned(), cause })
}

/// Removes the temporary files that writes cut off by a kill left in a directory.
///
/// Nothing else may be writing there.
pub fn sweep(directory: &Path) -> Result<(), FileError> {
    let sweep = || {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with('.') && name.ends_with(SUFFIX) && entry.file_type()?.is_file() {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    };
    sweep().map_err(|cause| FileError { action: "clean up", path: directory.to_owned(), cause })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_write_replaces_the_whole_file_and_leaves_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("summary.json");
        write(&path, b"a longer first version").unwrap();
        write(&path, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(names(directory.path()), ["summary.json"]);
    }

    #[test]
    fn a_failed_write_keeps_the_old_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("checkpoint");
        write(&path, b"old").unwrap();
        let error = write_with(&path, |file| {
            file.write_all(&[0; 100_000])?;
            Err(io::Error::other("the disk is full"))
        })
        .unwrap_err();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(directory.path()), ["checkpoint"]);
        assert_eq!(error.to_string(), format!("cannot write {}: the disk is full", path.display()));
    }

    #[test]
    fn errors_name_the_path_and_the_cause() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("not there").join("x.csv");
        let error = write(&path, b"").unwrap_err();
        assert_eq!(error.path(), path);
        assert_eq!(error.cause().kind(), io::ErrorKind::NotFound);
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        assert!(!error.to_string().contains(SUFFIX), "{error}");

        // A directory cannot be replaced by a file, and a file cannot hold a directory.
        let error = write(directory.path(), b"x").unwrap_err();
        assert!(error.to_string().contains(directory.path().to_str().unwrap()), "{error}");
        assert!(directory.path().is_dir());
        let file = directory.path().join("file");
        write(&file, b"").unwrap();
        let error = create_directory(&file.join("inner")).unwrap_err();
        assert!(error.to_string().contains("inner"), "{error}");

        assert!(write(Path::new("/"), b"").unwrap_err().to_string().starts_with("cannot write /: "));
    }

    /// A directory without write permission. Root may write everywhere, so there the kernel's own read-only
    /// directory serves.
    #[cfg(target_os = "linux")]
    #[test]
    fn an_unwritable_directory_is_named() {
        let path = Path::new("/proc/self/summary.json");
        let error = write(path, b"").unwrap_err();
        assert!(error.to_string().contains("/proc/self/summary.json"), "{error}");
    }

    /// Below a file there is nothing and never can be: as with a directory that may not be entered, that is no absence.
    #[test]
    fn what_cannot_be_looked_at_is_not_absent() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        assert!(look(&file).unwrap().is_none());
        write(&file, b"abc").unwrap();
        assert_eq!(look(&file).unwrap().map(|found| found.len()), Some(3));
        let message = look(&file.join("config.toml")).unwrap_err().to_string();
        assert!(message.starts_with("cannot look at") && message.contains("config.toml"), "{message}");
    }

    /// 255 bytes are as many as file systems allow.
    #[test]
    fn the_longest_names_are_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x".repeat(255));
        write(&path, b"x").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"x");
        let message = write(&directory.path().join("x".repeat(256)), b"x").unwrap_err().to_string();
        assert!(message.starts_with("cannot write") && message.contains("xxx"), "{message}");
    }

    #[cfg(unix)]
    #[test]
    fn others_may_read_what_the_umask_lets_them_read() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let (ours, plain) = (directory.path().join("ours"), directory.path().join("plain"));
        write(&ours, b"").unwrap();
        fs::write(&plain, b"").unwrap();
        let mode = |path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&ours), mode(&plain));
    }

    #[test]
    fn a_sweep_removes_temporary_files_only() {
        let directory = tempfile::tempdir().unwrap();
        for name in [".config.toml.a1b2c3.partial", "config.toml", ".hidden", "notes.partial"] {
            fs::write(directory.path().join(name), b"").unwrap();
        }
        sweep(directory.path()).unwrap();
        assert_eq!(names(directory.path()), [".hidden", "config.toml", "notes.partial"]);
        assert!(sweep(&directory.path().join("gone")).unwrap_err().to_string().contains("gone"));
    }
}
