//! The metrics log of a run: one JSON object a line, and the same numbers in an event file ([`super::events`]).
//!
//! A checkpoint knows how many lines belong to it, and they are on the disk before it is. A run that resumes cuts the log
//! after the last of them, whatever the lines say, and appends: no line that belongs to the run is ever written again.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::error::RunError;
use super::events::EventFile;
use super::files;

/// The log of a run in progress.
pub struct MetricsLog {
    file: File,
    events: EventFile,
    path: PathBuf,
    lines: u64,
}

impl MetricsLog {
    /// Opens the log for appending after its first `lines` lines, and cuts off what comes after them. A log that is not
    /// there begins empty.
    ///
    /// # Errors
    /// If there are fewer lines, with advice.
    pub fn open(path: &Path, lines: u64) -> Result<Self, RunError> {
        let failed = |action, cause| RunError::Io { action, path: path.to_owned(), cause };
        let exists = files::look(path)?.is_some();
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let mut file = open.map_err(|cause| failed("open", cause))?;
        let lines = if exists { lines } else { 0 };
        let (mut reader, mut line, mut kept) = (BufReader::new(&file), Vec::new(), 0);
        for found in 0..lines {
            line.clear();
            reader.read_until(b'\n', &mut line).map_err(|cause| failed("read", cause))?;
            if line.last() != Some(&b'\n') {
                return Err(RunError::Log { path: path.to_owned(), found, expected: lines });
            }
            kept += line.len() as u64;
        }
        let (mut events, copied) = EventFile::open(path.parent().unwrap_or(Path::new(".")), lines)?;
        if copied < lines {
            file.rewind().map_err(|cause| failed("read", cause))?;
            for line in BufReader::new(&file).split(b'\n').take(lines as usize).skip(copied as usize) {
                let line = line.map_err(|cause| failed("read", cause))?;
                events.append(&serde_json::from_slice(&line).unwrap_or_default())?;
            }
        }
        let cut = file.set_len(kept).and_then(|()| file.seek(SeekFrom::End(0)));
        cut.map_err(|cause| failed("cut", cause))?;
        Ok(Self { file, events, path: path.to_owned(), lines })
    }

    /// Appends a line and hands it to the operating system, so that a killed run keeps it.
    pub fn append(&mut self, line: &Value) -> Result<(), RunError> {
        let written = self.file.write_all(format!("{line}\n").as_bytes());
        written.map_err(|cause| RunError::Io { action: "append to", path: self.path.clone(), cause })?;
        self.lines += 1;
        self.events.append(line)
    }

    /// Forces everything to the disk, and says how many lines that are.
    pub fn sync(&mut self) -> Result<u64, RunError> {
        let synced = self.file.sync_data();
        synced.map_err(|cause| RunError::Io { action: "write", path: self.path.clone(), cause })?;
        Ok(self.lines)
    }
}

/// The objects of a log, and a sentence on each line that is none. None at all if there is no log.
pub fn read(path: &Path) -> Result<(Vec<Value>, Vec<String>), RunError> {
    let failed = |cause| RunError::Io { action: "read", path: path.to_owned(), cause };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Default::default()),
        Err(error) => return Err(failed(error)),
    };
    let (mut objects, mut complaints) = (Vec::new(), Vec::new());
    for (number, line) in (1..).zip(BufReader::new(file).split(b'\n')) {
        match serde_json::from_slice::<Value>(&line.map_err(failed)?) {
            Ok(object) if object["iteration"].is_u64() => objects.push(object),
            _ => {
                complaints.push(format!("{}, line {number}: not a line of a metrics log, passed over", path.display()))
            }
        }
    }
    Ok((objects, complaints))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;

    fn place() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("metrics.jsonl");
        (directory, path)
    }

    #[test]
    fn what_belongs_to_the_checkpoint_keeps_its_bytes_and_the_rest_goes() {
        let (_directory, path) = place();
        // Spaces, a number with more digits than f64 has, and a line that is no JSON at all.
        let kept = "{\"iteration\":0, \"elbo\": 0.10000000000000000001}\nnonsense\n";
        fs::write(&path, format!("{kept}{{\"iteration\":2}}\n{{\"iter")).unwrap();
        let mut log = MetricsLog::open(&path, 2).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), kept);
        log.append(&json!({"iteration": 1})).unwrap();
        assert_eq!(log.sync().unwrap(), 3);
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{kept}{{\"iteration\":1}}\n"));
        let (objects, complaints) = read(&path).unwrap();
        assert_eq!(objects.len(), 2, "what follows a bad line is read");
        assert!(complaints.len() == 1 && complaints[0].contains("line 2"), "{complaints:?}");
    }

    #[test]
    fn a_log_that_lost_lines_is_refused_and_left_as_it_is() {
        let (_directory, path) = place();
        for text in ["", "{}\n", "{}\n{}"] {
            fs::write(&path, text).unwrap();
            let refused = MetricsLog::open(&path, 2).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(refused.contains("metrics.jsonl") && refused.contains('2'), "{text:?}: {refused}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn a_log_that_is_gone_begins_anew() {
        let (_directory, path) = place();
        assert_eq!(read(&path).unwrap(), (vec![], vec![]));
        let mut log = MetricsLog::open(&path, 7).unwrap();
        log.append(&json!({"iteration": 40})).unwrap();
        assert_eq!(log.sync().unwrap(), 1);
    }
}
