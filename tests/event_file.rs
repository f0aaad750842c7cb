//! The event file of a run, by a reader of its own: it says what metrics.jsonl says, whatever the run went through.

#[path = "common/cli.rs"]
mod cli;
#[path = "common/place.rs"]
mod place;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use cli::succeed;
use place::{Place, end, start};

/// Takes bytes off the front of a slice.
fn take<'a>(bytes: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (head, rest) = bytes.split_at(count);
    *bytes = rest;
    head
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let byte = take(bytes, 1)[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    value
}

/// CRC-32C bit by bit: the polynomial 0x1edc6f41, reflected.
fn crc(bytes: &[u8]) -> u32 {
    let step = |sum: u32| if sum & 1 == 1 { sum >> 1 ^ 0x82f6_3b78 } else { sum >> 1 };
    !bytes.iter().fold(!0, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), |sum, _| step(sum)))
}

fn masked(bytes: &[u8]) -> u32 {
    let sum = crc(bytes);
    sum.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// A field of a protobuf message.
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message, with their numbers.
fn fields(mut bytes: &[u8]) -> Vec<(u64, Field<'_>)> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let field = match key & 7 {
            0 => Field::Number(varint(&mut bytes)),
            1 => Field::Number(u64::from_le_bytes(take(&mut bytes, 8).try_into().unwrap())),
            2 => {
                let length = varint(&mut bytes) as usize;
                Field::Bytes(take(&mut bytes, length))
            }
            5 => Field::Number(u32::from_le_bytes(take(&mut bytes, 4).try_into().unwrap()).into()),
            kind => panic!("wire type {kind}"),
        };
        fields.push((key >> 3, field));
    }
    fields
}

/// What an event holds: its step, and its values by tag.
type Event = (u64, BTreeMap<String, f32>);

/// The events of a file after the first, which must give the version. Every sum must be right and every byte read.
fn read(mut bytes: &[u8]) -> Vec<Event> {
    let mut events = Vec::new();
    while !bytes.is_empty() {
        let length = take(&mut bytes, 8);
        assert_eq!(take(&mut bytes, 4), masked(length).to_le_bytes());
        let payload = take(&mut bytes, u64::from_le_bytes(length.try_into().unwrap()) as usize);
        assert_eq!(take(&mut bytes, 4), masked(payload).to_le_bytes());
        let (mut step, mut values, mut version) = (0, BTreeMap::new(), None);
        for field in fields(payload) {
            match field {
                (1, Field::Number(bits)) => assert!(f64::from_bits(bits) > 1.7e9, "a time before this was written"),
                (2, Field::Number(number)) => step = number,
                (3, Field::Bytes(text)) => version = Some(String::from_utf8(text.to_vec()).unwrap()),
                (5, Field::Bytes(summary)) => {
                    for (number, value) in fields(summary) {
                        let Field::Bytes(value) = value else { panic!("a value is a message") };
                        let parts = fields(value);
                        let [(1, Field::Bytes(tag)), (2, Field::Number(bits))] = parts[..] else { panic!("a scalar") };
                        let (tag, value) = (String::from_utf8(tag.to_vec()).unwrap(), f32::from_bits(bits as u32));
                        assert_eq!((number, values.insert(tag, value)), (1, None));
                    }
                }
                (number, _) => panic!("field {number} of an event"),
            }
        }
        assert_eq!(version.as_deref(), events.is_empty().then_some("brain.Event:2"));
        events.push((step, values));
    }
    events.remove(0);
    events
}

/// The events that a line of the log makes, with the names that people look for written out.
fn expected(line: &Value) -> Event {
    fn numbers(tag: String, value: &Value, values: &mut BTreeMap<String, f32>) {
        if let Some(number) = value.as_f64().or(value.as_bool().map(|truth| f64::from(u8::from(truth)))) {
            values.insert(tag, number as f32);
        } else if let Some(parts) = value.as_object() {
            parts.iter().for_each(|(key, part)| numbers(format!("{tag}/{key}"), part, values));
        } else if let Some(parts) = value.as_array().filter(|parts| parts.iter().all(Value::is_object)) {
            for part in parts {
                let name = part["name"].as_str().or(part["symmetry"].as_str()).expect("a name");
                numbers(format!("{tag}/{name}"), part, values);
            }
        }
    }
    let mut values = BTreeMap::new();
    let evaluation = &line["evaluation"];
    let mut rest = line.clone();
    ["iteration", "evaluation"].into_iter().for_each(|key| drop(rest.as_object_mut().unwrap().remove(key)));
    if evaluation.is_object() {
        numbers("evaluation".into(), evaluation, &mut values);
        numbers("evaluation".into(), &rest, &mut values);
        assert!(values.contains_key("evaluation/elbo") && values.contains_key("evaluation/exact/total_variation"));
    } else {
        numbers("train".into(), &rest, &mut values);
        assert!(
            ["train/loss", "train/elbo", "train/seconds"].iter().all(|tag| values.contains_key(*tag)),
            "{values:?}"
        );
    }
    (line["iteration"].as_u64().unwrap(), values)
}

