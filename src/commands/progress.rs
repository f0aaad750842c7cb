//! What a person sees while a run trains: a progress bar on a terminal, nothing between start and end elsewhere.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use serde_json::Value;

use super::output;

/// A progress bar on standard error, so that standard output stays free for results.
pub struct Progress {
    bar: ProgressBar,
    json: bool,
}

/// Where a bar is drawn: on standard error if that is a terminal and the output is for people, else nowhere.
pub fn target(json: bool) -> ProgressDrawTarget {
    let hidden = json || !std::io::stderr().is_terminal();
    if hidden { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr_with_hz(8) }
}

impl Progress {
    /// A bar of `total` iterations, each of `batch` trajectories. With `json` nothing is drawn or said.
    pub fn new(total: u32, batch: usize, json: bool) -> Self {
        let bar = ProgressBar::with_draw_target(Some(u64::from(total)), target(json));
        let rate = move |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            let iterations = state.per_sec();
            // A failure to write to a string buffer cannot happen, and a bar is not worth ending a run for.
            let _ = write!(out, "{iterations:.1} it/s, {:.0} trajectories/s", iterations * batch as f64);
        };
        let template = "{bar:24} {pos}/{len}  {speed}  {msg}  {eta} left";
        let style =
            ProgressStyle::with_template(template).expect("the template is a valid one").with_key("speed", rate);
        bar.set_style(style.progress_chars("=> "));
        Self { bar, json }
    }

    /// Shows the bar; `done` iterations are behind from earlier sessions and do not count for its speed.
    pub fn start(&self, done: u32) {
        self.bar.set_position(u64::from(done));
        self.bar.reset_eta();
        self.bar.enable_steady_tick(Duration::from_millis(250));
    }

    /// A line for people, above the bar.
    pub fn say(&self, line: &str) {
        if !self.json {
            self.suspend(|| output::tell(line));
        }
    }

    /// Does what writes to the terminal while the bar is out of the way.
    pub fn suspend<T>(&self, write: impl FnOnce() -> T) -> T {
        self.bar.suspend(write)
    }

    /// Moves the bar.
    pub fn advance(&self, done: u32) {
        self.bar.set_position(u64::from(done));
    }

    /// Moves the bar and shows a line of the metrics log.
    pub fn show(&self, done: u32, line: &Value) {
        let number = |key: &str| line[key].as_f64().map_or("-".into(), |value| format!("{value:.3}"));
        self.bar.set_message(format!("loss {} ELBO {} log Z {}", number("loss"), number("elbo"), number("log_z")));
        self.advance(done);
    }

    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
