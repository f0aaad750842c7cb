//! Rewards on a hypergrid: `2^dimensions` corners of high reward with a plain between them.
//!
//! With u_i = |x_i / (height - 1) - 1/2|,
//!
//! `R(x) = r0 + r1 prod_i 1[u_i > 0.25] + r2 prod_i 1[0.3 < u_i < 0.4]`.
//!
//! Source: Bengio, Jain, Korablyov, Precup, Bengio, "Flow Network based Generative Models for Non-Iterative Diverse Candidate
//! Generation" (NeurIPS 2021, arXiv:2106.04399), section 4.1.

use std::sync::Arc;

use super::{Modes, Observable, Picture, RewardKernel, Sampler, Target, TargetError, no_state};
use crate::logs::log_sum_exp;
use crate::out_of_range::OutOfRange;
use crate::process::{self, Extras, Objects, Process};
use crate::random::{Draw, pick, uniform};

/// Dimensions that a grid may have.
pub const DIMENSIONS: std::ops::RangeInclusive<usize> = 1..=64;
/// Most dimensions whose corners are counted: 65,536 of them.
const MOST_CORNERS: usize = 16;

/// Heights that a grid may have.
pub const HEIGHTS: std::ops::RangeInclusive<usize> = 2..=256;

/// Rewards on a grid of `height`^`dimensions` points.
#[derive(Clone, Debug)]
pub struct Hypergrid {
    dimensions: usize,
    height: usize,
    /// r0, r1, r2.
    rewards: [f64; 3],
    /// The values of a coordinate that meet each part's condition: any, the outer ones, those of the ring.
    parts: [Vec<u8>; 3],
}

impl Hypergrid {
    /// A grid with rewards `[r0, r1, r2]`, or what is out of range: none below 0, and R above 0 everywhere it can be.
    pub fn new(dimensions: usize, height: usize, rewards: [f64; 3]) -> Result<Self, OutOfRange> {
        if !DIMENSIONS.contains(&dimensions) {
            return Err(OutOfRange::new(format!("dimensions is {dimensions}; a grid has 1 to 64")));
        }
        if !HEIGHTS.contains(&height) {
            return Err(OutOfRange::new(format!("height is {height}; a grid has a height of 2 to 256")));
        }
        if rewards.iter().any(|reward| !reward.is_finite() || *reward < 0.0) || rewards[0] == 0.0 {
            let message =
                format!("rewards is {rewards:?}; they must be finite and not negative, and the first above 0");
            return Err(OutOfRange::new(message));
        }
        let of = |part| (0..=u8::MAX).take(height).filter(|&value| meets(part, value, height)).collect();
        Ok(Self { dimensions, height, rewards, parts: [0, 1, 2].map(of) })
    }

    /// Coordinates of a point.
    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// Values of a coordinate.
    pub fn height(&self) -> usize {
        self.height
    }

    /// log of what each part adds up to over the grid: r times the number of points that meet its condition.
    fn log_shares(&self) -> [f64; 3] {
        [0, 1, 2].map(|part| self.rewards[part].ln() + self.dimensions as f64 * (self.parts[part].len() as f64).ln())
    }

    fn reward(&self, point: &[u8]) -> f64 {
        let meets = |part: usize| point.iter().all(|value| self.parts[part].contains(value));
        self.rewards[0] + [1, 2].map(|part| if meets(part) { self.rewards[part] } else { 0.0 }).iter().sum::<f64>()
    }
}

/// Whether a coordinate meets the condition of a part. The distance from the middle is compared in whole numbers, which no
/// rounding moves: |2 x - (height - 1)| / (2 (height - 1)) against 5/20, 6/20 and 8/20.
fn meets(part: usize, value: u8, height: usize) -> bool {
    let last = height as i64 - 1;
    let twentieths = 10 * (2 * i64::from(value) - last).abs();
    match part {
        0 => true,
        1 => twentieths > 5 * last,
        _ => twentieths > 6 * last && twentieths < 8 * last,
    }
}

