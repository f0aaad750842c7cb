//! Standard output and standard error, whatever has become of them: neither a closed pipe nor a full disk ends a run.
//!
//! What a command's files say as well is [`tell`]ed: when that can no longer be written, the work goes on without it.
//! What is said nowhere else is [`give`]n: when that cannot be written, the command ends, quietly if the reader had
//! enough. Everything written here goes through this file; `println!` and `eprintln!` panic where it does not.
//!
//! Descriptors closed at the start are no danger to the files opened later: Rust's runtime opens them on /dev/null.

use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

/// Standard output could not be written, and it was all there was to do.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output: {0}")]
pub struct Lost(io::Error);

impl Lost {
    /// Whether the reader has gone, who then has read all it wanted.
    pub fn unread(&self) -> bool {
        self.0.kind() == ErrorKind::BrokenPipe
    }
}

/// A path in a JSON object, which holds text only: bytes of it that are not UTF-8 are replaced.
pub fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Writes a line that a file has as well. After the first one that cannot be written none is tried any more, so that a
/// reader finds the beginning of the output and no holes in it.
pub fn tell(line: &str) {
    static GIVEN_UP: AtomicBool = AtomicBool::new(false);
    if GIVEN_UP.load(Ordering::Relaxed) {
        return;
    }
    if let Err(lost) = give(&format!("{line}\n"))
        && !GIVEN_UP.swap(true, Ordering::Relaxed)
        && !lost.unread()
    {
        complain(&format!("warning: {lost}. The work goes on, and its files have all that would have been said here"));
    }
}

/// Writes text that is the command's whole purpose.
pub fn give(text: &str) -> Result<(), Lost> {
    let mut output = io::stdout().lock();
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        match patiently(|| output.write(rest)).map_err(Lost)? {
            0 => return Err(Lost(ErrorKind::WriteZero.into())),
            written => rest = &rest[written..],
        }
    }
    patiently(|| output.flush()).map_err(Lost)
}

/// What became of text that somebody else wrote to standard output.
pub fn written(said: io::Result<()>) -> Result<(), Lost> {
    said.and_then(|()| io::stdout().flush()).map_err(Lost)
}

/// Writes a line to standard error. Where that cannot be written either there is nobody left to tell.
pub fn complain(line: &str) {
    let mut output = io::stderr().lock();
    let line = format!("{line}\n");
    let mut rest = line.as_bytes();
    while let Ok(written @ 1..) = patiently(|| output.write(rest)) {
        rest = &rest[written..];
    }
}

/// Repeats what a signal cut off, or what a pipe that does not block (a parent's doing) has no room for as yet.
fn patiently<T>(mut write: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match write() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => sleep(Duration::from_millis(5)),
            result => return result,
        }
    }
}
