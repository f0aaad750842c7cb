//! How long parallel tempering has to run on a frustrated torus, measured and not guessed.
//!
//! Some pilot ladders climb from K = 0, where every sweep is an exact sample, and find where the next coupling has to
//! be: a step of [`STEP`] over the standard deviation of the bond sum lets a good third of the exchanges pass. Then they
//! run with exchanges, twice as long from one attempt to the next, until the second half of the run shows three things:
//! exchanges pass between all neighbours; states that were at K = 0 arrive at K, ten and more a ladder; and the bond
//! sum at K has an integrated autocorrelation time that the run is long compared with. If that takes more than can be
//! afforded, there is no plan, and the torus has no sampler. The pilots have random numbers of their own, so that a plan
//! depends on the side and the coupling alone.

use rand::Rng;
use rayon::prelude::*;

use super::tempering::{Replica, exchange};
use super::{bond_sum, neighbours, ordered};
use crate::random::{CounterRng, Draw, Stream};

/// Pilot ladders.
const PILOTS: usize = 32;

/// Sweeps of a pilot at each coupling of the climb; the second half of them is measured.
const CLIMB: usize = 16;

/// Steps of the ladder, in units of 1 over the standard deviation of the bond sum. For a Gaussian bond sum
/// erfc(STEP / 2) = 40% of the exchanges pass.
const STEP: f64 = 1.2;

/// Rounds of the first attempt's second half.
const SHORTEST: usize = 128;

/// Exchanges that pass, as a part of those offered, below which a ladder counts as broken.
const SMALLEST_RATE: f64 = 0.1;

/// States that have to come from K = 0 to K in the measured half of the run, a ladder.
const ARRIVALS: f64 = 10.0;

/// Autocorrelation times that the measured half of the run has to be long.
const RESOLUTION: f64 = 40.0;

/// Spins that pilots may redraw: half a minute on two cores.
const MOST_UPDATES: f64 = 4e9;

/// Autocorrelation times from one sample to the next. What is left of an exponential's correlation is below 2%.
const APART: f64 = 4.0;

/// Samples that burn-in would have given.
const BURN_IN: usize = 10;

/// A ladder of couplings and how long to run on it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// From K = 0 to the torus's coupling.
    pub ladder: Vec<Replica>,
    /// Rounds before the first sample.
    pub burn_in: usize,
    /// Rounds from one sample to the next.
    pub rounds: usize,
}

impl Plan {
    /// Measures a plan for the `side` x `side` torus, or says why there is none.
    pub fn measure(side: usize, coupling: f64) -> Result<Self, String> {
        let refusal = |reason: String| {
            format!(
                "no equilibrated samples of the frustrated torus of side {side} at coupling {coupling} (odd side, \
                 negative coupling): {reason}"
            )
        };
        let mut pilots: Vec<Pilot> = (0..PILOTS as u32).map(|index| Pilot::new(side, index)).collect();
        let ladder = climb(&mut pilots, side, coupling).map_err(refusal)?;
        let updates_a_round = (PILOTS * ladder.len() * side * side) as f64;
        pilots.par_iter_mut().for_each(|pilot| pilot.start(ladder.len()));
        let run = |pilots: &mut [Pilot], rounds| {
            pilots.par_iter_mut().for_each(|pilot| pilot.run(&ladder, rounds));
        };
        run(&mut pilots, SHORTEST);
        let mut length = SHORTEST;
        loop {
            run(&mut pilots, length);
            let unresolved = match judge(&pilots, &ladder, length) {
                Ok((rounds, burn_in)) => return Ok(Self { ladder, burn_in, rounds }),
                Err(reason) => reason,
            };
            length *= 2;
            if 2.0 * length as f64 * updates_a_round > MOST_UPDATES {
                return Err(refusal(format!("after {length} rounds of {} replicas {unresolved}", ladder.len())));
            }
        }
    }
}

/// A ladder of neighbours that exchange, found by taking the pilots from K = 0 to `coupling`.
fn climb(pilots: &mut [Pilot], side: usize, coupling: f64) -> Result<Vec<Replica>, String> {
    let affordable = MOST_UPDATES / (2 * SHORTEST * PILOTS * side * side) as f64;
    let mut ladder = vec![Replica::new(0.0)];
    loop {
        let last = &ladder[ladder.len() - 1];
        if last.coupling <= coupling {
            return Ok(ladder);
        }
        if ladder.len() as f64 >= affordable {
            return Err(format!(
                "{} replicas, as many as can be afforded, reach coupling {:.3} only",
                ladder.len(),
                last.coupling
            ));
        }
        let bonds: Vec<f64> = pilots.par_iter_mut().flat_map_iter(|pilot| pilot.settle(last)).collect();
        let (_, variance) = moments(bonds.iter().copied());
        // Where nothing fluctuates the step is endless, and the next coupling the last.
        let next = (last.coupling - STEP / variance.sqrt()).max(coupling);
        ladder.push(Replica::new(next));
    }
}

