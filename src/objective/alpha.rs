//! The weight of a convex combination, fixed or over the iterations.

use serde::{Deserialize, Serialize};

use crate::schedule::Progress;

/// alpha in [0, 1]: the weight of the term on backward samples; 1 - alpha is that of the term on forward samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "a number in [0, 1], \"paper\", or points such as [[0, 1], [0.5, 1], [1, 0]]")]
pub enum Alpha {
    /// The same in every iteration.
    Fixed(f64),
    /// A schedule that has a name.
    Named(Schedule),
    /// Linear between points (fraction of the run, alpha), constant before the first and after the last.
    Points(Vec<(f64, f64)>),
}

/// Schedules of alpha known by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// 1 in the first half of the run, then linearly down to 0 (arXiv:2210.07992, section 5).
    Paper,
}

const PAPER: [(f64, f64); 2] = [(0.5, 1.0), (1.0, 0.0)];

impl Alpha {
    /// The value in one iteration.
    pub fn at(&self, progress: Progress) -> f64 {
        match self {
            Alpha::Fixed(alpha) => *alpha,
            Alpha::Named(Schedule::Paper) => interpolate(&PAPER, progress.fraction()),
            Alpha::Points(points) => interpolate(points, progress.fraction()),
        }
    }

    /// Whether `value` is the alpha of every iteration.
    pub fn is_always(&self, value: f64) -> bool {
        match self {
            Alpha::Fixed(alpha) => *alpha == value,
            Alpha::Named(Schedule::Paper) => false,
            Alpha::Points(points) => points.iter().all(|point| point.1 == value),
        }
    }

    /// What is allowed, if this is not.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let unit = |value: f64| (0.0..=1.0).contains(&value);
        match self {
            Alpha::Fixed(alpha) if !unit(*alpha) => Err("must be in [0, 1]"),
            Alpha::Points(points) if points.is_empty() => Err("needs at least one point [fraction, alpha]"),
            Alpha::Points(points) if !points.iter().all(|point| unit(point.0) && unit(point.1)) => {
                Err("fractions of the run and alphas must be in [0, 1]")
            }
            Alpha::Points(points) if !points.is_sorted_by(|left, right| left.0 < right.0) => {
                Err("the fractions of the run must increase from point to point")
            }
            _ => Ok(()),
        }
    }
}

/// Linear between `points`, whose abscissae increase; none give NaN.
fn interpolate(points: &[(f64, f64)], at: f64) -> f64 {
    let next = points.partition_point(|point| point.0 < at);
    match (next.checked_sub(1).map(|last| points[last]), points.get(next)) {
        (Some(left), Some(right)) => left.1 + (right.1 - left.1) * (at - left.0) / (right.0 - left.0),
        (Some(end), None) => end.1,
        (None, Some(start)) => start.1,
        (None, None) => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::assert_close;

    fn along(alpha: &Alpha, total: u32) -> Vec<f64> {
        (0..total).map(|iteration| alpha.at(Progress { iteration, total })).collect()
    }

    #[test]
    fn the_paper_schedule_holds_and_then_falls_to_zero() {
        let paper = Alpha::Named(Schedule::Paper);
        assert_eq!(along(&paper, 9), [1.0, 1.0, 1.0, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0]);
        assert_eq!(along(&paper, 1), [1.0]);
        assert!(!paper.is_always(1.0) && !paper.is_always(0.0));
    }

    #[test]
    fn points_are_joined_by_lines_and_extended_flat() {
        let points = Alpha::Points(vec![(0.25, 0.2), (0.75, 1.0)]);
        assert_close(&along(&points, 5), &[0.2, 0.2, 0.6, 1.0, 1.0], 1e-15, "alpha");
        assert!(Alpha::Points(vec![(0.5, 0.0)]).is_always(0.0));
        assert_eq!(along(&Alpha::Fixed(0.3), 2), [0.3, 0.3]);
    }
}