fn event_files(place: &Place, run: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(place.at(run)).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("events.out.tfevents.")).collect()
}

/// The one event file of a run holds what its log holds: returns its path.
#[track_caller]
fn assert_agrees(place: &Place, run: &str) -> PathBuf {
    let files = event_files(place, run);
    assert_eq!(files.len(), 1, "{files:?}");
    let events = read(&fs::read(&files[0]).unwrap());
    let lines: Vec<Event> = place.lines(&format!("{run}/metrics.jsonl")).iter().map(expected).collect();
    assert!(lines.len() > 3, "{} lines", lines.len());
    assert_eq!(events, lines);
    files[0].clone()
}

const EVALUATED: [&str; 6] = ["--set", "evaluation.every=10", "--set", "training.log_every=1", "--iterations", "400"];

#[test]
fn a_run_that_is_killed_and_resumed_says_everything_once() {
    let place = Place::new();
    let checkpoints = ["--json", "--set", "training.checkpoint_seconds=0.0"];
    let (mut child, output) =
        start(&mut place.train("run", &[&EVALUATED[..], &checkpoints].concat()), "\"iteration\":50");
    child.kill().unwrap();
    end(child, output);
    // More than the checkpoint knows of, the last record cut in the middle, as a kill in the middle of a write leaves them.
    let log = place.at("run/metrics.jsonl");
    let file = event_files(&place, "run").remove(0);
    let longer = format!("{}{{\"iteration\": 398, \"loss\": 1.0}}\n{{\"iterat", fs::read_to_string(&log).unwrap());
    fs::write(&log, longer).unwrap();
    let events = fs::read(&file).unwrap();
    fs::write(&file, [&events[..], &events[..events.len() / 2]].concat()).unwrap();
    let run = place.at("run");
    succeed(&["train", "--resume", run.to_str().unwrap()]);
    assert_eq!(assert_agrees(&place, "run"), file, "the same file goes on");
    let steps: Vec<u64> = read(&fs::read(&file).unwrap()).iter().map(|event| event.0).collect();
    assert!(steps.is_sorted() && steps.first() == Some(&0) && steps.last() == Some(&399), "{steps:?}");
    // Longer: the file goes on.
    succeed(&["train", "--resume", run.to_str().unwrap(), "--iterations", "420"]);
    assert_agrees(&place, "run");
}

#[test]
fn what_is_lost_of_the_file_is_made_again_from_the_log() {
    let place = Place::new();
    let half = [&EVALUATED[..], &["--stop-after", "100"]].concat();
    assert!(place.train("run", &half).output().unwrap().status.success());
    let file = assert_agrees(&place, "run");
    let whole = fs::read(&file).unwrap();
    let run = place.at("run");
    let on = |after: &str| {
        succeed(&["train", "--resume", run.to_str().unwrap(), "--stop-after", after]);
        assert_agrees(&place, "run");
    };
    // A power cut takes the end, or leaves zeros in its place; a directory was copied without the file.
    fs::write(&file, &whole[..whole.len() * 2 / 3]).unwrap();
    on("1");
    fs::write(&file, [&whole[..whole.len() / 3], &[0; 500]].concat()).unwrap();
    on("1");
    fs::remove_file(&file).unwrap();
    on("1");
    assert_eq!(place.metrics("run").iter().filter(|line| line["evaluation"].is_null()).count(), 103);
}

#[test]
fn a_new_run_replaces_nobody_s_event_file() {
    let place = Place::new();
    fs::create_dir(place.at("run")).unwrap();
    let file = place.at("run/events.out.tfevents.1.elsewhere");
    fs::write(&file, "somebody's").unwrap();
    let output = place.train("run", &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("events.out.tfevents.1.elsewhere"));
    assert_eq!(fs::read(&file).unwrap(), b"somebody's");
}