impl Target for Hypergrid {
    fn sites(&self) -> usize {
        self.dimensions
    }

    fn values(&self) -> usize {
        self.height
    }

    fn process(&self, extras: Extras) -> Option<Arc<dyn Process>> {
        let Self { dimensions, height, .. } = *self;
        Some(Arc::new(process::Hypergrid { dimensions, height, extras }))
    }

    fn log_reward(&self, objects: &Objects, log_reward: &mut [f64]) {
        objects.rows().zip(log_reward).for_each(|(point, log_reward)| *log_reward = self.reward(point).ln());
    }

    /// By counting the points that meet each condition, which factorises over the dimensions.
    fn log_z(&self) -> Result<f64, TargetError> {
        Ok(log_sum_exp(&self.log_shares()))
    }

    /// Independent samples: a part by its share, then each coordinate among those that meet its condition.
    fn sampler(&self, _: u64, chains: usize) -> Result<Box<dyn Sampler>, TargetError> {
        Ok(Box::new(Parts { grid: self.clone(), chains }))
    }

    fn marginals(&self) -> Result<Vec<Vec<f64>>, TargetError> {
        let shares = self.log_shares();
        let log_z = log_sum_exp(&shares);
        let of = |value: u8| {
            let part = |part: usize| {
                let meeting = &self.parts[part];
                if meeting.contains(&value) { (shares[part] - log_z).exp() / meeting.len() as f64 } else { 0.0 }
            };
            [0, 1, 2].map(part).iter().sum()
        };
        let of_one: Vec<f64> = (0..=u8::MAX).take(self.height).map(of).collect();
        Ok(vec![of_one; self.dimensions])
    }

    /// The rings of the corners, one each.
    fn modes(&self) -> Option<Modes> {
        if self.rewards[2] == 0.0 || self.parts[2].is_empty() || self.dimensions > MOST_CORNERS {
            return None;
        }
        let (ring, height) = (self.parts[2].clone(), self.height);
        let near = move |point: &[u8], marks: &mut [bool]| {
            if point.iter().all(|value| ring.contains(value)) {
                let upper = |value: u8| usize::from(2 * usize::from(value) >= height);
                marks[point.iter().fold(0, |corner, &value| 2 * corner + upper(value))] = true;
            }
        };
        Some(Modes { count: 1 << self.dimensions, near: Box::new(near) })
    }

    fn kernel(&self) -> Option<RewardKernel> {
        let bits = |value: usize| {
            f32::from((1..=2).map(|part| u8::from(meets(part, value as u8, self.height)) << (part - 1)).sum::<u8>())
        };
        let rewards = self.rewards.map(|reward| reward as f32);
        let parameters = rewards.into_iter().chain((0..self.height).map(bits)).collect();
        Some(RewardKernel {
            source: include_str!("hypergrid.wgsl").into(),
            parameters,
            scale: 1.0,
            iterations: self.dimensions + 1,
        })
    }

    fn picture(&self) -> Option<Picture> {
        (self.dimensions == 2).then_some(Picture::Points { height: self.height })
    }

    fn observables(&self) -> Vec<Observable> {
        let grid = self.clone();
        let ring = move |point: &[u8]| f64::from(u8::from(point.iter().all(|value| grid.parts[2].contains(value))));
        vec![Observable { name: "in a corner's ring", of: Box::new(ring) }]
    }
}

struct Parts {
    grid: Hypergrid,
    chains: usize,
}

impl Sampler for Parts {
    fn sample(&mut self, draw: &Draw) -> Objects {
        let shares = self.grid.log_shares();
        let log_z = log_sum_exp(&shares);
        let mut values = Vec::with_capacity(self.chains * self.grid.dimensions);
        for chain in 0..self.chains as u32 {
            let mut left = uniform(draw.words(chain, 0)[0]);
            let part = (0..2).find(|&part| {
                left -= (shares[part] - log_z).exp();
                left < 0.0
            });
            // A part that nothing meets has no share, but may be what rounding leaves.
            let part = part.or((shares[2] > f64::NEG_INFINITY).then_some(2)).unwrap_or(0);
            let meeting = &self.grid.parts[part];
            let coordinates = (1..=self.grid.dimensions as u32).map(|step| draw.words(chain, step)[0]);
            values.extend(coordinates.map(|word| meeting[pick(word, meeting.len() as u32) as usize]));
        }
        Objects::new(self.grid.dimensions, values)
    }

