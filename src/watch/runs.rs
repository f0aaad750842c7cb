//! What a directory says of the runs in it: those of a suite, several that lie side by side, or a single one.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::{Value, json};

use super::files::plain;
use crate::run::events::scalars;

/// Bytes of a log that are looked at for one answer.
const MOST: u64 = 4 << 20;

/// The runs of a directory, by name; the directory itself is the one of the empty name.
pub struct Runs {
    root: PathBuf,
    names: Vec<String>,
}

/// The runs that there are. None are no error: they may be about to begin.
pub fn list(root: &Path) -> io::Result<Runs> {
    let mut names = Vec::new();
    if is_run(root) {
        names.push(String::new());
    }
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        let name = entry.file_name().into_string().ok();
        names.extend(name.filter(|name| plain(name).is_some() && is_run(&entry.path())));
    }
    names.sort();
    Ok(Runs { root: root.to_owned(), names })
}

fn is_run(path: &Path) -> bool {
    path.join("config.toml").is_file()
}

/// The directory of the run of this name, if there is one.
pub fn path(root: &Path, name: &str) -> Option<PathBuf> {
    let path = if name.is_empty() { root.to_owned() } else { root.join(plain(name)?).canonicalize().ok()? };
    (path.starts_with(root) && is_run(&path)).then_some(path)
}

impl Runs {
    /// What there is to be seen, for the page.
    pub fn described(&self, directory: &Path) -> Value {
        let runs: Vec<Value> = self.names.iter().filter_map(|name| described(&self.root, name)).collect();
        let report = self.root.join("comparison.html").is_file().then_some("comparison.html");
        json!({"directory": directory.to_string_lossy(), "report": report, "runs": runs})
    }
}

/// A run: how long it is to be, what it has, and how many bytes of log.
fn described(root: &Path, name: &str) -> Option<Value> {
    let run = path(root, name)?;
    let config = fs::read_to_string(run.join("config.toml")).ok().and_then(|text| text.parse::<toml::Table>().ok());
    let training = config.as_ref().and_then(|config| config.get("training"));
    let iterations = training.and_then(|training| training.get("iterations")).and_then(toml::Value::as_integer);
    let summary = fs::read(run.join("summary.json")).ok();
    let summary = summary.and_then(|text| serde_json::from_slice::<Value>(&text).ok()).unwrap_or_default();
    let report = run.join("report.html").is_file().then_some("report.html");
    Some(json!({
        "name": name,
        "iterations": iterations,
        "finished": summary.is_object() && iterations.is_some_and(|iterations| summary["iterations"] == iterations),
        "log_z_exact": summary["log_z_exact"],
        "report": report,
        "pictures": pictures(&run),
        "bytes": fs::metadata(run.join("metrics.jsonl")).map_or(0, |log| log.len()),
    }))
}

/// The pictures of a run, each with when it was made: a new one has another address.
fn pictures(run: &Path) -> Vec<Value> {
    let entries = fs::read_dir(run).into_iter().flatten().flatten();
    let mut pictures: Vec<(String, u128)> = entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let changed = entry.metadata().ok()?.modified().ok()?;
            let since = changed.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_millis());
            (plain(&name).is_some() && name.ends_with(".png")).then_some((name, since))
        })
        .collect();
    pictures.sort();
    pictures.into_iter().map(|(name, changed)| json!({"name": name, "changed": changed as u64})).collect()
}

/// The numbers of the run's log from the byte `from` on, as far as whole lines and an answer go: `points`, each an iteration and
/// its numbers by tag; `next`, where to go on; `more`, if there is more already. `anew`: from the beginning, because there is
/// no line that begins at `from`; the run was resumed, and its log cut.
pub fn lines(run: &Path, from: u64) -> io::Result<Value> {
    let mut log = match File::open(run.join("metrics.jsonl")) {
        Ok(log) => log,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Ok(json!({"points": [], "next": 0, "more": false, "anew": true}));
        }
        Err(error) => return Err(error),
    };
    let length = log.metadata()?.len();
    let from = if begins_line(&mut log, from, length)? { from } else { 0 };
    log.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    log.take(MOST).read_to_end(&mut bytes)?;
    let whole = match bytes.iter().rposition(|byte| *byte == b'\n') {
        Some(end) => end + 1,
        // A line longer than an answer has no curve in it that could be shown.
        None if bytes.len() as u64 == MOST => bytes.len(),
        None => 0,
    };
    let point = |line: &[u8]| {
        let line: Value = serde_json::from_slice(line).ok()?;
        let numbers: serde_json::Map<_, _> =
            scalars(&line).into_iter().map(|(tag, value)| (tag, value.into())).collect();
        Some(json!([line["iteration"].as_u64()?, numbers]))
    };
    let points: Vec<Value> = bytes[..whole].split(|byte| *byte == b'\n').filter_map(point).collect();
    let next = from + whole as u64;
    Ok(json!({"points": points, "next": next, "more": whole > 0 && next < length, "anew": from == 0}))
}

