//! The comparison's HTML page: the table, and for each group a chart of one number over the iterations.

use std::collections::BTreeMap;
use std::path::Path;

use super::comparison::{Row, legend};
use super::file::logged;
use super::{Comparison, Suite};
use crate::report::{Chart, Figure, Page, Section};
use crate::run::directory::RunDirectory;
use crate::run::error::RunError;
use crate::summary::{SummaryError, number};

/// The page, with learning curves read from the runs' directories under `out`.
pub fn render(comparison: &Comparison, out: &Path) -> Result<String, SummaryError> {
    let suite = comparison.suite;
    let figures: Result<Vec<Figure>, SummaryError> =
        suite.groups().into_iter().map(|group| figure(suite, &comparison.rows[group], out)).collect();
    let finished: usize = comparison.rows.iter().map(|row| row.summaries.len()).sum();
    let mut page = Page::new(&format!("wgflow: comparison {}", suite.name))
        .subtitle(&format!("{finished} of {} runs finished", suite.runs.len()))
        .section(Section::new("Results").table("", &comparison.table()).text(&legend()))
        .section(Section::new("Learning curves").figures(&figures?));
    if !comparison.failures.is_empty() {
        let failures = comparison.failures.iter();
        page = page.section(
            failures.fold(Section::new("Failed runs"), |list, (run, why)| list.text(&format!("{run}: {why}"))),
        );
    }
    if !comparison.missing.is_empty() {
        page = page.section(Section::new("Missing runs").text(&comparison.missing.join("\n")));
    }
    Ok(page
        .section(Section::new("Suite").listing("suite.toml", &suite.source))
        .footer(&format!("wgflow {}", env!("CARGO_PKG_VERSION")))
        .render())
}

/// The chart of one group: a line a combination.
fn figure(suite: &Suite, rows: &[Row], out: &Path) -> Result<Figure, SummaryError> {
    let first = rows[0].combination;
    let set = suite.columns.iter().zip(&first.labels[..suite.group]);
    let title = set.map(|(key, value)| format!("{key} = {value}")).collect::<Vec<_>>().join(", ");
    let title = if title.is_empty() { suite.name.clone() } else { title };
    let mut chart = Chart::new(title.as_str(), "iteration", format!("{}, mean over seeds", suite.curve));
    for row in rows {
        let label = row.combination.labels[suite.group..].join(", ");
        chart = chart.line(label, curve(suite, row, out)?);
    }
    // The exact log Z is where these curves lead to.
    let towards = ["elbo", "log_z"].contains(&suite.curve.as_str());
    let mut exact = rows.iter().flat_map(|row| &row.summaries).map(|summary| number(summary, "log_z_exact"));
    if towards
        && let Some(Some(log_z)) = exact.next()
        && exact.all(|other| other == Some(log_z))
    {
        chart = chart.reference("exact log Z", log_z);
    }
    let alt = format!("Learning curves of all combinations with {title}");
    Ok(Figure::new(chart.png()?, title, alt))
}

/// Mean of the curve's number over the finished runs of a combination, at the iterations that all of them have written down.
fn curve(suite: &Suite, row: &Row, out: &Path) -> Result<Vec<(f64, f64)>, RunError> {
    let mut values: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    let combination = |run: &&super::Run| suite.combinations[run.combination] == *row.combination;
    let mut directories = 0;
    for run in suite.runs.iter().filter(combination) {
        let directory = RunDirectory::at(&out.join(&run.name));
        if directory.summary(run.config.settings.training.iterations)?.is_none() {
            continue;
        }
        directories += 1;
        for line in directory.metrics()?.0 {
            if let (Some(iteration), Some(value)) = (line["iteration"].as_u64(), logged(&line, &suite.curve)) {
                values.entry(iteration).or_default().push(value);
            }
        }
    }
    let whole = values.into_iter().filter(|(_, values)| values.len() == directories);
    Ok(whole.map(|(iteration, values)| (iteration as f64, values.iter().sum::<f64>() / values.len() as f64)).collect())
}
