//! The table of a suite: for each combination, mean and standard deviation over seeds of each metric.

use serde_json::Value;

use super::statistics::{LEVEL, Sample, best};
use super::work::State;
use super::{Combination, Metric, Suite};
use crate::report::{Cell, Column, Table};
use crate::summary::number;

/// The results of all runs of a suite, combination by combination.
#[derive(Clone, Debug)]
pub struct Comparison<'a> {
    pub suite: &'a Suite,
    pub rows: Vec<Row<'a>>,
    /// Name and reason of each run that failed.
    pub failures: Vec<(&'a str, &'a str)>,
    /// Names of the runs that are not done.
    pub missing: Vec<&'a str>,
}

/// One combination's results.
#[derive(Clone, Debug)]
pub struct Row<'a> {
    pub combination: &'a Combination,
    /// Summaries of its finished runs.
    pub summaries: Vec<&'a Value>,
    /// Runs that it has, finished or not.
    pub runs: usize,
    /// One entry a metric.
    pub entries: Vec<Entry>,
}

/// A metric's values over the seeds of a combination.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entry {
    /// None where no run has a value.
    pub sample: Option<Sample>,
    /// Whether it is the best in its group, or not told from it.
    pub best: bool,
}

/// How tables mark the best, in words.
pub fn legend() -> String {
    let percent = 100.0 * LEVEL;
    format!(
        "Mean ± standard deviation over the seeds of each row; `runs` counts the finished ones. Marked: the best of its \
         group and whatever is not told from it, by Welch's t-test at {percent}% for all pairs of a group together: in one \
         group of {:.0} at most, chance leaves one as good as the best unmarked. With one seed nothing is marked, for a \
         single value says nothing of its noise; neither are rows with failed runs, or with runs that lack the number.",
        1.0 / LEVEL
    )
}

impl<'a> Comparison<'a> {
    /// Sums up the runs; `states` are those of the suite's runs, in their order.
    pub fn new(suite: &'a Suite, states: &'a [State]) -> Self {
        let empty = |combination| Row { combination, summaries: Vec::new(), runs: 0, entries: Vec::new() };
        let mut rows: Vec<Row> = suite.combinations.iter().map(empty).collect();
        let (mut failures, mut missing) = (Vec::new(), Vec::new());
        for (run, state) in suite.runs.iter().zip(states) {
            let row = &mut rows[run.combination];
            row.runs += 1;
            match state {
                State::Finished(summary) => row.summaries.push(summary),
                State::Failed(reason) => failures.push((run.name.as_str(), reason.as_str())),
                State::Unfinished => missing.push(run.name.as_str()),
            }
        }
        for metric in &suite.metrics {
            for group in suite.groups() {
                let group = &mut rows[group];
                let scores: Vec<_> = group.iter().map(|row| row.score(metric)).collect();
                for (row, best) in group.iter_mut().zip(best(&scores)) {
                    let sample = row.sample(|summary| number(summary, &metric.key));
                    row.entries.push(Entry { sample, best });
                }
            }
        }
        Self { suite, rows, failures, missing }
    }

    /// The table for people: "mean ± deviation", the best emphasised.
    pub fn table(&self) -> Table {
        let labels = self.suite.columns.iter().map(Column::left);
        let metrics = self.suite.metrics.iter().map(|metric| Column::right(metric.heading()));
        let mut table = Table::new(labels.chain([Column::right("runs")]).chain(metrics));
        for row in &self.rows {
            let (finished, all) = (row.summaries.len(), row.runs);
            let runs = if finished == all { all.to_string() } else { format!("{finished} of {all}") };
            let labels = row.combination.labels.iter().map(Cell::new);
            let entries = row.entries.iter().map(|entry| Cell { text: entry.shown(finished), emphasis: entry.best });
            table.push(labels.chain([runs.into()]).chain(entries));
        }
        table
    }

    /// The table for programs: full precision, one column a number. Fields without a value are empty.
    pub fn numbers(&self) -> Table {
        let labels = self.suite.columns.iter().map(Column::left);
        let parts = ["mean", "sd", "n", "best"];
        let metrics = self.suite.metrics.iter().flat_map(|metric| parts.map(|part| format!("{}_{part}", metric.key)));
        let runs = [Column::right("runs"), Column::right("finished")];
        let mut table = Table::new(labels.chain(runs).chain(metrics.map(Column::right)));
        for row in &self.rows {
            let labels = row.combination.labels.iter().map(Cell::new);
            let runs = [row.runs.to_string().into(), row.summaries.len().to_string().into()];
            let entries = row.entries.iter().flat_map(|Entry { sample, best }| {
                let known = |number: fn(&Sample) -> String| sample.as_ref().map_or(String::new(), number);
                [
                    known(|sample| sample.mean.to_string()),
                    known(|sample| if sample.count > 1 { sample.deviation.to_string() } else { String::new() }),
                    known(|sample| sample.count.to_string()),
                    best.to_string(),
                ]
            });
            table.push(labels.chain(runs).chain(entries.map(Cell::from)));
        }
        table
    }

    /// The comparison as a Markdown file.
    pub fn to_markdown(&self) -> String {
        let mut text = format!("# {}\n\n{}\n{}\n", self.suite.name, self.table().to_markdown(), legend());
        if !self.failures.is_empty() {
            text += "\n## Failed runs\n\n";
            self.failures.iter().for_each(|(run, reason)| text += &format!("- `{run}`: {reason}\n"));
        }
        if !self.missing.is_empty() {
            text += "\n## Missing runs\n\n";
            self.missing.iter().for_each(|run| text += &format!("- `{run}`\n"));
        }
        text
    }
}

