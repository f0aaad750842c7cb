//! Paths that arguments name, looked at before any work is done: what is in the way is said, and nothing is written.

use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::config::ConfigError;

/// Checks that this is a file to be read (or a pipe).
pub fn readable(path: &Path) -> Result<(), ConfigError> {
    match look(path) {
        Ok(Some(found)) if found.is_dir() => refuse(path, "it is a directory, and a file is needed"),
        Ok(Some(_)) => Ok(()),
        Ok(None) => refuse(path, "there is no such file"),
        Err(obstacle) => refuse(path, &obstacle),
    }
}

/// Checks that this is the directory of a run, as far as a look at it says.
pub fn run(path: &Path) -> Result<(), ConfigError> {
    existing_directory(path, "the directory of a run")
}

/// Checks that this is a directory; `what` says which one is needed.
pub fn existing_directory(path: &Path, what: &str) -> Result<(), ConfigError> {
    match look(path) {
        Ok(Some(found)) if found.is_dir() => Ok(()),
        Ok(Some(_)) => refuse(path, &format!("it is a file, and {what} is needed")),
        Ok(None) => refuse(path, "there is no such directory"),
        Err(obstacle) => refuse(path, &obstacle),
    }
}

/// Checks that this is a directory, or that nothing is in the way of making it.
pub fn directory(path: &Path) -> Result<(), ConfigError> {
    match look(path) {
        Ok(Some(found)) if !found.is_dir() => {
            refuse(path, "it is a file, and a directory is needed: choose another --out")
        }
        Ok(_) => Ok(()),
        Err(obstacle) => refuse(path, &format!("{obstacle}: choose another --out")),
    }
}

/// The place of a file to be written: `path`, or what it is a symbolic link to.
pub fn writable(path: &Path) -> Result<PathBuf, ConfigError> {
    match look(path) {
        Ok(Some(found)) if found.is_dir() => refuse(path, "it is a directory: name a file in it"),
        Ok(Some(found)) if !found.is_file() => refuse(path, "it is not a regular file, and would be replaced by one"),
        // A file takes its place whole: without this, the link would become the file.
        Ok(Some(_)) => fs::canonicalize(path).or_else(|error| refuse(path, &error.to_string())),
        Ok(None) => match path.parent().filter(|parent| !parent.as_os_str().is_empty()).map(look) {
            Some(Ok(None)) => refuse(path, "its directory does not exist: make it first"),
            _ => Ok(path.to_owned()),
        },
        Err(obstacle) => refuse(path, &obstacle),
    }
}

fn refuse<T>(path: &Path, why: &str) -> Result<T, ConfigError> {
    Err(ConfigError::new(format!("cannot use {}: {why}", path.display())))
}

/// What is at a path, links followed; none if nothing is there; or what on the way keeps anything from being there.
fn look(path: &Path) -> Result<Option<Metadata>, String> {
    let mut steps: Vec<&Path> = path.ancestors().filter(|step| !step.as_os_str().is_empty()).collect();
    let last = steps.remove(0);
    for step in steps.into_iter().rev() {
        let name = step.display();
        match found(step).map_err(|obstacle| format!("{name} {obstacle}"))? {
            Some(found) if !found.is_dir() => return Err(format!("{name} is a file, not a directory")),
            Some(_) => {}
            None => break,
        }
    }
    found(last).map_err(|obstacle| format!("it {obstacle}"))
}

/// What is at a path whose directory is there.
fn found(path: &Path) -> Result<Option<Metadata>, String> {
    match fs::metadata(path) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::NotFound => match fs::read_link(path) {
            Ok(to) => Err(format!("is a symbolic link to {}, which does not exist", to.display())),
            Err(_) => Ok(None),
        },
        Err(error) => Err(format!("cannot be looked at: {error}")),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_is_in_the_way_is_said() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        fs::write(at("file"), "").unwrap();
        fs::create_dir(at("directory")).unwrap();
        symlink("nowhere", at("dangling")).unwrap();
        symlink("loop", at("loop")).unwrap();
        symlink("file", at("link")).unwrap();
        let long = "x".repeat(300);
        type Check = fn(&Path) -> Result<(), ConfigError>;
        let write: Check = |path| writable(path).map(drop);
        let cases: [(Check, &str, &str); 22] = [
            (readable, "file", ""),
            (readable, "link", ""),
            (readable, "directory", "is a directory"),
            (readable, "dangling", "a symbolic link to nowhere"),
            (readable, "gone", "no such file"),
            (readable, "file/x", "file is a file, not a directory"),
            (run, "directory", ""),
            (run, "file", "is a file"),
            (run, "dangling", "a symbolic link to nowhere"),
            (run, "gone", "no such directory"),
            (directory, "directory", ""),
            (directory, "gone/further/still", ""),
            (directory, "file", "is a file"),
            (directory, "file/x", "file is a file, not a directory"),
            (directory, "dangling", "a symbolic link to nowhere"),
            (directory, "dangling/x", "a symbolic link to nowhere"),
            (directory, "loop", "ymbolic link"),
            (directory, &long, "too long"),
            (write, "new", ""),
            (write, "directory", "is a directory"),
            (write, "gone/x", "does not exist: make it first"),
            (write, "dangling", "a symbolic link to nowhere"),
        ];
        for (check, name, expected) in cases {
            let message = check(&at(name)).map_or_else(|error| error.to_string(), |()| String::new());
            assert_eq!(message.is_empty(), expected.is_empty(), "{name}: {message}");
            assert!(message.contains(expected) && (message.is_empty() || message.contains(name)), "{name}: {message}");
        }
        assert_eq!(writable(&at("link")).unwrap(), fs::canonicalize(at("file")).unwrap());
    }
}
