//! A comparison of estimators for people and programs: table, CSV, JSON, Markdown, picture.

use serde_json::{Value, json};

use super::{Aim, Comparison, LONG, Row};
use crate::metrics::Estimate;
use crate::report::{Bars, Cell, Column, PictureError, Table};

/// What the variances and times of the others are compared with.
const YARDSTICK: &str = "leave-one-out";

impl Row {
    /// The square root of an estimate of a square: its value with a standard error where it is at least two standard
    /// errors above 0, else what it is below with some confidence.
    fn root(square: Estimate) -> String {
        let Estimate { value, standard_error } = square;
        if value > 2.0 * standard_error {
            let root = value.sqrt();
            format!("{} ± {}", short(root), short(standard_error / (2.0 * root)))
        } else {
            format!("< {}", short((value.max(0.0) + 2.0 * standard_error).sqrt()))
        }
    }

    /// |mean| / sqrt(variance).
    fn signal_to_noise(&self) -> Estimate {
        let scaled = |number: f64| number / self.variance.value;
        let Estimate { value, standard_error } = self.square_of_mean;
        Estimate { value: scaled(value), standard_error: scaled(standard_error) }
    }
}

impl Comparison {
    /// Variance and variance times time (rollout included) of the yardstick, if it took part.
    fn yardstick(&self) -> Option<(f64, f64)> {
        let row = self.rows.iter().find(|row| row.candidate.name == YARDSTICK)?;
        Some((row.variance.value, self.work(row)))
    }

    /// Variance times the time of an iteration: what a fixed noise costs.
    fn work(&self, row: &Row) -> f64 {
        row.variance.value * (self.rollout_seconds + row.seconds)
    }

    fn table(&self) -> Table {
        let names = ["variance", "", "/ l.o.o.", "bias", "signal/noise", "ms", "/ plain", "work / l.o.o."];
        let mut table =
            Table::new([Column::left("estimator"), Column::left("of")].into_iter().chain(names.map(Column::right)));
        for row in &self.rows {
            let relative = |number: f64, yardstick: Option<f64>| match (row.candidate.aim, yardstick) {
                (Aim::ReverseKl, Some(yardstick)) => short(number / yardstick),
                _ => String::new(),
            };
            let yardstick = self.yardstick();
            let incomplete = if row.finite == self.batches as usize { "" } else { " (!)" };
            let aim = match row.candidate.aim {
                Aim::ReverseKl => "reverse KL",
                Aim::ForwardKl => "forward KL",
                Aim::Own => "its own",
            };
            let cells = [
                format!("{}{incomplete}", row.candidate.name),
                aim.into(),
                short(row.variance.value),
                format!("± {}", short(row.variance.standard_error)),
                relative(row.variance.value, yardstick.map(|y| y.0)),
                Row::root(row.square_of_bias),
                Row::root(row.signal_to_noise()),
                format!("{:.1}", 1e3 * row.seconds),
                format!("{:.2}", row.seconds / self.plain_seconds),
                relative(self.work(row), yardstick.map(|y| y.1)),
            ];
            table.push(cells.map(Cell::new));
        }
        table
    }

    /// What the columns are.
    fn legend(&self) -> String {
        let lost: usize = self.rows.iter().map(|row| self.batches as usize - row.finite).sum();
        let lost = match lost {
            0 => String::new(),
            lost => format!(
                " (!) marks estimators with batches whose gradient was not finite, {lost} in all; they are left out."
            ),
        };
        let forbidden = match 100.0 * self.forbidden_fraction {
            0.0 => String::new(),
            percent => format!(
                " {percent:.2}% of the trajectories end in an object with R = 0; objective.log_reward_floor is what training \
                 takes in place of its log R."
            ),
        };
        format!(
            "{} batches of {} trajectories from the policy after {} iterations; the same batches for all. Variance: trace of \
             the covariance of one batch's gradient, ± its standard error. Bias: distance of the mean from the mean of \
             a long run ({} batches of {}, other random numbers), with the noise of both means taken out; \"<\" where it is \
             within two standard errors of 0, a bound then. The long run is that of leave-one-out for reverse KL, of target \
             samples for forward KL (if they take part), of the estimator itself for what it estimates of its own. Signal/noise: |mean| / \
             sqrt(variance). Time: median of a gradient right after its rollout ({:.1} ms, not included), and relative to one without \
             control variate ({:.1} ms). Work: variance times time, rollout included: what the same noise costs, relative to leave-one-out. \
             Gradients of tb and log-variance are halved. zeta = {:.4}.{lost}{forbidden}",
            self.batches,
            self.batch,
            self.iteration,
            self.long,
            LONG * self.batch,
            1e3 * self.rollout_seconds,
            1e3 * self.plain_seconds,
            self.zeta,
        )
    }
}

