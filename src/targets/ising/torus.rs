//! The heat bath of a torus, for parallel tempering of frustrated ones: odd side, negative coupling.
//!
//! Each spin is redrawn given its four neighbours (R. J. Glauber 1963). The slowest modes of a frustrated torus, where its two
//! domain walls lie and which way they lean, are symmetries of the torus: a sample ends with a uniformly random one, which
//! leaves R as it is and makes those modes independent from sample to sample.

use rand::Rng;

use super::{bond_sum, neighbours, ordered};
use crate::random::{CounterRng, pick};
use crate::targets::tempering::{HeatBath, Level};

/// A torus of spins.
pub struct Torus {
    side: usize,
    coupling: f64,
    neighbours: Vec<[u32; 4]>,
}

impl Torus {
    pub fn new(side: usize, coupling: f64) -> Self {
        Self { side, coupling, neighbours: neighbours(side) }
    }
}

impl HeatBath for Torus {
    /// Probability of spin +1 given the number of neighbours that are +1, times 2^32.
    type Rung = [u64; 5];

    fn sites(&self) -> usize {
        self.neighbours.len()
    }

    fn work(&self) -> f64 {
        self.sites() as f64
    }

    fn rung(&self, beta: f64) -> [u64; 5] {
        [0, 1, 2, 3, 4].map(|count| {
            let field = f64::from(2 * count - 4);
            (2f64.powi(32) / (1.0 + (-2.0 * beta * self.coupling * field).exp())).round() as u64
        })
    }

    fn sweep(&self, up: &[u64; 5], spins: &mut [u8], generator: &mut CounterRng) {
        for (site, around) in self.neighbours.iter().enumerate() {
            let count: u8 = around.iter().map(|&neighbour| spins[neighbour as usize]).sum();
            spins[site] = u8::from(u64::from(generator.next_u32()) < up[usize::from(count)]);
        }
    }

    fn level(&self, spins: &[u8]) -> Level {
        Level { log_reward: self.coupling * bond_sum(self.side, spins) as f64, forbidden: 0 }
    }

    fn start(&self, _: &mut CounterRng) -> Vec<u8> {
        ordered(self.side, false)
    }

    /// Flip, transposition, mirroring and shift of either axis.
    fn turn(&self, spins: &mut [u8], generator: &mut CounterRng) {
        let side = self.side;
        let bits = generator.next_u32() >> 28;
        let [down, right] = [0, 1].map(|_| pick(generator.next_u32(), side as u32) as usize);
        let moved = |index: usize, by: usize, mirror: bool| (if mirror { side - index } else { index } + by) % side;
        let before = spins.to_vec();
        for (site, spin) in spins.iter_mut().enumerate() {
            let (row, column) = (site / side, site % side);
            let (row, column) = if bits & 1 == 0 { (row, column) } else { (column, row) };
            let from = moved(row, down, bits & 2 != 0) * side + moved(column, right, bits & 4 != 0);
            *spin = before[from] ^ (bits >> 3) as u8;
        }
    }

    fn has(&self, _: usize, value: u8) -> bool {
        value < 2
    }
}

#[cfg(test)]
mod tests {
    use crate::targets::ising::plan;

    #[test]
    fn ladders_grow_with_the_side() {
        let mut replicas = 0;
        for side in [5, 9, 15] {
            let plan = plan(side, -1.0).unwrap();
            assert!(plan.ladder.len() > replicas, "side {side}");
            replicas = plan.ladder.len();
            assert!(plan.rounds >= 2 && plan.burn_in >= 10 * plan.rounds);
        }
    }

    #[test]
    fn a_plan_that_cannot_be_afforded_is_refused_with_its_reason() {
        let error = plan(255, -1.0).unwrap_err();
        for part in ["side 255", "coupling -1", "as many as can be afforded"] {
            assert!(error.contains(part), "{error}: no {part}");
        }
    }
}
