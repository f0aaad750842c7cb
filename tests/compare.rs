//! `wgflow compare` from the outside: tables that depend on nothing but the suite, interruptions, refusals.

#[path = "common/cli.rs"]
mod cli;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;
use tempfile::TempDir;

/// Four combinations with two seeds each, a fraction of a second a run.
const SUITE: &str = r#"
name = "small"
seeds = 2
metrics = [{ key = "elbo", best = "higher" }, { key = "log_z_estimate", best = "closest", to = "log_z_exact" }]

[experiment]
engine.kind = "cpu"
evaluation.samples = 4096
objective = { kind = "reverse_kl" }
policy.hidden = [16]
target = { kind = "ising", side = 4 }
training = { iterations = 200, batch = 32, checkpoint_seconds = 0.02 }

[grid]
"target.coupling" = [0.2, -0.3]

[[variants]]
name = "leave-one-out"
set = { "objective.control_variate" = "leave_one_out" }

[[variants]]
name = "tb"
set = { "objective.kind" = "trajectory_balance" }
"#;

/// A directory with a suite file in it.
struct Place {
    directory: TempDir,
}

impl Place {
    fn new(suite: &str) -> Self {
        let place = Self { directory: tempfile::tempdir().unwrap() };
        place.write(suite);
        place
    }