/// Rounds from one sample to the next and rounds of burn-in, or what the last `length` rounds left open.
fn judge(pilots: &[Pilot], ladder: &[Replica], length: usize) -> Result<(usize, usize), String> {
    for (pair, neighbours) in ladder.windows(2).enumerate() {
        let passed: usize = pilots.iter().map(|pilot| pilot.exchanged[pair]).sum();
        let rate = passed as f64 / (PILOTS * length) as f64;
        if rate < SMALLEST_RATE {
            let [low, high] = [&neighbours[0], &neighbours[1]].map(|replica| replica.coupling);
            return Err(format!("{:.1}% of the exchanges of couplings {low:.4} and {high:.4} pass", 100.0 * rate));
        }
    }
    let arrivals = pilots.iter().map(|pilot| pilot.arrivals).sum::<usize>() as f64 / PILOTS as f64;
    if arrivals < ARRIVALS {
        return Err(format!("{arrivals:.1} states a ladder came from coupling 0, where {ARRIVALS} would do"));
    }
    let series: Vec<&[f64]> = pilots.iter().map(|pilot| pilot.bonds.as_slice()).collect();
    match autocorrelation_time(&series) {
        Some(time) if time * RESOLUTION <= length as f64 => {
            let rounds = (APART * time).ceil() as usize;
            let burn_in = (rounds * BURN_IN).max((ARRIVALS * length as f64 / arrivals).ceil() as usize);
            Ok((rounds, burn_in))
        }
        Some(time) => Err(format!("bond sums are correlated over {time:.0} rounds, too many for the run to tell")),
        None => Err("bond sums are correlated over a good part of the run".into()),
    }
}

/// One ladder of the measurement.
struct Pilot {
    side: usize,
    neighbours: Vec<[u32; 4]>,
    generator: CounterRng,
    /// One byte a spin, [replicas, sites].
    spins: Vec<u8>,
    /// Of each replica, whether its state has been at K = 0 since it was last at K.
    fresh: Vec<bool>,
    /// What the last run saw: the bond sum at K after each round, exchanges a pair, states that came from K = 0 to K.
    bonds: Vec<f64>,
    exchanged: Vec<usize>,
    arrivals: usize,
}

impl Pilot {
    fn new(side: usize, index: u32) -> Self {
        // No sampler of a user's seed begins its iterations here.
        let mut generator = Draw::new(0, u32::MAX - 2, Stream::TargetSampler).generator(index);
        let spins = (0..side * side).map(|_| (generator.next_u32() >> 31) as u8).collect();
        let (fresh, bonds, exchanged) = (Vec::new(), Vec::new(), Vec::new());
        Self { side, neighbours: neighbours(side), generator, spins, fresh, bonds, exchanged, arrivals: 0 }
    }

    /// Sweeps the one state there is during the climb; the bond sums of the second half.
    fn settle(&mut self, replica: &Replica) -> Vec<f64> {
        let mut sweep = |_| {
            replica.sweep(&mut self.spins, &self.neighbours, &mut self.generator);
            bond_sum(self.side, &self.spins) as f64
        };
        (0..CLIMB).map(&mut sweep).skip(CLIMB / 2).collect()
    }

    /// Begins with every replica in the state where the sampler begins.
    fn start(&mut self, replicas: usize) {
        self.spins = ordered(self.side, false).repeat(replicas);
        self.fresh = vec![false; replicas];
    }

    /// `rounds` rounds, and what they show.
    fn run(&mut self, ladder: &[Replica], rounds: usize) {
        let sites = self.neighbours.len();
        self.exchanged = vec![0; ladder.len() - 1];
        (self.arrivals, self.bonds) = (0, Vec::with_capacity(rounds));
        for _ in 0..rounds {
            for (spins, replica) in self.spins.chunks_mut(sites).zip(ladder) {
                replica.sweep(spins, &self.neighbours, &mut self.generator);
            }
            self.fresh[0] = true;
            exchange(self.side, &mut self.spins, ladder, &mut self.generator, |pair| {
                self.fresh.swap(pair, pair + 1);
                self.exchanged[pair] += 1;
            });
            let last = ladder.len() - 1;
            self.arrivals += usize::from(std::mem::take(&mut self.fresh[last]));
            self.bonds.push(bond_sum(self.side, &self.spins[last * sites..]) as f64);
        }
    }
}

