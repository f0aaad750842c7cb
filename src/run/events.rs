//! The curves of a run for TensorBoard: an event file beside the metrics log, with a record for each line of it.
//!
//! The file is a copy, and the log is what counts. A run that resumes cuts both after the same line; records that a power cut
//! took, or that were never there, are made again from the log. Steps that are trained again give records of the same lengths, so
//! that a TensorBoard which watches meanwhile reads on.
//!
//! A record is its length (u64, little-endian), the masked CRC-32C of these 8 bytes, an `Event` in protobuf, and the masked
//! CRC-32C of that (tensorflow/core/lib/io/record_writer.h; tensorflow/core/util/event.proto). Of an `Event` there are:
//! 1 `wall_time` (double), 2 `step` (int64), 3 `file_version` (in the first record), 5 `summary`, a list of 1 `value` with 1 `tag`
//! and 2 `simple_value` (float).

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crc::{CRC_32_ISCSI, Crc, Table};
use serde_json::Value;

use super::error::RunError;

/// How names of event files begin; TensorBoard takes every file whose name has this in it.
pub const PREFIX: &str = "events.out.tfevents.";

/// What the first record says.
const VERSION: &str = "brain.Event:2";

/// Bytes of a record around its payload, before and after.
const FRAME: (usize, usize) = (12, 4);

/// CRC-32C, a byte at a time: what is summed is short.
static CRC: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISCSI);

/// The event file of a run in progress.
pub struct EventFile {
    file: File,
    path: PathBuf,
}

impl EventFile {
    /// Opens the directory's event file for appending after the records of the first `lines` lines of the log, cuts off what
    /// comes after them, and says how many of these records it has. Begins a file where there is none, or where the one that
    /// is there is none of events.
    pub fn open(directory: &Path, lines: u64) -> Result<(Self, u64), RunError> {
        let found = find(directory).map_err(|cause| RunError::Io { action: "read", path: directory.into(), cause })?;
        let path = found.unwrap_or_else(|| {
            let host = gethostname::gethostname();
            directory.join(format!("{PREFIX}{:.0}.{}", now().floor(), host.display()))
        });
        let cut = || {
            let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
            let (records, length) = whole_records(&file, lines + 1)?;
            file.set_len(length)?;
            file.seek(SeekFrom::End(0))?;
            if records == 0 {
                let mut event = Message::default();
                event.double(1, now());
                event.bytes(3, VERSION.as_bytes());
                file.write_all(&framed(&event.0))?;
            }
            Ok((file, records.saturating_sub(1)))
        };
        match cut() {
            Ok((file, records)) => Ok((Self { file, path }, records)),
            Err(cause) => Err(RunError::Io { action: "cut", path, cause }),
        }
    }

    /// Appends the record of a line of the log.
    pub fn append(&mut self, line: &Value) -> Result<(), RunError> {
        let written = self.file.write_all(&framed(&event(line, now())));
        written.map_err(|cause| RunError::Io { action: "append to", path: self.path.clone(), cause })
    }
}

/// The event file of a directory. (If there are several, all but the last are somebody else's doing.)
fn find(directory: &Path) -> io::Result<Option<PathBuf>> {
    let mut last = None;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(PREFIX) {
            last = last.max(Some(entry.path()));
        }
    }
    Ok(last)
}

/// How many of the first `most` records are whole, and how many bytes they take.
fn whole_records(file: &File, most: u64) -> io::Result<(u64, u64)> {
    let mut rest = file.metadata()?.len();
    let (mut reader, mut payload) = (BufReader::new(file), Vec::new());
    let (mut records, mut bytes) = (0, 0);
    let frame = (FRAME.0 + FRAME.1) as u64;
    while records < most {
        let mut head = [0; FRAME.0];
        let Some(length) = complete(reader.read_exact(&mut head))?.and_then(|()| length_of(&head)) else { break };
        if length.saturating_add(frame) > rest {
            break;
        }
        payload.resize(length as usize + FRAME.1, 0);
        let Some(()) = complete(reader.read_exact(&mut payload))? else { break };
        let (event, sum) = payload.split_at(length as usize);
        // The first one must be ours to write behind: another program's version may mean something else.
        if sum != masked(event).to_le_bytes() || (records == 0 && !event.ends_with(VERSION.as_bytes())) {
            break;
        }
        records += 1;
        bytes += length + frame;
        rest -= length + frame;
    }
    Ok((records, bytes))
}

