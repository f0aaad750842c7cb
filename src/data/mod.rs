//! The seven data sets in the plane of the energy-based-model literature, and their coding as bits.
//!
//! Definitions as in the toy data of FFJORD (Grathwohl et al. 2019), as the discrete energy-based-model papers use them
//! (Dai et al. 2020, Zhang et al. 2022); circles and moons follow scikit-learn.

mod coding;
mod gray;
mod shapes;

pub use crate::out_of_range::OutOfRange;
pub use coding::{BITS, Coding};

use rand::seq::SliceRandom;

use crate::random::Draw;

/// A distribution over points of the plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum DataSet {
    /// Two arms that wind around each other.
    #[serde(rename = "2spirals")]
    TwoSpirals,
    /// Eight normal distributions on a circle.
    #[serde(rename = "8gaussians")]
    EightGaussians,
    /// Concentric circles.
    #[serde(rename = "circles")]
    Circles,
    /// Two interleaved half circles.
    #[serde(rename = "moons")]
    Moons,
    /// Bent blades around the origin.
    #[serde(rename = "pinwheel")]
    Pinwheel,
    /// A spiral.
    #[serde(rename = "swissroll")]
    SwissRoll,
    /// Every other square of a board.
    #[serde(rename = "checkerboard")]
    Checkerboard,
}

impl DataSet {
    /// All of them, for tests and help.
    pub const ALL: [DataSet; 7] = [
        DataSet::TwoSpirals,
        DataSet::EightGaussians,
        DataSet::Circles,
        DataSet::Moons,
        DataSet::Pinwheel,
        DataSet::SwissRoll,
        DataSet::Checkerboard,
    ];