/// The integrated autocorrelation time 1/2 + sum_t rho(t) of series of one length and one mean; none if the sum does not
/// settle within half of that length.
///
/// The sum ends at the first lag of six times its value (A. Sokal, "Monte Carlo methods in statistical mechanics",
/// 1989): beyond, an exponential has e^-6 left, and the rest is noise. What never changes has the time of independence.
fn autocorrelation_time(series: &[&[f64]]) -> Option<f64> {
    const WINDOW: f64 = 6.0;
    let (mean, variance) = moments(series.iter().flat_map(|series| series.iter().copied()));
    if variance == 0.0 {
        return Some(0.5);
    }
    let mut time: f64 = 0.5;
    for lag in 1..series[0].len() / 2 {
        let (mut sum, mut count) = (0.0, 0);
        for series in series {
            sum += series.iter().zip(&series[lag..]).map(|(a, b)| (a - mean) * (b - mean)).sum::<f64>();
            count += series.len() - lag;
        }
        time += sum / count as f64 / variance;
        if lag as f64 >= WINDOW * time {
            return Some(time.max(0.5));
        }
    }
    None
}

/// Mean and variance.
fn moments(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let count = values.clone().count() as f64;
    let mean = values.clone().sum::<f64>() / count;
    (mean, values.map(|value| (value - mean).powi(2)).sum::<f64>() / count)
}

#[cfg(test)]
mod tests {
    use rand::RngExt;
    use rand_distr::StandardNormal;

    use super::*;

    #[test]
    fn autocorrelation_times_of_autoregressive_series() {
        for correlation in [0.0, 0.5, 0.9] {
            let series: Vec<Vec<f64>> = (0..32)
                .map(|index| {
                    let mut generator = Draw::new(3, 0, Stream::TargetSampler).generator(index);
                    let mut value: f64 = generator.sample(StandardNormal);
                    let mut next = || {
                        let noise: f64 = generator.sample(StandardNormal);
                        value = correlation * value + (1.0 - correlation * correlation).sqrt() * noise;
                        100.0 + value
                    };
                    (0..1000).map(|_| next()).collect()
                })
                .collect();
            let series: Vec<&[f64]> = series.iter().map(Vec::as_slice).collect();
            let expected = 0.5 * (1.0 + correlation) / (1.0 - correlation);
            let found = autocorrelation_time(&series).expect("1000 steps are many");
            // Relative variance 2 (2 W + 1) / n for a window of W = 6 times, n = 32,000 numbers: 9% for the longest.
            assert!((found / expected - 1.0).abs() < 0.3, "{correlation}: {found}, expected {expected}");
        }
        let drift: Vec<f64> = (0..100).map(f64::from).collect();
        assert_eq!(autocorrelation_time(&[&drift, &drift]), None);
        assert_eq!(autocorrelation_time(&[&[2.0; 100]]), Some(0.5));
    }

    #[test]
    fn ladders_grow_with_the_side_and_their_neighbours_exchange() {
        let mut replicas = 0;
        for side in [5, 9, 15] {
            let plan = Plan::measure(side, -1.0).unwrap();
            assert!(plan.ladder.len() > replicas, "side {side}");
            replicas = plan.ladder.len();
            assert_eq!((plan.ladder[0].coupling, plan.ladder[replicas - 1].coupling), (0.0, -1.0));
            assert!(plan.ladder.windows(2).all(|pair| pair[1].coupling < pair[0].coupling));
            assert!(plan.rounds >= 2 && plan.burn_in >= 10 * plan.rounds);
        }
    }

    #[test]
    fn a_plan_that_cannot_be_afforded_is_refused_with_its_reason() {
        let error = Plan::measure(255, -1.0).unwrap_err();
        for part in ["side 255", "coupling -1", "as many as can be afforded"] {
            assert!(error.contains(part), "{error}: no {part}");
        }
    }

    #[test]
    fn what_is_not_equilibrated_is_told_apart() {
        // Neighbours so far apart that hardly any exchange passes.
        let judged = |ladder: &[Replica], rounds: usize| {
            let mut pilots: Vec<Pilot> = (0..PILOTS as u32).map(|index| Pilot::new(9, index)).collect();
            pilots.iter_mut().for_each(|pilot| {
                pilot.start(ladder.len());
                pilot.run(ladder, rounds);
            });
            judge(&pilots, ladder, rounds)
        };
        let broken = [Replica::new(0.0), Replica::new(-1.0)];
        let error = judged(&broken, 200).unwrap_err();
        assert!(error.contains("of the exchanges of couplings 0.0000 and -1.0000 pass"), "{error}");
        // A whole ladder, run for too short a time.
        let ladder = Plan::measure(9, -1.0).unwrap().ladder;
        let error = judged(&ladder, 4).unwrap_err();
        assert!(error.contains("came from coupling 0"), "{error}");
    }
}