/// Whether a line begins at this byte, or would if there were one more.
fn begins_line(log: &mut File, from: u64, length: u64) -> io::Result<bool> {
    if from == 0 || from > length {
        return Ok(from == 0);
    }
    let mut before = [0];
    log.seek(SeekFrom::Start(from - 1))?;
    log.read_exact(&mut before)?;
    Ok(before == *b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_read_as_it_grows_and_anew_when_it_was_cut() {
        let run = tempfile::tempdir().unwrap();
        let path = run.path().join("metrics.jsonl");
        assert_eq!(lines(run.path(), 7).unwrap()["next"], 0);
        let (first, second) = ("{\"iteration\": 0, \"loss\": 1.5}\n", "{\"iteration\": 10, \"loss\": null}\n");
        fs::write(&path, format!("{first}nonsense\n{second}{{\"iter")).unwrap();
        let all = lines(run.path(), 0).unwrap();
        assert_eq!(all["points"], json!([[0, {"train/loss": 1.5}], [10, {}]]));
        let next = all["next"].as_u64().unwrap();
        assert_eq!((next, &all["more"]), ((first.len() + 9 + second.len()) as u64, &json!(true)));
        assert_eq!(lines(run.path(), next).unwrap(), json!({"points": [], "next": next, "more": false, "anew": false}));
        fs::write(&path, format!("{first}nonsense\n{second}{{\"iteration\": 20}}\n")).unwrap();
        let more = lines(run.path(), next).unwrap();
        assert_eq!((&more["points"], &more["anew"]), (&json!([[20, {}]]), &json!(false)));
        // Cut back, and grown to another length; `next` is now in the middle of a line, or behind the end.
        for text in [first.to_string(), format!("{first}{}{second}", first.repeat(2))] {
            fs::write(&path, &text).unwrap();
            let anew = lines(run.path(), next).unwrap();
            assert_eq!((&anew["anew"], anew["next"].as_u64()), (&json!(true), Some(text.len() as u64)));
        }
    }

    #[test]
    fn runs_are_found_in_a_directory_or_are_it() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().canonicalize().unwrap();
        assert_eq!(list(&root).unwrap().described(&root)["runs"], json!([]));
        for name in ["b", "a", ".hidden", "none"] {
            fs::create_dir(root.join(name)).unwrap();
            if name != "none" {
                fs::write(root.join(name).join("config.toml"), "training = { iterations = 50 }").unwrap();
            }
        }
        fs::write(root.join("a/summary.json"), "{\"iterations\": 50, \"log_z_exact\": 2.5}").unwrap();
        fs::write(root.join("b/summary.json"), "{\"iterations\": 40}").unwrap();
        fs::write(root.join("b/samples.png"), "").unwrap();
        let found = list(&root).unwrap().described(&root);
        let [a, b] = [&found["runs"][0], &found["runs"][1]];
        assert_eq!((&a["name"], &a["finished"], &a["log_z_exact"]), (&json!("a"), &json!(true), &json!(2.5)));
        assert_eq!((&b["name"], &b["finished"], &b["iterations"]), (&json!("b"), &json!(false), &json!(50)));
        assert_eq!(
            (b["pictures"][0]["name"].as_str(), found["runs"].as_array().unwrap().len()),
            (Some("samples.png"), 2)
        );
        let one = list(&root.join("a")).unwrap().described(&root);
        assert_eq!((&one["runs"][0]["name"], &one["runs"][1]), (&json!(""), &Value::Null));
        assert_eq!(path(&root, "a"), Some(root.join("a")));
        for name in ["", "none", ".hidden", "..", "a/../b", "gone", "/"] {
            assert_eq!(path(&root, name), None, "{name}");
        }
    }
}