/// The table and what it means, for a terminal.
pub fn for_people(comparison: &Comparison) -> String {
    format!("{}\n{}", comparison.table().to_terminal(), comparison.legend())
}

/// The table and what it means.
pub fn markdown(comparison: &Comparison) -> String {
    format!("{}\n{}\n", comparison.table().to_markdown(), comparison.legend())
}

/// Every number of a row, by name.
fn numbers(comparison: &Comparison, row: &Row) -> [(&'static str, f64); 12] {
    let bound = |square: Estimate| (square.value.max(0.0) + 2.0 * square.standard_error).sqrt();
    [
        ("scale", row.candidate.scale),
        ("batches", row.finite as f64),
        ("variance", row.variance.value),
        ("variance_standard_error", row.variance.standard_error),
        ("bias_square", row.square_of_bias.value),
        ("bias_square_standard_error", row.square_of_bias.standard_error),
        ("bias_bound", bound(row.square_of_bias)),
        ("mean_square", row.square_of_mean.value),
        ("mean_square_standard_error", row.square_of_mean.standard_error),
        ("seconds", row.seconds),
        ("seconds_to_plain", row.seconds / comparison.plain_seconds),
        ("variance_times_seconds", comparison.work(row)),
    ]
}

fn aim(row: &Row) -> &'static str {
    match row.candidate.aim {
        Aim::ReverseKl => "reverse_kl",
        Aim::ForwardKl => "forward_kl",
        Aim::Own => "own",
    }
}

/// Every number, a line an estimator.
pub fn csv(comparison: &Comparison) -> String {
    let mut table: Option<Table> = None;
    for row in &comparison.rows {
        let numbers = numbers(comparison, row);
        let heading = ["estimator", "aim"].into_iter().chain(numbers.map(|(name, _)| name));
        let table = table.get_or_insert_with(|| Table::new(heading.map(Column::right)));
        let values = numbers.map(|(_, value)| value.to_string());
        table.push([row.candidate.name.clone(), aim(row).into()].into_iter().chain(values).map(Cell::new));
    }
    table.map_or(String::new(), |table| table.to_csv())
}

/// Every number as one object; those that are not finite are null.
pub fn json(comparison: &Comparison) -> Value {
    let rows: Vec<Value> = comparison
        .rows
        .iter()
        .map(|row| {
            let mut object = json!({"estimator": row.candidate.name, "aim": aim(row)});
            for (name, value) in numbers(comparison, row) {
                object[name] = value.into();
            }
            object
        })
        .collect();
    json!({
        "batch": comparison.batch,
        "batches": comparison.batches,
        "long_batches": comparison.long,
        "long_batch": LONG * comparison.batch,
        "iteration": comparison.iteration,
        "zeta": comparison.zeta,
        "forbidden_fraction": comparison.forbidden_fraction,
        "rollout_seconds": comparison.rollout_seconds,
        "plain_seconds": comparison.plain_seconds,
        "estimators": rows,
    })
}

/// Bars of the variances.
pub fn picture(comparison: &Comparison, title: &str) -> Result<Vec<u8>, PictureError> {
    let bars = Bars::new(
        title,
        "Total variance of a gradient. From line to line is a factor of ten. Colours: what is estimated.",
    );
    let bars = comparison.rows.iter().fold(bars, |bars, row| {
        bars.bar(&row.candidate.name, row.variance.value, short(row.variance.value), row.candidate.aim as usize)
    });
    bars.png()
}

/// Three digits.
fn short(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    let magnitude = value.abs().log10().floor() as i32;
    if (-3..5).contains(&magnitude) {
        format!("{value:.*}", (2 - magnitude).max(0) as usize)
    } else {
        format!("{value:.2e}")
    }
}
