//! The Ising model on a square lattice with periodic borders.
//!
//! `log R(x) = K sum_<ij> x_i x_j` over the 2 N^2 bonds of the N x N torus, each bond once, spins x_i = -1 or +1 as the
//! values 0 and 1 of site row * N + column. The first task of the paper (arXiv:2210.07992, section 5), with an exact
//! log Z and samplers to compare with.

mod exact;
mod torus;
mod wolff;

#[cfg(test)]
mod tests;

use std::sync::{Arc, OnceLock};

use rayon::prelude::*;

use self::torus::Torus;
use super::tempering::{Plan, Tempering};
use super::{Observable, Picture, RewardKernel, Sampler, Symmetry, Target, TargetError};
use crate::out_of_range::OutOfRange;
use crate::process::{Encoding, Filled, Guide, GuideKernel, Objects};

/// Sides a torus may have: below 3 two sites share two bonds, above 256 nothing here has been tried.
pub const SIDES: std::ops::RangeInclusive<usize> = 3..=256;

/// Largest |coupling|: the lattice is frozen long before.
pub const LARGEST_COUPLING: f64 = 100.0;

/// Spins that the pilot runs of tempering may redraw: half a minute on two cores.
const MOST_UPDATES: f64 = 4e9;

/// The Ising model on the `side` x `side` torus at coupling K.
#[derive(Clone, Debug)]
pub struct Ising {
    side: usize,
    coupling: f64,
    log_z: OnceLock<Result<f64, String>>,
    /// Of the sampler, where the torus is frustrated.
    plan: OnceLock<Result<Plan, String>>,
}

impl Ising {
    /// The model, or which of its two numbers is out of range ([`SIDES`], [`LARGEST_COUPLING`]).
    pub fn new(side: usize, coupling: f64) -> Result<Self, OutOfRange> {
        if !SIDES.contains(&side) {
            let (least, most) = (SIDES.start(), SIDES.end());
            return Err(OutOfRange::new(format!("side is {side}; an Ising torus has a side of {least} to {most}")));
        }
        if coupling.is_nan() || coupling.abs() > LARGEST_COUPLING {
            return Err(OutOfRange::new(format!(
                "coupling is {coupling}; it must lie between -{LARGEST_COUPLING} and {LARGEST_COUPLING}"
            )));
        }
        Ok(Self { side, coupling, log_z: OnceLock::new(), plan: OnceLock::new() })
    }

    /// Spins along one edge of the torus.
    pub fn side(&self) -> usize {
        self.side
    }

    /// J, the weight of every bond, in units of the temperature.
    pub fn coupling(&self) -> f64 {
        self.coupling
    }
}

impl Target for Ising {
    fn sites(&self) -> usize {
        self.side * self.side
    }

    fn values(&self) -> usize {
        2
    }

    fn encoding(&self) -> Encoding {
        Encoding::Scalar { unset: 0.0, codes: vec![-1.0, 1.0] }
    }

    fn log_reward(&self, objects: &Objects, log_reward: &mut [f64]) {
        let rows = objects.values().par_chunks(self.sites()).with_min_len(64);
        rows.zip(log_reward).for_each(|(object, log_reward)| {
            *log_reward = self.coupling * bond_sum(self.side, object) as f64;
        });
    }

    /// Exact for every side that is even and every coupling that is not negative; on frustrated tori (odd side,
    /// negative coupling) for sides up to 15, and for larger ones while the coupling is weak. The first call may take
    /// a quarter of a second (side 15, strong negative coupling); later ones remember.
    fn log_z(&self) -> Result<f64, TargetError> {
        let log_z = self.log_z.get_or_init(|| exact::log_z(self.side, self.coupling));
        log_z.clone().map_err(TargetError::Unknown)
    }

    /// Wolff's cluster sampler, and parallel tempering on frustrated tori (odd side, negative coupling). The first
    /// samples are equilibrated.
    ///
    /// How long tempering has to run is measured by the first call and remembered; what cannot be equilibrated in a
    /// reasonable time has no sampler.
    fn sampler(&self, seed: u64, chains: usize) -> Result<Box<dyn Sampler>, TargetError> {
        if self.coupling < 0.0 && self.side % 2 == 1 {
            let plan = self.plan.get_or_init(|| plan(self.side, self.coupling));
            let plan = plan.clone().map_err(TargetError::Unknown)?;
            Ok(Box::new(Tempering::new(Torus::new(self.side, self.coupling), plan, seed, chains)?))
        } else {
            Ok(Box::new(wolff::Wolff::new(self.side, self.coupling, seed, chains)))
        }
    }

    fn kernel(&self) -> Option<RewardKernel> {
        let source = include_str!("reward.wgsl").into();
        let iterations = (self.side + 1).pow(2);
        Some(RewardKernel { source, parameters: vec![self.side as f32], scale: self.coupling, iterations })
    }

