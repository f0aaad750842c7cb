//! The definitions of the data sets.

use std::f64::consts::{FRAC_PI_4, PI, TAU};

use rand::RngExt;
use rand_distr::StandardNormal;

use super::DataSet;
use crate::random::CounterRng;

type Point = [f64; 2];

/// `count` points of a data set, in an order that tells how they were made.
pub fn points(set: DataSet, count: usize, generator: &mut CounterRng) -> Vec<Point> {
    match set {
        DataSet::TwoSpirals => two_spirals(count, generator),
        DataSet::EightGaussians => (0..count).map(|_| eight_gaussians(generator)).collect(),
        DataSet::Circles => circles(count, generator),
        DataSet::Moons => moons(count, generator),
        DataSet::Pinwheel => (0..count).map(|index| pinwheel(index % 5, generator)).collect(),
        DataSet::SwissRoll => (0..count).map(|_| swiss_roll(generator)).collect(),
        DataSet::Checkerboard => (0..count).map(|_| checkerboard(generator)).collect(),
    }
}

/// One arm, and the same points seen from the other side; then noise of deviation 0.1.
fn two_spirals(count: usize, generator: &mut CounterRng) -> Vec<Point> {
    let mut arm = || {
        let n = uniform(generator).sqrt() * 3.0 * PI;
        [(-n.cos() * n + 0.5 * uniform(generator)) / 3.0, (n.sin() * n + 0.5 * uniform(generator)) / 3.0]
    };
    let mut points: Vec<Point> = (0..count.div_ceil(2)).map(|_| arm()).collect();
    points.extend_from_within(..count / 2);
    points[count.div_ceil(2)..].iter_mut().flatten().for_each(|coordinate| *coordinate = -*coordinate);
    points.into_iter().map(|point| noisy(point, 0.1, generator)).collect()
}

/// Eight blobs of deviation 0.5 on a circle of radius 4, all over 1.414.
fn eight_gaussians(generator: &mut CounterRng) -> Point {
    let centre = polar(4.0, f64::from(generator.random_range(0..8_u32)) * FRAC_PI_4);
    noisy(centre, 0.5, generator).map(|coordinate| coordinate / 1.414)
}

/// Circles of radius 1 and 0.5 with noise of deviation 0.08, all times 3.
fn circles(count: usize, generator: &mut CounterRng) -> Vec<Point> {
    let (outer, inner) = (count / 2, count.div_ceil(2));
    let circle = |radius, points| (0..points).map(move |index| polar(radius, TAU * index as f64 / points as f64));
    let ring = circle(1.0, outer).chain(circle(0.5, inner));
    ring.map(|point| noisy(point, 0.08, generator).map(|coordinate| 3.0 * coordinate)).collect()
}

/// Two half circles, both ends included, with noise of deviation 0.1; times 2, then minus (1, 0.2).
fn moons(count: usize, generator: &mut CounterRng) -> Vec<Point> {
    let (outer, inner) = (count / 2, count.div_ceil(2));
    let half = |points: usize| (0..points).map(move |i| polar(1.0, PI * i as f64 / (points.max(2) - 1) as f64));
    let moon = half(outer).chain(half(inner).map(|[x, y]| [1.0 - x, 0.5 - y]));
    moon.map(|point| noisy(point, 0.1, generator)).map(|[x, y]| [2.0 * x - 1.0, 2.0 * y - 0.2]).collect()
}

/// Five arms: a blob around (1, 0) with deviations (0.3, 0.1), turned the further the further out it is; times 2.
fn pinwheel(arm: usize, generator: &mut CounterRng) -> Point {
    let [along, across] = [1.0 + 0.3 * normal(generator), 0.1 * normal(generator)];
    let (sine, cosine) = (TAU * arm as f64 / 5.0 + 0.25 * along.exp()).sin_cos();
    // A row vector times [[cos, -sin], [sin, cos]].
    [2.0 * (along * cosine + across * sine), 2.0 * (across * cosine - along * sine)]
}

/// A spiral from radius 1.5 pi to 4.5 pi with noise of deviation 1, all over 5.
fn swiss_roll(generator: &mut CounterRng) -> Point {
    let t = 1.5 * PI * (1.0 + 2.0 * uniform(generator));
    noisy(polar(t, t), 1.0, generator).map(|coordinate| coordinate / 5.0)
}

/// Every second of 4 x 4 squares, each of side 2.
fn checkerboard(generator: &mut CounterRng) -> Point {
    let x = 4.0 * uniform(generator) - 2.0;
    let down = f64::from(generator.random_range(0..2_u32));
    let y = uniform(generator) - 2.0 * down + x.floor().rem_euclid(2.0);
    [2.0 * x, 2.0 * y]
}

fn polar(radius: f64, angle: f64) -> Point {
    let (sine, cosine) = angle.sin_cos();
    [radius * cosine, radius * sine]
}

fn noisy(point: Point, deviation: f64, generator: &mut CounterRng) -> Point {
    point.map(|coordinate| coordinate + deviation * normal(generator))
}

fn normal(generator: &mut CounterRng) -> f64 {
    generator.sample(StandardNormal)
}

/// Uniform in [0, 1).
fn uniform(generator: &mut CounterRng) -> f64 {
    generator.random()
}