    fn state(&self) -> Vec<u8> {
        Vec::new()
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), TargetError> {
        no_state(state, "samples of a hypergrid")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Stream;
    use crate::targets::enumeration;

    fn grids() -> [Hypergrid; 3] {
        let new = |dimensions, height, rewards| Hypergrid::new(dimensions, height, rewards).unwrap();
        [new(2, 8, [0.1, 0.5, 2.0]), new(4, 8, [1e-3, 0.5, 2.0]), new(3, 3, [0.1, 0.5, 2.0])]
    }

    #[test]
    fn log_z_is_that_of_enumeration_and_of_the_literature() {
        for (grid, known) in grids().iter().zip([Some(3.109061), Some(5.100452), None]) {
            let log_z = grid.log_z().unwrap();
            assert!((log_z - enumeration::log_z(grid).unwrap()).abs() < 1e-12);
            assert!(known.is_none_or(|known: f64| (log_z - known).abs() < 1e-6), "{log_z}");
        }
        for (dimensions, height, rewards, known) in [
            (2, 64, [0.1, 0.5, 2.0], 7.098045),
            (4, 20, [1e-3, 0.5, 2.0], 8.643297),
            (4, 20, [1e-4, 1.0, 3.0], 9.285819),
        ] {
            let log_z = Hypergrid::new(dimensions, height, rewards).unwrap().log_z().unwrap();
            assert!((log_z - known).abs() < 1e-6, "{log_z} {known}");
        }
    }

    #[test]
    fn every_corner_is_a_mode() {
        let grid = &grids()[0];
        let modes = grid.modes().unwrap();
        assert_eq!(modes.count, 4);
        let reached = |points: &[u8]| {
            let mut marks = vec![false; 4];
            modes.mark(&Objects::new(2, points.to_vec()), &mut marks);
            marks
        };
        assert_eq!(reached(&[1, 1, 0, 0, 3, 3, 1, 0]), [true, false, false, false]);
        assert_eq!(reached(&[1, 6, 6, 1]), [false, true, true, false]);
        assert_eq!(reached(&[6, 6]), [false, false, false, true]);
        // Nothing lies between 0.3 and 0.4 from the middle on three points.
        assert!(grids()[2].modes().is_none());
    }

    #[test]
    fn samples_and_marginals_are_those_of_the_rewards() {
        for grid in grids() {
            let count = 40_000;
            let mut sampler = grid.sampler(1, count).unwrap();
            let objects = sampler.sample(&Draw::new(3, 0, Stream::TargetSampler));
            let mut log_reward = vec![0.0; count];
            grid.log_reward(&objects, &mut log_reward);
            // E over R / Z of 1 / R is the number of points over Z.
            let mean = log_reward.iter().map(|log| (-log).exp()).sum::<f64>() / count as f64;
            let points = (grid.height as f64).powi(grid.dimensions as i32);
            let expected = points / grid.log_z().unwrap().exp();
            let square = log_reward.iter().map(|log| (-2.0 * log).exp()).sum::<f64>() / count as f64;
            let error = ((square - mean * mean) / count as f64).sqrt();
            assert!(error > 0.0 && (mean - expected).abs() < 4.0 * error, "{mean} {expected} {error}");
            let marginals = grid.marginals().unwrap();
            assert_eq!(marginals.len(), grid.dimensions);
            for (value, &p) in marginals[0].iter().enumerate() {
                let found = objects.rows().filter(|row| usize::from(row[0]) == value).count() as f64 / count as f64;
                assert!((found - p).abs() < 5.0 * (p / count as f64).sqrt() + 1e-3, "{value}: {found} {p}");
            }
        }
    }
}