/// The payload's length, if the head of the record is whole.
fn length_of(head: &[u8; FRAME.0]) -> Option<u64> {
    let (length, sum) = head.split_at(8);
    (sum == masked(length).to_le_bytes()).then(|| u64::from_le_bytes(length.try_into().expect("eight bytes")))
}

/// Nothing, in place of an error, where a file ends early.
fn complete(read: io::Result<()>) -> io::Result<Option<()>> {
    match read {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
        read => read.map(Some),
    }
}

/// A payload as a record.
fn framed(payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u64).to_le_bytes();
    [&length[..], &masked(&length).to_le_bytes(), payload, &masked(payload).to_le_bytes()].concat()
}

/// CRC-32C, rotated and shifted, so that the sum of data that holds its own sum is no constant.
fn masked(bytes: &[u8]) -> u32 {
    CRC.checksum(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::UNIX_EPOCH.elapsed().map_or(0.0, |time| time.as_secs_f64())
}

/// The event of a line: its numbers, at its iteration. A line that is none of a log's makes an event without numbers, so that
/// records and lines go together.
fn event(line: &Value, wall_time: f64) -> Vec<u8> {
    let mut summary = Message::default();
    for (tag, value) in scalars(line) {
        let mut entry = Message::default();
        entry.bytes(1, tag.as_bytes());
        entry.float(2, value as f32);
        summary.bytes(1, &entry.0);
    }
    let mut event = Message::default();
    event.double(1, wall_time);
    event.integer(2, line["iteration"].as_u64().unwrap_or(0));
    event.bytes(5, &summary.0);
    event.0
}

/// The numbers of a line of the log, each with its tag: `train/loss`, `evaluation/elbo`, `evaluation/exact/total_variation`. What
/// is true or false is 1 or 0. A part of a list goes by the text in it: `evaluation/observables/energy/target`. Lists of
/// numbers alone are the values of an object, which is no curve, and left out.
pub fn scalars(line: &Value) -> Vec<(String, f64)> {
    let mut scalars = Vec::new();
    let group = if line["evaluation"].is_object() { "evaluation" } else { "train" };
    for (key, value) in line.as_object().into_iter().flatten() {
        match key.as_str() {
            "iteration" => {}
            "evaluation" => collect(group, value, &mut scalars),
            key => collect(&format!("{group}/{key}"), value, &mut scalars),
        }
    }
    scalars
}

fn collect(tag: &str, value: &Value, scalars: &mut Vec<(String, f64)>) {
    match value {
        Value::Number(number) => scalars.extend(number.as_f64().map(|number| (tag.to_string(), number))),
        Value::Bool(truth) => scalars.push((tag.to_string(), f64::from(u8::from(*truth)))),
        Value::Object(parts) => parts.iter().for_each(|(key, part)| collect(&format!("{tag}/{key}"), part, scalars)),
        Value::Array(parts) if parts.iter().any(|part| !part.is_number()) => {
            let own = parts.iter().find_map(Value::as_str);
            for (place, part) in parts.iter().enumerate() {
                let text = part.as_object().and_then(|part| part.values().find_map(Value::as_str));
                let name = own.or(text).map_or_else(|| place.to_string(), str::to_string);
                collect(&format!("{tag}/{name}"), part, scalars);
            }
        }
        Value::Array(_) | Value::String(_) | Value::Null => {}
    }
}

/// A protobuf message in the making: each field is its number and wire type, then its contents.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn integer(&mut self, field: u64, value: u64) {
        self.varint(field << 3);
        self.varint(value);
    }

    fn double(&mut self, field: u64, value: f64) {
        self.varint(field << 3 | 1);
        self.0.extend(value.to_le_bytes());
    }

    fn float(&mut self, field: u64, value: f32) {
        self.varint(field << 3 | 5);
        self.0.extend(value.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, value: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend(value);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn checksums_are_those_of_the_standard() {
        // RFC 3720, B.4: 32 bytes of zeros, of ones, and 0 to 31.
        let ascending: Vec<u8> = (0..32).collect();
        for (bytes, sum) in [(&[0; 32][..], 0x8a91_36aa), (&[0xff; 32], 0x62a8_ab43), (&ascending, 0x46dd_794e)] {
            assert_eq!(CRC.checksum(bytes), sum);
        }
        // The mask can be taken off again.
        let sum = CRC.checksum(b"wgflow");
        assert_eq!(masked(b"wgflow").wrapping_sub(0xa282_ead8).rotate_left(15), sum);
    }

    #[test]
    fn every_number_has_its_tag() {
        let line = json!({"iteration": 7, "loss": 1.5, "skipped": true, "elbo": null, "seconds": 2});
        let tags = |line: &Value| scalars(line);
        let named =
            |pairs: &[(&str, f64)]| pairs.iter().map(|(tag, value)| (tag.to_string(), *value)).collect::<Vec<_>>();
        let mut found = tags(&line);
        found.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(found, named(&[("train/loss", 1.5), ("train/seconds", 2.0), ("train/skipped", 1.0)]));
        let evaluation = json!({
            "elbo": 3, "because": "text", "exact": {"l1": 0.5}, "object": [0, 1, 1], "measure": ["cut", 5],
            "observables": [{"name": "energy", "target": 4.0}, {"target": 6.0}],
        });
        let mut found = tags(&json!({"iteration": 7, "seconds": 1, "evaluation": evaluation}));
        found.sort_by(|a, b| a.0.cmp(&b.0));
        let expected = [
            ("evaluation/elbo", 3.0),
            ("evaluation/exact/l1", 0.5),
            ("evaluation/measure/cut", 5.0),
            ("evaluation/observables/1/target", 6.0),
            ("evaluation/observables/energy/target", 4.0),
            ("evaluation/seconds", 1.0),
        ];
        assert_eq!(found, named(&expected));
        assert_eq!(scalars(&json!("nonsense")), []);
    }

    #[test]
    fn a_file_is_cut_after_the_records_of_the_lines_and_what_is_no_record_goes() {
        let directory = tempfile::tempdir().unwrap();
        let (mut events, found) = EventFile::open(directory.path(), 0).unwrap();
        assert_eq!(found, 0);
        let path = events.path.clone();
        let mut lengths = vec![fs::metadata(&path).unwrap().len()];
        for iteration in 0..4 {
            events.append(&json!({"iteration": iteration, "loss": 0.5})).unwrap();
            lengths.push(fs::metadata(&path).unwrap().len());
        }
        drop(events);
        let whole = fs::read(&path).unwrap();
        let open = |bytes: &[u8], lines: u64| {
            fs::write(&path, bytes).unwrap();
            let (_, found) = EventFile::open(directory.path(), lines).unwrap();
            (found, fs::metadata(&path).unwrap().len())
        };
        assert_eq!(open(&whole, 4), (4, lengths[4]));
        assert_eq!(open(&whole, 2), (2, lengths[2]));
        assert_eq!(open(&whole, 9), (4, lengths[4]));
        // Cut off anywhere in a record, and zeros in the place of its end.
        for missing in 1..(lengths[4] - lengths[3]) as usize {
            let kept = &whole[..whole.len() - missing];
            assert_eq!(open(kept, 4), (3, lengths[3]), "{missing} bytes less");
            assert_eq!(open(&[kept, &vec![0; missing]].concat(), 4), (3, lengths[3]), "{missing} zeros");
        }
        // Another program's file, or none of events, is begun anew.
        for bytes in [&b""[..], b"x", &[0; 100], &framed(b"another version"), &[0xff; 100]] {
            assert_eq!(open(bytes, 4), (0, lengths[0]));
        }
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