    /// Bonds between set sites: each is counted when its second end is set.
    fn guide(&self) -> Option<Arc<dyn Guide>> {
        let Self { side, coupling, .. } = *self;
        Some(Arc::new(Bonds { side, coupling, neighbours: neighbours(side) }))
    }

    fn is_even(&self) -> bool {
        true
    }

    fn symmetries(&self) -> Vec<Symmetry> {
        let side = self.side;
        let shift = move |object: &mut [u8]| object.chunks_exact_mut(side).for_each(|row| row.rotate_left(side / 2));
        vec![
            Symmetry {
                name: "the flip of all spins",
                apply: Box::new(|object| object.iter_mut().for_each(|value| *value ^= 1)),
            },
            Symmetry { name: "a shift by half of the torus", apply: Box::new(shift) },
        ]
    }

    fn picture(&self) -> Option<Picture> {
        Some(Picture::Grid { width: self.side })
    }

    /// The energy per site is `-sum_<ij> x_i x_j / N^2`, whatever the coupling: -2 where all spins are equal. The
    /// magnetisation per site is |sum_i x_i| / N^2.
    fn observables(&self) -> Vec<Observable> {
        let side = self.side;
        let sites = self.sites() as f64;
        let energy = move |object: &[u8]| -bond_sum(side, object) as f64 / sites;
        let magnetisation = move |object: &[u8]| {
            let up: f64 = object.iter().map(|&value| f64::from(value)).sum();
            (2.0 * up / sites - 1.0).abs()
        };
        vec![
            Observable { name: "energy per site", of: Box::new(energy) },
            Observable { name: "|magnetisation| per site", of: Box::new(magnetisation) },
        ]
    }
}

/// What setting a spin adds to K times the sum over bonds between set spins: K x_i times the sum of its set neighbours.
#[derive(Debug)]
struct Bonds {
    side: usize,
    coupling: f64,
    neighbours: Vec<[u32; 4]>,
}

impl Guide for Bonds {
    fn increments(&self, filled: Filled, site: usize, increments: &mut [f64]) {
        let spin = |&site: &u32| filled.value(site as usize).map_or(0, |value| 2 * i32::from(value) - 1);
        let field = self.coupling * f64::from(self.neighbours[site].iter().map(spin).sum::<i32>());
        increments.copy_from_slice(&[-field, field]);
    }

    fn kernel(&self) -> Option<GuideKernel> {
        let parameters = vec![self.side as f32, self.coupling as f32];
        Some(GuideKernel { source: include_str!("guide.wgsl").into(), parameters, iterations: 0, trusted: true })
    }
}

/// How long tempering has to run on a frustrated torus, or why it cannot be equilibrated.
fn plan(side: usize, coupling: f64) -> Result<Plan, String> {
    Plan::measure(&Torus::new(side, coupling), MOST_UPDATES).map_err(|reason| {
        format!(
            "no equilibrated samples of the frustrated torus of side {side} at coupling {coupling} (odd side, negative \
             coupling): {reason}"
        )
    })
}

/// sum_<ij> x_i x_j over the torus's bonds: their number less twice those with unequal ends.
fn bond_sum(side: usize, object: &[u8]) -> i64 {
    let unequal = |a: &[u8], b: &[u8]| a.iter().zip(b).map(|(a, b)| i64::from(a != b)).sum::<i64>();
    let (first, last) = (&object[..side], &object[object.len() - side..]);
    let vertical = unequal(object, &object[side..]) + unequal(last, first);
    let horizontal: i64 =
        object.chunks_exact(side).map(|row| unequal(row, &row[1..]) + unequal(&row[side - 1..], row)).sum();
    2 * object.len() as i64 - 2 * (vertical + horizontal)
}

/// The four neighbours of each site of the torus.
fn neighbours(side: usize) -> Vec<[u32; 4]> {
    let site = |row: usize, column: usize| ((row % side) * side + column % side) as u32;
    let around = |row, column| {
        [site(row, column + 1), site(row, column + side - 1), site(row + 1, column), site(row + side - 1, column)]
    };
    (0..side * side).map(|index| around(index / side, index % side)).collect()
}

/// A state of highest log R: all spins equal, or (`aligned` false) a chequerboard.
fn ordered(side: usize, aligned: bool) -> Vec<u8> {
    (0..side * side).map(|site| u8::from(!aligned && (site / side + site % side) % 2 == 1)).collect()
}

/// Copies saved spins over `spins`, if they are as many and each is 0 or 1.
fn take_up(spins: &mut [u8], saved: &[u8]) -> Result<(), TargetError> {
    if saved.len() != spins.len() {
        let (found, expected) = (saved.len(), spins.len());
        return Err(TargetError::State(format!("a sampler state with {found} spins where there are {expected}")));
    }
    if let Some(value) = saved.iter().find(|&&value| value > 1) {
        return Err(TargetError::State(format!("a sampler state with a spin of value {value}; spins are 0 or 1")));
    }
    spins.copy_from_slice(saved);
    Ok(())
}