impl Row<'_> {
    /// A number of every summary that has it.
    pub fn sample(&self, of: impl Fn(&Value) -> Option<f64>) -> Option<Sample> {
        Sample::of(&self.summaries.iter().filter_map(|summary| of(summary)).collect::<Vec<_>>())
    }

    /// How good the row is in a metric; nothing if the metric has no direction, or a run of the row did not finish.
    fn score(&self, metric: &Metric) -> Option<Sample> {
        let score = |summary: &Value| {
            let to = metric.to.as_ref().and_then(|to| number(summary, to));
            metric.score(number(summary, &metric.key)?, to)
        };
        self.sample(score).filter(|sample| sample.count == self.runs)
    }
}

impl Entry {
    /// "mean ± deviation", to two digits of the deviation; the mean alone where there is no deviation, "-" without values.
    /// Says so if it is over fewer than the `finished` runs: a number can be missing, or be infinite.
    fn shown(&self, finished: usize) -> String {
        let Some(Sample { count, mean, deviation }) = self.sample else { return "-".into() };
        let of = if count == finished { String::new() } else { format!(" ({count} of {finished})") };
        if deviation == 0.0 {
            return format!("{mean:.4}{of}");
        }
        let digits = (1.0 - deviation.log10().floor()).clamp(0.0, 6.0) as usize;
        format!("{mean:.digits$} ± {deviation:.digits$}{of}")
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;

    /// Two couplings, two variants, two seeds.
    fn suite() -> Suite {
        let text = "
            name = 'made-up'
            base = 'ising-quick'
            seeds = 2
            variants = [{ name = 'a' }, { name = 'b|c' }]
            [grid]
            'target.coupling' = [0.2, 0.4]
        ";
        Suite::parse(text, Path::new("")).unwrap()
    }

    fn finished(elbo: f64, log_z: f64) -> State {
        State::Finished(json!({"elbo": elbo, "log_z_estimate": log_z, "log_z_exact": 10.0}))
    }

    /// Coupling 0.2: a is better in ELBO, b in log Z, both beyond noise. Coupling 0.4: b fails once.
    fn states() -> Vec<State> {
        vec![
            finished(9.0, 12.0),
            finished(9.2, 12.1),
            finished(7.0, 9.95),
            finished(7.1, 10.05),
            finished(5.0, 10.0),
            finished(5.0, 10.0),
            finished(8.0, 10.0),
            State::Failed("training diverged".into()),
        ]
    }

    #[test]
    fn the_best_of_each_group_is_marked() {
        let (suite, states) = (suite(), states());
        let comparison = Comparison::new(&suite, &states);
        let marks =
            |metric: usize| -> Vec<bool> { comparison.rows.iter().map(|row| row.entries[metric].best).collect() };
        assert_eq!(marks(0), [true, false, true, false]);
        assert_eq!(marks(1), [false, true, true, false]);
        assert_eq!(marks(2), [false; 4], "the exact log Z has no direction");
    }

    #[test]
    fn markdown_shows_means_marks_and_failures() {
        let (suite, states) = (suite(), states());
        let text = Comparison::new(&suite, &states).to_markdown();
        for expected in [
            "| target.coupling | variant | runs | elbo (higher) | log_z_estimate (closest to log_z_exact) | log_z_exact |",
            // Deviation of 9.0 and 9.2: 0.2 / sqrt(2).
            "| 0.2 | a | 2 | **9.10 ± 0.14** | 12.050 ± 0.071 | 10.0000 |",
            "| 0.2 | b\\|c | 2 | 7.050 ± 0.071 | **10.000 ± 0.071** | 10.0000 |",
            "| 0.4 | a | 2 | **5.0000** | **10.0000** | 10.0000 |",
            "| 0.4 | b\\|c | 1 of 2 | 8.0000 | 10.0000 | 10.0000 |",
            "- `coupling-0.4_b_c_seed-2`: training diverged",
        ] {
            assert!(text.contains(expected), "{expected} is not in\n{text}");
        }
    }

    #[test]
    fn csv_has_a_column_a_number() {
        let (suite, states) = (suite(), states());
        let text = Comparison::new(&suite, &states).numbers().to_csv();
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let headings = reader.headers().unwrap().clone();
        let place = |name: &str| headings.iter().position(|heading| heading == name).unwrap();
        let rows: Vec<csv::StringRecord> = reader.records().map(|row| row.unwrap()).collect();
        assert_eq!(rows.len(), 4);
        assert_eq!(rows[0][place("elbo_mean")].parse::<f64>().unwrap(), 9.1);
        assert_eq!((&rows[0][place("elbo_n")], &rows[0][place("elbo_best")]), ("2", "true"));
        assert_eq!((&rows[3][place("runs")], &rows[3][place("finished")], &rows[3][place("elbo_sd")]), ("2", "1", ""));
    }

    #[test]
    fn runs_without_a_value_count_in_no_mean() {
        let (suite, mut states) = (suite(), states());
        states[0] = State::Finished(json!({"elbo": null, "log_z_exact": null}));
        let comparison = Comparison::new(&suite, &states);
        let entry = comparison.rows[0].entries[0];
        assert_eq!(entry.sample.map(|sample| (sample.count, sample.mean)), Some((1, 9.2)));
        assert!(!entry.best && comparison.rows[1].entries[0].best);
        let text = comparison.to_markdown();
        assert!(text.contains("| 0.2 | a | 2 | 9.2000 (1 of 2) |"), "{text}");
    }
}