    fn write(&self, suite: &str) {
        std::fs::write(self.path("suite.toml"), suite).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = cli::wgflow(&["compare"]);
        command.arg(self.path("suite.toml")).arg("--out").arg(self.path("out")).args(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn compare(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn text(&self, name: &str) -> String {
        let path = self.path("out").join(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// The results: Markdown and CSV.
    fn table(&self) -> (String, String) {
        (self.text("comparison.md"), self.text("comparison.csv"))
    }

    /// Contents and time of change of every summary there is.
    fn summaries(&self) -> Vec<(PathBuf, String, SystemTime)> {
        let runs = std::fs::read_dir(self.path("out")).into_iter().flatten();
        let paths = runs.map(|run| run.unwrap().path().join("summary.json")).filter(|path| path.exists());
        let read = |path: PathBuf| {
            let changed = std::fs::metadata(&path).unwrap().modified().unwrap();
            (path.clone(), std::fs::read_to_string(&path).unwrap(), changed)
        };
        paths.map(read).collect()
    }

    /// Starts a comparison and waits until at least one run has finished and some have not.
    fn half_way(&self) -> Child {
        let mut child = self.command(&["--jobs", "2"]).spawn().unwrap();
        let begun = Instant::now();
        while self.summaries().is_empty() {
            assert!(child.try_wait().unwrap().is_none(), "ended before a run had finished");
            assert!(begun.elapsed() < Duration::from_secs(120), "no run has finished in two minutes");
            std::thread::sleep(Duration::from_millis(2));
        }
        child
    }
}

fn words(output: &[u8]) -> String {
    String::from_utf8_lossy(output).into_owned()
}

/// A suite slow enough to be caught in the middle.
fn slow() -> String {
    SUITE.replace("iterations = 200", "iterations = 1500")
}

#[test]
fn the_table_does_not_depend_on_the_number_of_jobs() {
    let tables = ["1", "3"].map(|jobs| {
        let place = Place::new(SUITE);
        let output = place.compare(&["--jobs", jobs]);
        assert!(output.status.success(), "{}", words(&output.stderr));
        let shown = words(&output.stdout);
        for line in ["8 runs", "coupling-0.2_tb_seed-2: ELBO", "target.coupling  variant", "comparison.html"] {
            assert!(shown.contains(line), "{line} is not in\n{shown}");
        }
        assert!(place.text("comparison.html").contains("<img"));
        place.table()
    });
    assert_eq!(tables[0], tables[1]);
    let (markdown, csv) = &tables[0];
    assert_eq!(markdown.matches("| leave-one-out | 2 |").count(), 2, "{markdown}");
    assert!(markdown.contains("**"), "nothing is marked in\n{markdown}");
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let rows: Vec<csv::StringRecord> = reader.records().map(|row| row.unwrap()).collect();
    assert_eq!(rows.len(), 4);
    // The ELBO is a lower bound of log Z: 11.77 at K = 0.2 (by enumeration of the 4 x 4 torus), more at K = -0.3.
    let elbo: f64 = rows[0][4].parse().unwrap();
    assert!(elbo > 10.0 && elbo < 11.78, "{elbo}");
}

#[test]
fn killed_half_way_and_started_again_it_redoes_nothing() {
    let (place, whole) = (Place::new(&slow()), Place::new(&slow()));
    let mut child = place.half_way();
    child.kill().unwrap();
    child.wait().unwrap();
    let before = place.summaries();
    assert!(!before.is_empty() && before.len() < 8, "{} of 8 runs were done", before.len());

    let output = place.compare(&[]);
    assert!(output.status.success(), "{}", words(&output.stderr));
    assert!(words(&output.stdout).contains(&format!("{} of them finished earlier", before.len())));
    let after = place.summaries();
    assert_eq!(after.len(), 8);
    assert!(before.iter().all(|summary| after.contains(summary)), "a finished run was done again");

    assert!(whole.compare(&[]).status.success());
    assert_eq!(place.table(), whole.table());
}

#[cfg(unix)]
#[test]
fn ctrl_c_saves_all_and_says_how_to_continue() {
    let place = Place::new(&slow());
    let child = place.half_way();
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let said = words(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("continue with the same command"), "{said}");
    let finished = place.summaries().len();
    assert!((1..8).contains(&finished), "{finished} of 8 runs were done");
    assert!(!place.path("out/comparison.md").exists());
    assert!(place.compare(&[]).status.success());
    assert_eq!(place.summaries().len(), 8);
}

#[test]
fn json_is_one_object_a_line() {
    let place = Place::new(SUITE);
    let output = place.compare(&["--json"]);
    assert!(output.status.success(), "{}", words(&output.stderr));
    let lines: Vec<Value> =
        words(&output.stdout).lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect();
    assert_eq!(lines.len(), 1 + 8 + 1);
    assert_eq!((&lines[0]["event"], &lines[0]["runs"]), (&"start".into(), &8.into()));
    assert!(lines[1..9].iter().all(|line| line["state"] == "finished" && line["summary"]["elbo"].is_number()));
    let rows = lines[9]["rows"].as_array().unwrap();
    assert_eq!(rows[3]["combination"]["variant"], "tb");
    assert_eq!(rows[3]["metrics"]["elbo"]["sample"]["n"], 2);
}

#[test]
fn another_configuration_in_the_same_directory_is_refused_by_name() {
    let place = Place::new(SUITE);
    assert!(place.compare(&[]).status.success());
    let before = place.summaries();
    assert_eq!(before.len(), 8);
    place.write(&SUITE.replace("batch = 32", "batch = 48"));
    let output = place.compare(&[]);
    assert_eq!(output.status.code(), Some(2));
    let said = words(&output.stderr);
    for part in ["coupling-0.2_leave-one-out_seed-1", "training.batch is 32, not 48"] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    // More seeds are no other configuration: what is there stays.
    place.write(&SUITE.replace("seeds = 2", "seeds = [2, 1, 7]"));
    assert!(place.compare(&[]).status.success());
    let after = place.summaries();
    assert_eq!(after.len(), 12);
    assert!(before.iter().all(|summary| after.contains(summary)));
}

#[test]
fn a_run_that_diverges_is_listed_with_its_reason() {
    // Weights of 1e30 overflow f32 in the next rollout.
    let suite = SUITE.replace("name = \"tb\"\nset = {", "name = \"tb\"\nset = { \"optimizer.learning_rate\" = 1e30,");
    let place = Place::new(&suite);
    let output = place.compare(&[]);
    assert_eq!(output.status.code(), Some(1), "{}", words(&output.stderr));
    assert!(words(&output.stderr).contains("4 of 8 runs failed"), "{}", words(&output.stderr));
    let markdown = place.text("comparison.md");
    assert!(markdown.contains("| tb | 0 of 2 | - | - |"), "{markdown}");
    assert!(markdown.contains("- `coupling-0.2_tb_seed-1`: training diverged"), "{markdown}");
    assert!(markdown.contains("| leave-one-out | 2 | **"), "{markdown}");
}

#[test]
fn bad_suites_are_refused_before_anything_runs() {
    let replaced = |from: &str, to: &str| {
        assert!(SUITE.contains(from), "{from}");
        SUITE.replace(from, to)
    };
    let cases: [(String, &[&str]); 20] = [
        ("name = ".into(), &["not valid TOML"]),
        (replaced("seeds = 2", "seed = 2"), &["seed", "seeds"]),
        (replaced("seeds = 2", "seeds = 0"), &["seeds = 0"]),
        (replaced("seeds = 2", "seeds = [1, 1]"), &["seeds = [1, 1]", "distinct"]),
        (replaced("seeds = 2", "seeds = [1, -1]"), &["seeds = [1, -1]"]),
        (replaced("\"small\"", "\"../small\""), &["name", "../small"]),
        (replaced("seeds = 2", "seeds = 2\nbase = \"no-such\""), &["base", "no-such"]),
        (replaced("seeds = 2", "seeds = 2\nbase = \"none.toml\""), &["base", "none.toml"]),
        (replaced("[0.2, -0.3]", "[0.2, \"hot\"]"), &["coupling-hot", "target.coupling", "hot"]),
        (replaced("[0.2, -0.3]", "0.2"), &["grid.target.coupling = 0.2", "list"]),
        (replaced("\"target.coupling\"", "\"target.heat\""), &["target", "heat"]),
        (replaced("iterations = 200", "iterations = 0"), &["training.iterations = 0"]),
        (replaced("\"trajectory_balance\"", "\"tb\""), &["objective.kind", "tb", "trajectory_balance"]),
        (replaced("name = \"tb\"", "name = \"leave-one-out\""), &["leave-one-out", "twice"]),
        (replaced("{ \"objective.kind\"", "{ \"target.coupling\" = 1, \"objective.kind\""), &["tb", "target.coupling"]),
        (replaced("key = \"elbo\"", "key = \"elob\""), &["elob", "elbo"]),
        (replaced(", to = \"log_z_exact\"", ""), &["log_z_estimate", "closest"]),
        (replaced("seeds = 2", "seeds = 2\ngroup = [\"target.side\"]"), &["group", "target.side"]),
        (replaced("seeds = 2", "seeds = 2\ncurve = \"nil\""), &["curve", "nil", "elbo"]),
        (replaced("best = \"higher\"", "best = \"highest\""), &["metrics", "highest"]),
    ];
    for (suite, parts) in cases {
        let place = Place::new(&suite);
        let output = place.compare(&[]);
        let said = words(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{suite}\n{said}");
        for part in parts {
            assert!(said.contains(part), "{part} is not in {said}");
        }
        assert!(!Path::new(&place.path("out")).exists(), "something ran: {said}");
    }
}