    /// The name in experiment files.
    pub fn name(self) -> &'static str {
        match self {
            DataSet::TwoSpirals => "2spirals",
            DataSet::EightGaussians => "8gaussians",
            DataSet::Circles => "circles",
            DataSet::Moons => "moons",
            DataSet::Pinwheel => "pinwheel",
            DataSet::SwissRoll => "swissroll",
            DataSet::Checkerboard => "checkerboard",
        }
    }

    /// Steps of the 32-bit coding in a unit of length: 2^15 / (f + 1), with f one more than the largest absolute
    /// coordinate of 5000 points. The authors' constants.
    pub fn int_scale(self) -> f64 {
        match self {
            DataSet::TwoSpirals => 5978.486250,
            DataSet::EightGaussians => 5289.617676,
            DataSet::Circles => 5668.637695,
            DataSet::Moons => 5779.756119,
            DataSet::Pinwheel => 5510.876572,
            DataSet::SwissRoll => 6222.632324,
            DataSet::Checkerboard => 5461.865407,
        }
    }

    /// `count` points, which depend on the draw, the data set and the count only.
    ///
    /// Points of 2spirals come in pairs opposite each other, those of circles and moons are spread evenly over their
    /// curves, those of pinwheel over its five arms (up to noise, and in random order). The rest are independent.
    pub fn points(self, draw: &Draw, count: usize) -> Vec<[f64; 2]> {
        let generator = &mut draw.generator(0);
        let mut points = shapes::points(self, count, generator);
        points.shuffle(generator);
        points
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::largest;
    use crate::random::Stream;

    fn points(set: DataSet, count: usize) -> Vec<[f64; 2]> {
        set.points(&Draw::new(7, 3, Stream::Data), count)
    }

    #[test]
    fn names_are_those_of_experiment_files() {
        for set in DataSet::ALL {
            let quoted = format!("\"{}\"", set.name());
            assert_eq!(serde_json::to_string(&set).expect("a name"), quoted);
            assert_eq!(serde_json::from_str::<DataSet>(&quoted).expect("a data set"), set);
        }
    }

    #[test]
    fn points_are_as_many_as_asked_and_a_function_of_the_draw() {
        for set in DataSet::ALL {
            for count in [0, 1, 2, 7, 1000] {
                assert_eq!(points(set, count).len(), count);
                assert!(points(set, count).iter().flatten().all(|coordinate| coordinate.is_finite()));
            }
            assert_eq!(points(set, 100), points(set, 100));
            assert_ne!(points(set, 100), set.points(&Draw::new(7, 4, Stream::Data), 100));
        }
    }

    /// The authors' int_scale tells how far 5000 of their points reached, which ties the generators to the table. The
    /// largest of 5000 noises of deviation s varies by about 0.3 s; the largest s here is 0.6 (pinwheel): tolerance 0.6.
    /// Ten sets are averaged, so that one far point decides nothing.
    #[test]
    fn points_reach_as_far_as_the_scale_table_says() {
        for set in DataSet::ALL {
            let reach = |iteration| {
                let points = set.points(&Draw::new(1, iteration, Stream::Data), 5000);
                largest(points.as_flattened())
            };
            let mean = (0..10).map(reach).sum::<f64>() / 10.0;
            let authors = 32768.0 / set.int_scale() - 2.0;
            assert!((mean - authors).abs() < 0.6, "{set:?}: {mean} against {authors}");
        }
    }

    /// Means and mean squares against the definitions' integrals. 20,000 points; five standard errors of the
    /// widest coordinate (deviation 2.9) are 0.1, those of its square (deviation 7.3) 0.26.
    #[test]
    fn moments_are_those_of_the_definitions() {
        use std::f64::consts::PI;
        // E[n^2] = (3 pi)^2 / 2; the cross terms of the shift U(0, 0.5) with (-cos n, sin n) n under the density of n
        // are -E[n cos n] and E[n sin n], taken by the midpoint rule below.
        let over_spiral = |f: fn(f64) -> f64| {
            let steps = 10_000;
            (0..steps).map(|i| f(((i as f64 + 0.5) / steps as f64).sqrt() * 3.0 * PI)).sum::<f64>() / steps as f64
        };
        let shift = 0.25 / 3.0;
        let spiral = [
            (over_spiral(|n| (n * n.cos()).powi(2)) + shift - 0.5 * over_spiral(|n| n * n.cos())) / 9.0 + 0.01,
            (over_spiral(|n| (n * n.sin()).powi(2)) + shift + 0.5 * over_spiral(|n| n * n.sin())) / 9.0 + 0.01,
        ];
        let roll = |f: fn(f64) -> f64| {
            let steps = 10_000;
            (0..steps).map(|i| f(1.5 * PI * (1.0 + 2.0 * (i as f64 + 0.5) / steps as f64))).sum::<f64>() / steps as f64
        };
        let moons = {
            // x: 2 cos a - 1 and 1 - 2 cos a; y: 2 sin a - 0.2 and 0.8 - 2 sin a, a uniform on [0, pi], noise of 0.2.
            let (mean_sine, noise) = (2.0 / PI, 0.04);
            let upper = 2.0 - 0.8 * mean_sine + 0.04;
            let lower = 0.64 - 3.2 * mean_sine + 2.0;
            [3.0 + noise, (upper + lower) / 2.0 + noise]
        };
        // Five arms, evenly turned: both axes have half of E[radius^2] = 4 (1 + 0.09 + 0.01).
        let pinwheel = [2.2, 2.2];
        let gaussians = [(8.0 + 0.25) / 1.414_f64.powi(2); 2];
        let circles = [9.0 * ((1.0 + 0.25) / 4.0 + 0.0064); 2];
        // y is uniform on [0, 2] or [-4, -2] where floor(x) is even and on [2, 4] or [-2, 0] where it is odd.
        let board = [16.0 / 3.0, 16.0 / 3.0];
        let expected = [
            (DataSet::TwoSpirals, [0.0, 0.0], spiral),
            (DataSet::EightGaussians, [0.0, 0.0], gaussians),
            (DataSet::Circles, [0.0, 0.0], circles),
            (DataSet::Moons, [0.0, 0.3], moons),
            (DataSet::Pinwheel, [0.0, 0.0], pinwheel),
            (
                DataSet::SwissRoll,
                [roll(|t| t * t.cos()) / 5.0, roll(|t| t * t.sin()) / 5.0],
                [roll(|t| (t * t.cos()).powi(2)) / 25.0 + 0.04, roll(|t| (t * t.sin()).powi(2)) / 25.0 + 0.04],
            ),
            (DataSet::Checkerboard, [0.0, 0.0], board),
        ];
        for (set, means, squares) in expected {
            let points = points(set, 20_000);
            for axis in 0..2 {
                let mean = points.iter().map(|point| point[axis]).sum::<f64>() / points.len() as f64;
                let square = points.iter().map(|point| point[axis].powi(2)).sum::<f64>() / points.len() as f64;
                assert!((mean - means[axis]).abs() < 0.1, "{set:?} axis {axis}: mean {mean}, not {}", means[axis]);
                assert!((square - squares[axis]).abs() < 0.26, "{set:?} axis {axis}: {square}, not {}", squares[axis]);
            }
        }
    }

    #[test]
    fn two_spirals_come_in_opposite_pairs() {
        // Up to noise of deviation 0.1 on both points of a pair: the mean is within 5 * 0.1 / sqrt(1000).
        let mean =
            |axis: usize| points(DataSet::TwoSpirals, 1000).iter().map(|point| point[axis]).sum::<f64>() / 1000.0;
        assert!(mean(0).abs() < 0.016 && mean(1).abs() < 0.016);
    }

    #[test]
    fn checkerboard_fills_every_second_square() {
        for [x, y] in points(DataSet::Checkerboard, 2000) {
            assert_eq!((x / 2.0).floor().rem_euclid(2.0), (y / 2.0).floor().rem_euclid(2.0), "({x}, {y})");
            assert!(x.abs() <= 4.0 && y.abs() <= 4.0);
        }
    }

    #[test]
    fn moons_and_circles_lie_on_their_curves() {
        // Six deviations of the noise on each axis.
        for [x, y] in points(DataSet::Circles, 2000) {
            let radius = x.hypot(y) / 3.0;
            assert!((radius - 1.0).abs().min((radius - 0.5).abs()) < 6.0 * 0.08 * 2.0_f64.sqrt());
        }
        let (mut upper, mut lower) = (0, 0);
        for [x, y] in points(DataSet::Moons, 2000) {
            let (x, y) = ((x + 1.0) / 2.0, (y + 0.2) / 2.0);
            let to_upper = (x.hypot(y) - 1.0).abs();
            let to_lower = ((x - 1.0).hypot(y - 0.5) - 1.0).abs();
            assert!(to_upper.min(to_lower) < 6.0 * 0.1 * 2.0_f64.sqrt());
            if to_upper < to_lower { upper += 1 } else { lower += 1 }
        }
        assert!(upper > 900 && lower > 900, "{upper} on the upper moon, {lower} on the lower");
    }
}
